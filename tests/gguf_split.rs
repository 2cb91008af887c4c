//! A GGUF checkpoint in parts is the same as in one file, and parts that do not belong together are refused.
//!
//! The golden files are an independent writer's: `tests/golden/gguf_split/make.py`.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ffai::generate::Backend;
use ffai::weights::Error;
use ffai::weights::gguf::Gguf;
use folder::Folder;
use gguf_writer::{GgufWriter, Item};
use mutate::mutant;
use opening::{generate, on, open};

#[expect(dead_code, reason = "the model is put together rightly here")]
#[path = "support/damaged.rs"]
mod damaged;
#[path = "support/folder.rs"]
mod folder;
#[path = "support/gguf_writer.rs"]
mod gguf_writer;
#[path = "support/mutate.rs"]
mod mutate;
#[expect(dead_code, reason = "messages are compared here as they are")]
#[path = "support/opening.rs"]
mod opening;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/gguf_split").join(name)
}

fn name(number: usize) -> String {
    format!("tiny-{number:05}-of-00003.gguf")
}

/// A copy of the golden parts, to be damaged.
fn parts() -> Folder {
    let folder = Folder::new();
    for number in 1..=3 {
        std::fs::copy(golden(&name(number)), folder.0.join(name(number))).unwrap();
    }
    folder
}

/// One part of a set, with a tensor of its own name.
fn part(number: u16, count: u16, tensors: i32, tensor: &str) -> GgufWriter {
    GgufWriter::new()
        .key("split.no", Item::U16(number))
        .key("split.count", Item::U16(count))
        .key("split.tensors.count", Item::I32(tensors))
        .tensor(tensor, &[8], 0, vec![number as u8; 32])
}

/// The message that opening `file` is refused with, the temporary folder left out.
fn refusal(folder: &Folder, file: &str) -> String {
    let error = Gguf::open(&folder.0.join(file)).expect_err("these parts are broken");
    assert!(error.hint().is_some(), "{error}");
    error.to_string().replace(&format!("{}/", folder.0.display()), "")
}

#[test]
fn all_parts_together_are_the_whole() {
    let whole = Gguf::open(&golden("whole.gguf")).unwrap();
    for number in 1..=3 {
        let split = Gguf::open(&golden(&name(number))).unwrap();
        assert_eq!(split.path(), golden(&name(1)), "the first part stands for all");
        assert_eq!(split.tensors().len(), 5);
        for (of_part, of_whole) in split.tensors().zip(whole.tensors()) {
            assert_eq!((&of_part.name, &of_part.dims, of_part.kind), (&of_whole.name, &of_whole.dims, of_whole.kind));
            assert_eq!(split.data(of_part), whole.data(of_whole), "{}", of_part.name);
            assert_eq!(split.find(&of_part.name), Some(of_part));
        }
        for (key, value) in whole.metadata().iter() {
            assert_eq!(split.metadata().get(key), Some(value), "{key}");
        }
        let bytes: u64 = (1..=3).map(|number| std::fs::metadata(golden(&name(number))).unwrap().len()).sum();
        assert_eq!(split.file_bytes(), bytes);
    }
    assert_eq!(whole.path(), golden("whole.gguf"));
    let error = Gguf::open(&golden(&name(2))).unwrap().tensor("blk.5.weight").unwrap_err();
    assert!(error.to_string().ends_with("tiny-00001-of-00003.gguf"), "{error}");
}

#[test]
fn a_set_of_one_is_an_ordinary_file() {
    let folder = Folder::new();
    folder.write("any.gguf", &part(0, 1, 1, "a").finish());
    assert_eq!(Gguf::open(&folder.0.join("any.gguf")).unwrap().tensors().len(), 1);
    // Files that are numbered and do not say that they are split stand for themselves.
    folder.write(&name(2), &GgufWriter::new().tensor("a", &[8], 0, vec![0; 32]).finish());
    assert_eq!(Gguf::open(&folder.0.join(name(2))).unwrap().tensors().len(), 1);
}

#[test]
fn a_missing_part_is_named() {
    let folder = parts();
    std::fs::remove_file(folder.0.join(name(2))).unwrap();
    for given in [1, 3] {
        assert_eq!(refusal(&folder, &name(given)), format!("no file {}, which {} needs", name(2), name(given)));
    }
    assert!(matches!(Gguf::open(&folder.0.join(name(2))), Err(Error::NotFound { .. })));
}

#[test]
fn parts_under_other_names_are_refused() {
    let folder = parts();
    for wrong in ["tiny.gguf", "tiny-00001-of-00002.gguf", "tiny-1-of-3.gguf"] {
        std::fs::copy(folder.0.join(name(1)), folder.0.join(wrong)).unwrap();
        let expected = "expected its name to end in -00001-of-00003.gguf or the like, found";
        assert_eq!(refusal(&folder, wrong), format!("{wrong}: split.count: {expected} `{wrong}`"));
    }
    std::fs::copy(folder.0.join(name(3)), folder.0.join(name(2))).unwrap();
    let says = "as the file's name and the other parts say";
    assert_eq!(refusal(&folder, &name(1)), format!("{}: split.no: expected 1, {says}, found 2", name(2)));
}

