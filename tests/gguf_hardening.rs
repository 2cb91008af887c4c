//! GGUF files come from strangers: a sound one is read in full, and a broken one is an error with a
//! reason, never a panic, a long wait or a large allocation.

use std::path::Path;
use std::time::{Duration, Instant};

use ffai::weights::Error;
use ffai::weights::gguf::{Array, Gguf, Header, TensorType, Value};
use gguf_files::{complete, list, plain};
use gguf_writer::{GgufWriter, Item};
use mutate::mutant;
use peak_memory::{Counting, peak_bytes};

#[path = "support/gguf_files.rs"]
mod gguf_files;
#[path = "support/gguf_writer.rs"]
mod gguf_writer;
#[path = "support/mutate.rs"]
mod mutate;
#[path = "support/peak_memory.rs"]
mod peak_memory;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const FILE: &str = "some/model.gguf";

fn parse(bytes: &[u8]) -> Result<Header, Error> {
    Header::parse(bytes, Path::new(FILE))
}

/// The bound on memory that parsing may take: generous, but in proportion.
fn allowed(file_bytes: usize) -> usize {
    64 * file_bytes + (1 << 20)
}

/// The message and hint that `bytes` are refused with. The message must name the file.
fn refusal(bytes: &[u8]) -> (Error, String) {
    let error = parse(bytes).expect_err("this file is broken");
    let message = error.to_string();
    assert!(message.contains(FILE), "{message}");
    (error, message)
}

#[track_caller]
fn refused(bytes: &[u8], parts: &[&str]) {
    let (_, message) = refusal(bytes);
    for part in parts {
        assert!(message.contains(part), "expected {part:?} in {message:?}");
    }
}

#[test]
fn every_metadata_type_reads_back_as_written() {
    let header = parse(&complete().finish()).unwrap();
    let get = |key: &str| header.metadata.get(key).unwrap_or_else(|| panic!("{key}")).clone();
    assert_eq!(get("v.u8"), Value::U8(200));
    assert_eq!(get("v.i8"), Value::I8(-100));
    assert_eq!(get("v.u16"), Value::U16(60_000));
    assert_eq!(get("v.i16"), Value::I16(-30_000));
    assert_eq!(get("v.u32"), Value::U32(4_000_000_000));
    assert_eq!(get("v.i32"), Value::I32(-2_000_000_000));
    assert_eq!(get("v.f32"), Value::F32(1.5));
    assert_eq!(get("v.bool"), Value::Bool(true));
    assert_eq!(get("v.text"), Value::String("grüße 🦀".into()));
    assert_eq!(get("v.u64"), Value::U64(u64::MAX));
    assert_eq!(get("v.i64"), Value::I64(i64::MIN));
    assert_eq!(get("v.f64"), Value::F64(0.1));
    assert_eq!(get("a.u8"), Value::Array(Array::U8(vec![1, 2, 255])));
    assert_eq!(get("a.i8"), Value::Array(Array::I8(vec![-1, 127])));
    assert_eq!(get("a.u16"), Value::Array(Array::U16(vec![1, 65535])));
    assert_eq!(get("a.i16"), Value::Array(Array::I16(vec![-2, 3])));
    assert_eq!(get("a.u32"), Value::Array(Array::U32(vec![7, 8, 9])));
    assert_eq!(get("a.i32"), Value::Array(Array::I32(vec![-7, 8])));
    assert_eq!(get("a.f32"), Value::Array(Array::F32(vec![0.0, -1.5, 3.25])));
    assert_eq!(get("a.bool"), Value::Array(Array::Bool(vec![true, false])));
    let texts = ["<s>", "", "▁the"].map(String::from).to_vec();
    assert_eq!(get("a.text"), Value::Array(Array::String(texts)));
    assert_eq!(get("a.u64"), Value::Array(Array::U64(vec![1, u64::MAX])));
    assert_eq!(get("a.i64"), Value::Array(Array::I64(vec![-1, i64::MAX])));
    assert_eq!(get("a.f64"), Value::Array(Array::F64(vec![2.5])));
    assert_eq!(get("a.empty"), Value::Array(Array::F32(vec![])));
    let inner = vec![Array::I32(vec![1, 2]), Array::String(vec!["x".into()])];
    assert_eq!(get("a.a"), Value::Array(Array::Array(inner)));
    let nest = |array| Array::Array(vec![array]);
    assert_eq!(get("a.a.a"), Value::Array(nest(nest(nest(Array::U8(vec![9]))))));

    let keys: Vec<_> = header.metadata.iter().map(|(key, _)| key.to_owned()).collect();
    let written: Vec<_> = complete().keys.into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, written, "keys keep their order");
}

