//! Safetensors files come from strangers: a sound one is read in full, and a broken one is an error with a reason, never a
//! panic, a long wait or a large allocation.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ffai::weights::Error;
use ffai::weights::safetensors::{Header, Safetensors};
use mutate::mutant;
use peak_memory::{Counting, peak_bytes};

#[path = "support/folder.rs"]
mod folder;
#[path = "support/mutate.rs"]
mod mutate;
#[path = "support/peak_memory.rs"]
mod peak_memory;

use folder::Folder;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const FILE: &str = "some/model.safetensors";
const FIRST: &str = "model-00001-of-00003.safetensors";
const SECOND: &str = "model-00002-of-00003.safetensors";
const INDEX: &str = "model.safetensors.index.json";

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/safetensors").join(name)
}

fn parse(bytes: &[u8]) -> Result<Header, Error> {
    Header::parse(bytes, Path::new(FILE))
}

/// A file of `header` and as many bytes of data.
fn file(header: &str, data: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![7; data]].concat()
}

#[track_caller]
fn refused(bytes: &[u8], expected: &str) {
    let error = parse(bytes).expect_err("this file is broken");
    assert_eq!(error.to_string(), expected.replace("FILE", FILE));
    assert!(error.hint().is_some(), "{error}");
}

/// A checkpoint of three parts with its index, to be damaged.
fn parts() -> Folder {
    let folder = Folder::new();
    for entry in std::fs::read_dir(golden("parts")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.0.join(path.file_name().unwrap())).unwrap();
    }
    folder
}

/// The message that a checkpoint is refused with, the temporary folder left out.
fn message(folder: &Folder, path: &str) -> String {
    let error = Safetensors::open(&folder.0.join(path)).expect_err("this checkpoint is broken");
    assert!(error.hint().is_some() || matches!(error, Error::Io { .. }), "{error}");
    error
        .to_string()
        .replace(&format!("{}/", folder.0.display()), "")
        .replace(&folder.0.display().to_string(), "FOLDER")
}

#[test]
fn every_tensor_of_an_independent_writer_reads_back() {
    let contents = std::fs::read_to_string(golden("contents.json")).unwrap();
    let contents: serde_json::Value = serde_json::from_str(&contents).unwrap();
    for (folder, tensors) in contents.as_object().unwrap() {
        let checkpoint = Safetensors::open(&golden(folder)).unwrap();
        let tensors = tensors.as_object().unwrap();
        assert_eq!(checkpoint.tensors().len(), tensors.len());
        assert!(checkpoint.tensors().is_sorted_by(|a, b| a.name < b.name));
        for (name, written) in tensors {
            let tensor = checkpoint.tensor(name).unwrap();
            let shape: Vec<u64> =
                written["shape"].as_array().unwrap().iter().map(|dim| dim.as_u64().unwrap()).collect();
            assert_eq!(tensor.dtype.to_string(), written["dtype"].as_str().unwrap(), "{name}");
            assert_eq!(tensor.shape, shape, "{name}");
            let data = checkpoint.data(tensor);
            let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, written["hex"].as_str().unwrap(), "{name}");
            assert_eq!(tensor.bytes, data.len() as u64, "{name}");
        }
    }
}

#[test]
fn a_checkpoint_knows_its_files_and_names_what_it_lacks() {
    let checkpoint = Safetensors::open(&golden("every_type")).unwrap();
    assert_eq!((checkpoint.path(), checkpoint.folder()), (&*golden("every_type"), &*golden("every_type")));
    assert_eq!(checkpoint.metadata().get("note").unwrap(), "a \"quoted\" word");
    let whole = golden("every_type/model.safetensors");
    assert_eq!(checkpoint.file_bytes(), std::fs::metadata(&whole).unwrap().len());
    assert_eq!(checkpoint.file(checkpoint.tensor("scalar").unwrap()), whole);
    assert!(checkpoint.find("of.int4").is_none());
    let error = checkpoint.tensor("of.int128").unwrap_err();
    assert_eq!(error.to_string(), format!("no tensor `of.int128` in {}", golden("every_type").display()));
    assert_eq!(error.hint().unwrap(), "the file does have `of.int16`");

    let checkpoint = Safetensors::open(&whole).unwrap();
    assert_eq!((checkpoint.path(), checkpoint.folder()), (&*whole, &*golden("every_type")));
}