#[test]
fn parts_of_other_checkpoints_are_refused() {
    let says = "as the file's name and the other parts say";
    let second = name(2);
    let plain = GgufWriter::new().tensor("x", &[8], 0, vec![0; 32]);
    for (foreign, expected) in [
        (part(1, 2, 5, "x"), format!("{second}: split.count: expected 3, {says}, found 2")),
        (part(1, 3, 6, "x"), format!("{second}: split.tensors.count: expected 5, {says}, found 6")),
        (part(7, 3, 5, "x"), format!("{second}: split.no: expected 1, {says}, found 7")),
        (
            part(1, 3, 5, "x"),
            format!("{}: split.tensors.count: expected 4, as all parts together have, found 5", name(1)),
        ),
        (
            part(1, 3, 5, "x").tensor("blk.4.weight", &[8], 0, vec![0; 32]),
            format!(
                "{}: tensor `blk.4.weight`: expected a name that no other part has, found it also in {second}",
                name(3)
            ),
        ),
        (plain, format!("{second} has no metadata key `split.no`")),
    ] {
        let folder = parts();
        folder.write(&second, &foreign.finish());
        assert_eq!(refusal(&folder, &name(1)), expected);
    }
    let folder = parts();
    folder.write(&second, b"GGUF");
    assert_eq!(
        refusal(&folder, &name(3)),
        format!("{second} is cut short: version needs 4 bytes at byte 4, found 0 left")
    );
}

#[test]
fn counts_that_are_no_counts_are_refused() {
    let folder = Folder::new();
    let write = |keys: [(&str, Item); 3]| {
        let writer = keys.into_iter().fold(GgufWriter::new(), |writer, (key, item)| writer.key(key, item));
        folder.write(&name(1), &writer.finish());
        refusal(&folder, &name(1))
    };
    let no =
        |count, tensors| write([("split.no", Item::U16(0)), ("split.count", count), ("split.tensors.count", tensors)]);
    let message = no(Item::Raw(8, [&1_u64.to_le_bytes()[..], b"3"].concat()), Item::I32(0));
    assert_eq!(
        message,
        format!("metadata key `split.count`: expected an unsigned 32-bit integer, found a string in {}", name(1))
    );
    assert!(no(Item::I32(-3), Item::I32(0)).starts_with("metadata key `split.count`: expected an unsigned"));
    assert!(no(Item::U32(u32::MAX), Item::I32(0)).starts_with(&format!("{}: split.count: expected its name", name(1))));
    for other in [2, 3] {
        folder.write(&name(other), &part(other as u16 - 1, 3, 1, &name(other)).finish());
    }
    assert!(no(Item::U16(3), Item::I32(-1)).starts_with("metadata key `split.tensors.count`: expected an unsigned"));
    let message = no(Item::U16(3), Item::I32(1));
    assert_eq!(message, format!("{}: split.tensors.count: expected 2, as all parts together have, found 1", name(1)));
}

#[test]
fn two_thousand_damaged_parts_never_panic() {
    let originals: Vec<Vec<u8>> = (1..=3).map(|number| std::fs::read(golden(&name(number))).unwrap()).collect();
    let folder = parts();
    let start = Instant::now();
    let mut opened = 0;
    for seed in 0..2000_u64 {
        let number = seed as usize % 3;
        folder.write(&name(number + 1), &mutant(&originals[number], seed));
        let given = folder.0.join(name(seed as usize / 3 % 3 + 1));
        let Ok(result) = std::panic::catch_unwind(|| Gguf::open(&given)) else { panic!("seed {seed} panics") };
        match result {
            Ok(gguf) => {
                opened += 1;
                let bytes: usize = gguf.tensors().map(|tensor| gguf.data(tensor).len()).sum();
                assert!(bytes as u64 <= gguf.file_bytes(), "seed {seed}");
            }
            Err(error) => assert!(error.to_string().contains("tiny-0000"), "seed {seed}: {error}"),
        }
        folder.write(&name(number + 1), &originals[number]);
    }
    assert!((200..1800).contains(&opened), "{opened} of 2000 still open");
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

#[test]
fn a_model_in_parts_says_what_it_says_in_one_file() {
    let whole = damaged::model();
    let count = whole.tensors.len();
    let folder = Folder::new();
    for number in 0..3 {
        let mut part =
            if number == 0 { GgufWriter { tensors: Vec::new(), ..whole.clone() } } else { GgufWriter::new() };
        part = part.key("split.no", Item::U16(number as u16)).key("split.count", Item::U16(3));
        part = part.key("split.tensors.count", Item::I32(count as i32));
        part.tensors = whole.tensors[count * number / 3..count * (number + 1) / 3].to_vec();
        folder.write(&name(number + 1), &part.finish());
    }
    let says = |path: &Path| {
        let (mut engine, tokenizer) = open(path, &on(Backend::Cpu)).unwrap();
        generate(&mut engine, &tokenizer, &[1, 40, 70], 12).unwrap().ids
    };
    let expected = says(&damaged::golden());
    assert_eq!(expected.len(), 12);
    assert_eq!(says(&folder.0.join(name(3))), expected);
}