#[test]
fn every_tensor_reads_back_as_written_in_both_versions() {
    for version in [2, 3] {
        let mut writer = complete();
        writer.version = version;
        let bytes = writer.finish();
        let header = parse(&bytes).unwrap();
        assert_eq!(header.version, version);
        assert_eq!(header.data_offset % 64, 0);
        assert_eq!(header.tensors().len(), writer.tensors.len());
        for (read, written) in header.tensors().iter().zip(&writer.tensors) {
            assert_eq!((&read.name, &read.dims), (&written.name, &written.dims));
            assert_eq!(read.kind.number(), written.number);
            assert_eq!(read.elements(), read.cols() * read.rows());
            let range = read.offset as usize..(read.offset + read.bytes) as usize;
            assert_eq!(bytes[range], written.data, "{}", read.name);
            assert_eq!(header.find(&written.name), Some(read));
        }
    }
}

#[test]
fn a_file_without_tensors_is_fine() {
    let bytes = GgufWriter::new().finish();
    assert_eq!(parse(&bytes[..24]).unwrap().tensors().len(), 0);
}

#[test]
fn accessors_convert_without_loss_and_refuse_the_rest() {
    let metadata = parse(&complete().finish()).unwrap().metadata;
    assert_eq!(metadata.u32("v.u8").unwrap(), 200);
    assert_eq!(metadata.u32("v.u32").unwrap(), 4_000_000_000);
    assert_eq!(metadata.u64("v.u64").unwrap(), u64::MAX);
    assert_eq!(metadata.f32("v.f64").unwrap(), 0.1);
    assert!(metadata.bool("v.bool").unwrap());
    assert_eq!(metadata.str("general.architecture").unwrap(), "llama");
    assert_eq!(metadata.strings("a.text").unwrap()[2], "▁the");
    assert_eq!(metadata.f32s("a.f32").unwrap(), [0.0, -1.5, 3.25]);
    assert_eq!(*metadata.i32s("a.i32").unwrap(), [-7, 8]);
    assert_eq!(*metadata.i32s("a.u32").unwrap(), [7, 8, 9]);
    assert_eq!(metadata.bools("a.bool").unwrap(), [true, false]);

    assert_eq!(metadata.opt_u32("absent").unwrap(), None);
    assert!(matches!(metadata.u32("absent"), Err(Error::MissingKey { .. })));
    // A wrong type is no absence: a default in its place would go unnoticed.
    for key in ["v.i8", "v.u64", "v.text", "a.u32", "v.f32"] {
        let message = metadata.opt_u32(key).unwrap_err().to_string();
        assert!(message.contains(key) && message.contains(FILE), "{message}");
    }
    assert!(metadata.opt_f32("v.u32").is_err());
    assert!(metadata.opt_bool("v.u8").is_err());
    assert!(metadata.opt_i32s("a.text").is_err());
}