#[test]
fn the_same_parts_are_found_by_folder_index_part_and_numbers() {
    let folder = parts();
    let names = |path: &Path| -> Vec<String> {
        Safetensors::open(path).unwrap().tensors().map(|tensor| tensor.name.clone()).collect()
    };
    let all = names(&folder.0);
    assert_eq!(all.len(), 4);
    for path in [INDEX, FIRST, SECOND] {
        assert_eq!(names(&folder.0.join(path)), all, "{path}");
    }
    let expected: u64 = (1..=3)
        .map(|n| std::fs::metadata(folder.0.join(format!("model-0000{n}-of-00003.safetensors"))).unwrap().len())
        .sum();
    assert_eq!(Safetensors::open(&folder.0).unwrap().file_bytes(), expected);
    // Files of another kind do not matter, and without an index the numbers lead to the parts.
    folder.write("consolidated.safetensors", b"junk");
    assert_eq!(names(&folder.0), all);
    std::fs::remove_file(folder.0.join(INDEX)).unwrap();
    assert_eq!(names(&folder.0), all);
}

#[test]
fn a_folder_stands_for_its_only_file_whatever_its_name() {
    let folder = Folder::new();
    folder.write("weights.safetensors", &file("{}", 0));
    assert_eq!(Safetensors::open(&folder.0).unwrap().tensors().len(), 0);
    folder.write("model.safetensors", &std::fs::read(golden("every_type/model.safetensors")).unwrap());
    assert_eq!(Safetensors::open(&folder.0).unwrap().tensors().len(), 23);
}

#[cfg(unix)]
#[test]
fn parts_may_be_links_to_somewhere_else() {
    let folder = Folder::new();
    for name in [FIRST, SECOND, "model-00003-of-00003.safetensors", INDEX] {
        std::os::unix::fs::symlink(golden("parts").join(name), folder.0.join(name)).unwrap();
    }
    assert_eq!(Safetensors::open(&folder.0).unwrap().tensors().len(), 4);
    assert_eq!(Safetensors::open(&folder.0.join(FIRST)).unwrap().folder(), folder.0);
}