#[test]
fn a_mapped_file_yields_its_data_and_names_what_it_lacks() {
    let folder = std::env::temp_dir().join(format!("ffai-gguf-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("plain.gguf");
    std::fs::write(&path, plain().finish()).unwrap();

    let gguf = Gguf::open(&path).unwrap();
    let norm = gguf.tensor("output_norm.weight").unwrap();
    assert_eq!((norm.kind, norm.cols(), norm.rows()), (TensorType::F32, 32, 1));
    assert_eq!(gguf.data(norm), [2; 128]);
    assert_eq!(gguf.file_bytes(), std::fs::metadata(&path).unwrap().len());
    assert_eq!(gguf.tensors().len(), 2);
    assert!(gguf.find("output.weight").is_none());
    let error = gguf.tensor("token_embed.weight").unwrap_err();
    assert!(error.to_string().contains("token_embed.weight"), "{error}");
    assert!(error.hint().unwrap().contains("token_embd.weight"));

    let absent = Gguf::open(&folder.join("absent.gguf")).unwrap_err();
    assert!(matches!(absent, Error::NotFound { .. }) && absent.hint().is_some(), "{absent}");
    assert!(matches!(Gguf::open(&folder), Err(Error::Io { .. })));
    std::fs::write(&path, b"").unwrap();
    assert!(matches!(Gguf::open(&path), Err(Error::NotGguf { .. })));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn every_shorter_file_is_refused() {
    let bytes = complete().finish();
    for length in 0..bytes.len() {
        refusal(&bytes[..length]);
    }
}

#[test]
fn a_download_that_stopped_early_is_told_from_a_damaged_file() {
    let bytes = plain().finish();
    let (error, message) = refusal(&bytes[..bytes.len() - 1]);
    assert!(message.contains("output_norm.weight"), "{message}");
    assert!(error.hint().unwrap().contains("fetch it again"));
}

#[test]
fn what_is_no_gguf_is_recognised_for_what_it_is() {
    let safetensors = [&60_u64.to_le_bytes()[..], br#"{"weight":{}}"#].concat();
    let cases: [(&[u8], &str); 6] = [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git-lfs"),
        (&safetensors, "safetensors"),
        (b"PK\x03\x04....", "PyTorch"),
        (b"lmgg\x01\0\0\0", "before GGUF"),
    ];
    for (bytes, part) in cases {
        let (error, message) = refusal(bytes);
        assert!(matches!(error, Error::NotGguf { .. }), "{message}");
        assert!(error.hint().unwrap().contains(part), "{message} {:?}", error.hint());
    }
}

#[test]
fn versions_and_byte_orders_that_are_not_read_are_named() {
    let with = |version| {
        let mut writer = plain();
        writer.version = version;
        writer.finish()
    };
    refused(&with(1), &["version 2 or 3", "found 1"]);
    refused(&with(4), &["found 4"]);
    refused(&with(0), &["found 0"]);
    refused(&with(3_u32.swap_bytes()), &["big-endian"]);
}

#[test]
fn a_count_that_would_allocate_gigabytes_is_refused() {
    for count in [1 << 20, 1 << 32, u64::MAX / 8, u64::MAX] {
        let mut keys = plain();
        keys.key_count = Some(count);
        refused(&keys.finish(), &["metadata key count", &count.to_string(), "at byte 16"]);
        let mut tensors = plain();
        tensors.tensor_count = Some(count);
        refused(&tensors.finish(), &["tensor count", &count.to_string(), "at byte 8"]);

        for kind in 0..13_u32 {
            let array = [&kind.to_le_bytes()[..], &count.to_le_bytes()].concat();
            let file = plain().key("k", Item::Raw(9, array)).finish();
            refused(&file, &["length of array `k`", &count.to_string()]);
        }
        let text = plain().key("k", Item::Raw(8, count.to_le_bytes().to_vec())).finish();
        refused(&text, &["length of value of `k`", &count.to_string()]);
    }
}

#[test]
fn a_count_that_fits_a_large_file_is_still_bounded() {
    let many = (1 << 20) + 1;
    let mut keys = plain();
    keys.key_count = Some(many);
    let mut tensors = plain();
    tensors.tensor_count = Some(many);
    for writer in [keys, tensors] {
        let mut bytes = writer.finish();
        bytes.resize(40 << 20, 0);
        refused(&bytes, &["count", "at most 1048576", "found 1048577"]);
    }
}

#[test]
fn a_file_cannot_make_the_parser_allocate_out_of_proportion() {
    let empty_texts = list(8, vec![Item::Text(""); 200_000]);
    let tiny_arrays = list(9, vec![list(0, [Item::U8(1)]); 50_000]);
    let deep = list(9, vec![list(9, [list(9, [list(8, [Item::Text("")])])]); 20_000]);
    let mut many_keys = GgufWriter::new();
    let mut many_tensors = GgufWriter::new();
    for index in 0..20_000 {
        many_keys = many_keys.key(&format!("{index}"), Item::U8(1));
        many_tensors = many_tensors.tensor(&format!("{index}"), &[1], 24, vec![1]);
    }
    let text = |item| GgufWriter::new().key("k", item);
    let files = [text(empty_texts), text(tiny_arrays), text(deep), many_keys, many_tensors];
    for file in files {
        let bytes = file.finish();
        let (result, peak) = peak_bytes(|| parse(&bytes));
        result.unwrap();
        assert!(peak <= allowed(bytes.len()), "{peak} bytes for a file of {}", bytes.len());
    }
}

#[test]
fn arrays_nest_four_deep_and_no_deeper() {
    let mut nested = list(0, [Item::U8(1)]);
    for depth in 2..=6 {
        nested = list(9, [nested]);
        let bytes = plain().key("nested", nested.clone()).finish();
        match depth {
            ..=4 => drop(parse(&bytes).unwrap()),
            _ => refused(&bytes, &["`nested`", "at most 4 deep"]),
        }
    }
}

#[test]
fn unknown_types_are_named_with_what_has_them() {
    let mut tensor = plain();
    tensor.tensors[1].number = 4; // Q4_2, dropped by ggml years ago
    refused(&tensor.finish(), &["`output_norm.weight`", "found 4"]);
    tensor.tensors[1].number = u32::MAX;
    refused(&tensor.finish(), &["`output_norm.weight`", "found 4294967295"]);
    refused(&plain().key("odd", Item::Raw(13, vec![0; 8])).finish(), &["`odd`", "found 13"]);
    let array = [&99_u32.to_le_bytes()[..], &0_u64.to_le_bytes()].concat();
    refused(&plain().key("odd", Item::Raw(9, array)).finish(), &["`odd`", "found 99"]);
}

#[test]
fn duplicate_names_are_refused() {
    let key = plain().key("general.architecture", Item::Text("qwen2"));
    refused(&key.finish(), &["`general.architecture`", "twice", "entries 0 and 1"]);
    let tensor = plain().tensor("output_norm.weight", &[32], 0, vec![0; 128]);
    refused(&tensor.finish(), &["`output_norm.weight`", "twice", "entries 1 and 2"]);
}

#[test]
fn tensors_that_are_misaligned_outside_or_overlapping_are_refused() {
    let at = |offset| {
        let mut writer = plain();
        writer.tensors[1].offset = Some(offset);
        writer.finish()
    };
    refused(&at(129), &["`output_norm.weight`", "multiple of 32", "129"]);
    refused(&at(1 << 40), &["cut short", "`output_norm.weight`"]);
    refused(&at(160), &["cut short", "128 bytes", "found 96"]);
    refused(&at(u64::MAX - 31), &["`output_norm.weight`", "less than the file"]);
    refused(&at(96), &["`output_norm.weight`", "`token_embd.weight` ends"]);
    refused(&at(0), &["`token_embd.weight`"]);
}

#[test]
fn shapes_that_make_no_sense_are_refused() {
    let with = |dims: &[u64]| {
        let mut writer = plain();
        writer.tensors[0].dims = dims.to_vec();
        writer.finish()
    };
    refused(&with(&[]), &["`token_embd.weight`", "1 to 4", "found 0"]);
    refused(&with(&[32, 1, 1, 1, 1]), &["`token_embd.weight`", "1 to 4", "found 5"]);
    refused(&with(&[32, 0]), &["Q8_0", "`token_embd.weight`", "zero", "[32, 0]"]);
    refused(&with(&[33, 3]), &["multiple of 32", "[33, 3]"]);
    refused(&with(&[1 << 32, 1 << 32]), &["64 bits"]);
    let mut bytes = plain();
    bytes.tensors[1].dims = vec![1 << 62]; // as many elements fit, as many bytes do not
    refused(&bytes.finish(), &["64 bits"]);
    refused(&with(&[32, 4]), &["`output_norm.weight`", "byte"]);
}

#[test]
fn alignments_that_are_no_small_power_of_two_are_refused() {
    for alignment in [0, 3, 48, 1 << 21, u32::MAX] {
        let bytes = plain().key("general.alignment", Item::U32(alignment)).finish();
        refused(&bytes, &["`general.alignment`", "power of two", &alignment.to_string()]);
    }
    let bytes = plain().key("general.alignment", Item::Text("32")).finish();
    refused(&bytes, &["`general.alignment`", "found a string"]);
}

#[test]
fn text_that_is_not_utf8_is_refused_with_its_place() {
    let bad = [&3_u64.to_le_bytes()[..], b"ab\xff"].concat();
    let bytes = GgufWriter::new().key("k", Item::Raw(8, bad.clone())).finish();
    // 24 bytes of header, 8 + 1 of key, 4 of type, 8 of length, and two good letters.
    refused(&bytes, &["value of `k`", "UTF-8", "0xff", "at byte 47"]);
    let array = [&8_u32.to_le_bytes()[..], &2_u64.to_le_bytes(), &[0; 8], &bad].concat();
    refused(&plain().key("k", Item::Raw(9, array)).finish(), &["element 1 of `k`", "UTF-8"]);
    refused(&plain().key("k", Item::Raw(7, vec![2])).finish(), &["`k`", "0 or 1", "found 2"]);
}

#[test]
fn hostile_names_do_not_reach_the_terminal_as_they_are() {
    let name = format!("\x1b[2J{}", "x".repeat(5000));
    let (_, message) = refusal(&plain().key(&name, Item::Raw(77, vec![])).finish());
    assert!(!message.contains('\x1b') && message.len() < 300, "{message:?}");
}

#[test]
fn fifty_thousand_mutants_neither_panic_nor_waste_memory() {
    const MUTANTS: u64 = 50_000;
    let original = complete().finish();
    let start = Instant::now();
    let mut sound = 0;
    for seed in 0..MUTANTS {
        let bytes = mutant(&original, seed);
        let tried = std::panic::catch_unwind(|| peak_bytes(|| parse(&bytes)));
        let Ok((result, peak)) = tried else { panic!("seed {seed} panics") };
        assert!(peak <= allowed(bytes.len()), "seed {seed}: {peak} bytes for {}", bytes.len());
        match result {
            Ok(header) => {
                sound += 1;
                check_soundness(&header, bytes.len() as u64, seed);
            }
            Err(error) => {
                let message = error.to_string();
                assert!(message.contains(FILE), "seed {seed}: {message}");
                assert!(message.len() < 500, "seed {seed}: {message}");
                drop(error.hint());
            }
        }
    }
    // Neither a mutator that changes nothing nor one that always breaks the magic would test much.
    assert!((MUTANTS / 50..MUTANTS / 2).contains(&sound), "{sound} of {MUTANTS} still parse");
    let took = start.elapsed();
    assert!(took < Duration::from_secs(60), "{took:?} for files of {} bytes", original.len());
}

fn check_soundness(header: &Header, file_bytes: u64, seed: u64) {
    let mut total = 0_u64;
    for tensor in header.tensors() {
        let end = tensor.offset.checked_add(tensor.bytes);
        assert!(end.is_some_and(|end| end <= file_bytes), "seed {seed}: {tensor:?}");
        assert!(tensor.offset >= header.data_offset, "seed {seed}: {tensor:?}");
        assert_eq!(tensor.elements(), tensor.cols() * tensor.rows(), "seed {seed}");
        assert_eq!(header.find(&tensor.name), Some(tensor), "seed {seed}");
        total += tensor.bytes;
    }
    assert!(total <= file_bytes, "seed {seed}: tensors of {total} bytes in {file_bytes}");
    for (key, value) in header.metadata.iter() {
        let same = header.metadata.get(key).is_some_and(|found| std::ptr::eq(found, value));
        assert!(same, "seed {seed}: {key:?}");
        drop((header.metadata.opt_u32(key), header.metadata.opt_i32s(key), value.to_string()));
    }
}