#[test]
fn damaged_headers_are_refused_with_their_place() {
    let json = "FILE: header: expected the JSON that safetensors defines, found";
    let entry = "FILE: entry `a` of the header: expected the JSON that safetensors defines, found";
    let table: Vec<(Vec<u8>, String)> = vec![
        (vec![], "FILE is no safetensors file: expected `{` at byte 8, found it to start with an empty file".into()),
        (b"GGUF\x03\0\0\0\x01".to_vec(), "FILE is no safetensors file: expected `{` at byte 8, found it to start with \"GGUF\\x03\\x00\\x00\\x00\\x01\"".into()),
        (file("[]", 0), "FILE is no safetensors file: expected `{` at byte 8, found it to start with \"\\x02\\x00\\x00\\x00\\x00\\x00\\x00\\x00[]\"".into()),
        ([&100_000_001_u64.to_le_bytes()[..], b"{}"].concat(), "FILE: length of the header: expected at most 100000000 bytes, found 100000001 (at byte 0)".into()),
        ([&[0xff; 8][..], b"{}"].concat(), format!("FILE: length of the header: expected at most 100000000 bytes, found {} (at byte 0)", u64::MAX)),
        ([&3_u64.to_le_bytes()[..], b"{}"].concat(), "FILE is cut short: header needs 3 bytes at byte 8, found 2 left".into()),
        ([&0_u64.to_le_bytes()[..], b"{}"].concat(), format!("{json} EOF while parsing a value (at byte 8)")),
        (file("{", 0), format!("{json} EOF while parsing an object (at byte 8)")),
        (file("{} x", 0), format!("{json} trailing characters (at byte 11)")),
        (file("{\"a\": 1}", 0), format!("{entry} invalid type: integer `1`, expected a map of `dtype`, `shape` and `data_offsets` (at byte 14)")),
        (file("{\"a\": {\"dtype\": \"U8\", \"shape\": [1]}}", 1), format!("{entry} missing field `data_offsets` (at byte 42)")),
        (file("{\n\"a\": {\"dtype\": \"U8\", \"shape\": [-1]}}", 1), format!("{entry} invalid value: integer `-1`, expected u64 (at byte 42)")),
        (file("{\"a\": {\"dtype\": \"U8\", \"shape\": [1.0], \"data_offsets\": [0, 1]}}", 1), format!("{entry} invalid type: floating point `1.0`, expected u64 (at byte 42)")),
        (file("{\"a\": {\"dtype\": \"U8\", \"shape\": [1], \"data_offsets\": [0, 1, 2]}}", 1), format!("{entry} trailing characters (at byte 67)")),
        (file("{\"__metadata__\": {\"a\": 1}}", 0), "FILE: entry `__metadata__` of the header: expected the JSON that safetensors defines, found invalid type: integer `1`, expected a string (at byte 31)".into()),
        (file("{\"__metadata__\": {}, \"__metadata__\": {}}", 0), "FILE: entry `__metadata__` of the header: expected the JSON that safetensors defines, found duplicate field `__metadata__` (at byte 47)".into()),
        (file("{\"a\u{1b}[2J\": 1}", 0), "FILE: header: expected the JSON that safetensors defines, found control character (\\u0000-\\u001F) found while parsing a string (at byte 11)".into()),
    ];
    for (bytes, expected) in table {
        refused(&bytes, &expected);
    }
}

#[test]
fn entries_that_contradict_themselves_are_refused_by_name() {
    let one = |dtype: &str, shape: &str, offsets: &str, data| {
        file(&format!("{{\"a\": {{\"dtype\": \"{dtype}\", \"shape\": {shape}, \"data_offsets\": {offsets}}}}}"), data)
    };
    let two = |first: &str, second: &str, data| {
        let entry = |offsets: &str| format!("{{\"dtype\": \"U8\", \"shape\": [4], \"data_offsets\": {offsets}}}");
        file(&format!("{{\"a\": {}, \"b\": {}}}", entry(first), entry(second)), data)
    };
    let table = [
        (
            one("Q4", "[1]", "[0, 1]", 1),
            "FILE: dtype of tensor `a`: expected a type that safetensors defines, found `Q4`",
        ),
        (
            one("f32", "[1]", "[0, 4]", 4),
            "FILE: dtype of tensor `a`: expected a type that safetensors defines, found `f32`",
        ),
        (
            one("F32", "[2]", "[0, 4]", 4),
            "FILE: data_offsets of tensor `a`: expected 8 bytes, as [2] of F32 takes, found 0 to 4",
        ),
        (
            one("F32", "[1]", "[4, 0]", 4),
            "FILE: data_offsets of tensor `a`: expected 4 bytes, as [1] of F32 takes, found 4 to 0",
        ),
        (one("F4", "[3]", "[0, 2]", 2), "FILE: shape of tensor `a`: expected whole bytes, found [3] of F4"),
        (
            one("U8", "[4294967296, 4294967296]", "[0, 0]", 0),
            "FILE: shape of tensor `a`: expected a size that fits 64 bits, found [4294967296, 4294967296] of U8",
        ),
        (
            one("F32", "[4611686018427387904]", "[0, 0]", 0),
            "FILE: shape of tensor `a`: expected a size that fits 64 bits, found [4611686018427387904] of F32",
        ),
        (
            one("U8", "[1, 1, 1, 1, 1, 1, 1, 1, 2]", "[0, 1]", 1),
            "FILE: data_offsets of tensor `a`: expected 2 bytes, as [1, 1, 1, 1, 1, 1, 1, 1, …] of U8 takes, found 0 to 1",
        ),
        (one("U8", "[4]", "[1, 5]", 5), "FILE: data_offsets of tensor `a`: expected 0, where the data starts, found 1"),
        (two("[0, 4]", "[5, 9]", 9), "FILE: data_offsets of tensor `b`: expected 4, where `a` ends, found 5"),
        (two("[0, 4]", "[3, 7]", 7), "FILE: data_offsets of tensor `b`: expected 4, where `a` ends, found 3"),
        (two("[0, 4]", "[0, 4]", 4), "FILE: data_offsets of tensor `b`: expected 4, where `a` ends, found 0"),
        (
            two("[0, 4]", "[18446744073709551611, 18446744073709551615]", 8),
            "FILE: data_offsets of tensor `b`: expected 4, where `a` ends, found 18446744073709551611",
        ),
        (two("[0, 4]", "[4, 8]", 7), "FILE is cut short: data of its tensors needs 8 bytes at byte 128, found 7 left"),
        (two("[0, 4]", "[4, 8]", 9), "FILE: data: expected 8 bytes, which the header describes, found 9"),
    ];
    for (bytes, expected) in table {
        refused(&bytes, expected);
    }
    let twice = two("[0, 4]", "[4, 8]", 8);
    let twice = String::from_utf8(twice).unwrap().replace("\"b\"", "\"a\"").into_bytes();
    refused(&twice, "FILE: tensor `a` occurs twice, as entries 0 and 1");
    assert_eq!(parse(&two("[4, 8]", "[0, 4]", 8)).unwrap().tensors.len(), 2, "the order of entries is free");
}

#[test]
fn damaged_index_files_are_refused() {
    let folder = parts();
    let map = |entries: &str| format!("{{\"weight_map\": {{{entries}}}}}");
    let json = "expected JSON with a `weight_map` from tensors to files, found";
    let name = "the plain name of a .safetensors file beside it";
    let mut table = vec![
        (
            "[]".to_owned(),
            format!("{INDEX}: index: {json} invalid length 0, expected a map with `weight_map` (at byte 1)"),
        ),
        (String::new(), format!("{INDEX}: index: {json} EOF while parsing a value (at byte 0)")),
        ("{}".to_owned(), format!("{INDEX}: index: {json} missing field `weight_map` (at byte 1)")),
        (map(""), format!("{INDEX}: weight_map: expected at least one tensor, found none")),
        (map("\"a\": 1"), format!("{INDEX}: index: {json} invalid type: integer `1`, expected a string (at byte 21)")),
        (
            map(&format!("\"a\": \"{FIRST}\", \"a\": \"{FIRST}\"")),
            format!("{INDEX}: index: {json} a tensor twice, first in {FIRST} (at byte 96)"),
        ),
        (map("\"a\": \"x.safetensors\""), format!("no file x.safetensors, which {INDEX} needs")),
        (
            map(&format!("\"model.norm.weight\": \"{FIRST}\", \"model.embed_tokens.weight\": \"{FIRST}\"")),
            format!("{INDEX}: tensor `model.norm.weight`: expected it in `{FIRST}`, found no such tensor"),
        ),
        (
            map(&format!(
                "\"model.norm.weight\": \"{FIRST}\", \"x\": \"{SECOND}\", \"y\": \"model-00003-of-00003.safetensors\""
            )),
            format!(
                "{INDEX}: tensor `model.norm.weight`: expected it in `{FIRST}`, found it in model-00003-of-00003.safetensors"
            ),
        ),
        (
            "[".repeat(100_000),
            format!("{INDEX}: index: {json} invalid type: sequence, expected a map from tensors to files (at byte 0)"),
        ),
        (
            format!("{{\"metadata\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000)),
            format!("{INDEX}: index: {json} missing field `weight_map` (at byte 200013)"),
        ),
    ];
    for path in [
        "../x.safetensors",
        "/etc/x.safetensors",
        "a/x.safetensors",
        "./x.safetensors",
        "a\\\\x.safetensors",
        "",
        ".",
        "x.bin",
    ] {
        let shown = path.replace("\\\\", "\\");
        table.push((
            map(&format!("\"a\": \"{path}\"")),
            format!("{INDEX}: file of tensor `a`: expected {name}, found `{shown}`"),
        ));
    }
    for (index, expected) in table {
        folder.write(INDEX, index.as_bytes());
        assert_eq!(message(&folder, ""), expected);
    }
}

#[test]
fn a_checkpoint_that_is_not_whole_is_refused() {
    let folder = parts();
    std::fs::remove_file(folder.0.join(SECOND)).unwrap();
    assert_eq!(message(&folder, ""), format!("no file {SECOND}, which {INDEX} needs"));
    assert_eq!(message(&folder, FIRST), format!("no file {SECOND}, which {FIRST} needs"));
    std::fs::remove_file(folder.0.join(INDEX)).unwrap();
    assert_eq!(message(&folder, ""), format!("no file {SECOND}, which {FIRST} needs"));
    folder.write("model.extra.safetensors", &file("{}", 0));
    let expected = " is a folder: expected model.safetensors, model.safetensors.index.json or one complete set of parts in it, found 3: model-00001-of-00003.safetensors, model-00003-of-00003.safetensors, model.extra.safetensors";
    let found = Safetensors::open(&folder.0).unwrap_err().to_string();
    assert!(found.ends_with(expected), "{found}");

    let folder = parts();
    std::fs::copy(folder.0.join(FIRST), folder.0.join(SECOND)).unwrap();
    let expected = format!(
        "{SECOND}: tensor `model.embed_tokens.weight`: expected a name that no other file of the checkpoint has, found it also in {FIRST}"
    );
    assert_eq!(message(&folder, ""), expected);

    let empty = Folder::new();
    assert!(message(&empty, "").ends_with("found none"));
    assert_eq!(message(&empty, "absent"), "no model at absent");
    std::fs::create_dir(empty.0.join("model.safetensors")).unwrap();
    assert_eq!(message(&empty, ""), "cannot read model.safetensors: is a directory");
}

#[test]
fn an_index_of_any_size_is_not_read_into_memory() {
    let folder = parts();
    let index = std::fs::File::create(folder.0.join(INDEX)).unwrap();
    index.set_len(1 << 36).unwrap(); // takes no room on disk
    let (message, peak) = peak_bytes(|| message(&folder, ""));
    assert_eq!(message, format!("{INDEX}: index: expected at most 67108864 bytes, found more"));
    assert!(peak < 256 << 20, "{peak}");
}

#[test]
fn hostile_names_do_not_reach_the_terminal_as_they_are() {
    let name = format!("\\u001b[2J{}", "x".repeat(5000));
    for text in [
        format!("{{\"{name}\": {{\"dtype\": \"U8\", \"shape\": [1], \"data_offsets\": [1, 2]}}}}"),
        format!("{{\"a\": {{\"dtype\": \"{name}\", \"shape\": [1], \"data_offsets\": [0, 1]}}}}"),
        format!("{{\"a\": \"{name}\"}}"),
    ] {
        let message = parse(&file(&text, 1)).unwrap_err().to_string();
        assert!(!message.contains('\x1b') && message.chars().count() < 400, "{message:?}");
    }
}

/// The bound on memory that parsing may take: generous, but in proportion.
fn allowed(file_bytes: usize) -> usize {
    64 * file_bytes + (1 << 20)
}

/// What the crate of the format's authors makes of a file: types and shapes by name.
type Contents = BTreeMap<String, (String, Vec<u64>)>;

fn reference(bytes: &[u8]) -> Option<Contents> {
    let (_, metadata) = safetensors::SafeTensors::read_metadata(bytes).ok()?;
    let entry = |(name, info): (String, &safetensors::tensor::TensorInfo)| {
        (name, (info.dtype.to_string(), info.shape.iter().map(|dim| *dim as u64).collect()))
    };
    Some(metadata.tensors().into_iter().map(entry).collect())
}

#[test]
fn twenty_thousand_mutants_neither_panic_nor_waste_memory_and_are_judged_as_by_the_reference() {
    const MUTANTS: u64 = 20_000;
    let original = std::fs::read(golden("every_type/model.safetensors")).unwrap();
    let header = 8 + u64::from_le_bytes(original[..8].try_into().unwrap()) as usize;
    let start = Instant::now();
    let mut sound = 0;
    for seed in 0..MUTANTS {
        // Three of four keep the data, so that more than the first error is reached.
        let bytes = match seed % 4 {
            0 => mutant(&original, seed),
            _ => {
                let mut text = mutant(&original[8..header], seed);
                let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
                bytes.append(&mut text);
                bytes.extend_from_slice(&original[header..]);
                bytes
            }
        };
        let tried = std::panic::catch_unwind(|| peak_bytes(|| parse(&bytes)));
        let Ok((result, peak)) = tried else { panic!("seed {seed} panics") };
        assert!(peak <= allowed(bytes.len()), "seed {seed}: {peak} bytes for {}", bytes.len());
        let reference = reference(&bytes);
        match result {
            Ok(header) => {
                sound += 1;
                let entries = header
                    .tensors
                    .iter()
                    .map(|tensor| (tensor.name.clone(), (tensor.dtype.to_string(), tensor.shape.clone())));
                assert_eq!(reference, Some(entries.collect()), "seed {seed}");
            }
            Err(error) => {
                let message = error.to_string();
                assert!(message.contains(FILE) && message.len() < 700, "seed {seed}: {message}");
                drop(error.hint());
                let stricter = matches!(error, Error::Duplicate { .. } | Error::NotSafetensors { .. });
                assert!(reference.is_none() || stricter, "seed {seed}: {message}");
            }
        }
    }
    assert!((MUTANTS / 50..MUTANTS / 2).contains(&sound), "{sound} of {MUTANTS} still parse");
    let took = start.elapsed();
    assert!(took < Duration::from_secs(60), "{took:?} for files of {} bytes", original.len());
}

#[test]
fn every_shorter_file_is_refused() {
    let bytes = std::fs::read(golden("every_type/model.safetensors")).unwrap();
    for length in 0..bytes.len() {
        assert!(parse(&bytes[..length]).is_err(), "{length}");
    }
}

#[test]
fn two_thousand_mutated_index_files_never_panic() {
    let folder = parts();
    let original = std::fs::read(folder.0.join(INDEX)).unwrap();
    let mut sound = 0;
    for seed in 0..2000 {
        folder.write(INDEX, &mutant(&original, seed));
        let tried = std::panic::catch_unwind(|| peak_bytes(|| Safetensors::open(&folder.0)));
        let Ok((result, peak)) = tried else { panic!("seed {seed} panics") };
        assert!(peak < 1 << 20, "seed {seed}: {peak} bytes");
        match result {
            Ok(checkpoint) => {
                assert_eq!(checkpoint.tensors().len(), 4, "seed {seed}");
                sound += 1;
            }
            Err(error) => assert!(error.to_string().chars().count() < 700, "seed {seed}: {error}"),
        }
    }
    // Nearly every byte of an index is part of a name.
    assert!((3..1000).contains(&sound), "{sound} still open");
}

#[test]
fn a_header_of_empty_tensors_and_long_shapes_costs_in_proportion() {
    let entry = |n: usize| format!("\"{n}\":{{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}");
    let many: Vec<String> = (0..50_000).map(entry).collect();
    let long = format!("\"a\":{{\"dtype\":\"U8\",\"shape\":[{}0],\"data_offsets\":[0,0]}}", "1,".repeat(1 << 20));
    for text in [many.join(","), long] {
        let bytes = file(&format!("{{{text}}}"), 0);
        let start = Instant::now();
        let (result, peak) = peak_bytes(|| parse(&bytes));
        assert!(result.is_ok() && peak < allowed(bytes.len()), "{peak} for {}", bytes.len());
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    }
}
