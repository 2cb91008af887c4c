//! Tokenizers of Hugging Face folders against the reference implementation, and against our own reading of GGUF.
//!
//! `tests/golden/hf_tokenizers/make.py` says what the expected values are and what made them.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

use std::path::{Path, PathBuf};

use ffai::graph::Rng;
use ffai::text::{
    Bos, Controls, Detokenizer, EncodeOptions, Error, GenerationDefaults, Special, Start, Tokenizer, Vocabulary,
};
use ffai::weights::gguf::Gguf;
use folder::Folder;
use serde_json::{Value, json};

#[path = "support/folder.rs"]
mod folder;
#[path = "support/model.rs"]
mod model;

const FAMILIES: [&str; 8] = ["gpt2", "smollm", "qwen2", "llama3", "deepseek3", "gemma", "llama2", "mistral"];
const PARSE: EncodeOptions = EncodeOptions { special: Special::Parse, bos: Bos::Never };
const PLAIN: EncodeOptions = EncodeOptions { special: Special::Plain, bos: Bos::Never };
const AS_MODEL: EncodeOptions = EncodeOptions { special: Special::Parse, bos: Bos::AsModel };

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/hf_tokenizers").join(name)
}

fn json<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn texts() -> Vec<String> {
    json(&golden("texts.json"))
}

fn tokenizer(family: &str) -> Tokenizer {
    Tokenizer::from_folder(&golden(family)).unwrap()
}

/// Every family with each text and the reference's row for it.
fn rows() -> impl Iterator<Item = (&'static str, Tokenizer, Vec<(String, Value)>)> {
    FAMILIES.into_iter().map(|family| {
        let expected: Vec<Value> = json(&golden(family).join("expected.json"));
        let texts = texts();
        assert_eq!((texts.len(), expected.len()), (42, 42));
        (family, tokenizer(family), texts.into_iter().zip(expected).collect())
    })
}

fn ids(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn ids_equal_the_reference() {
    for (family, tokenizer, rows) in rows() {
        for (text, expected) in rows {
            let encode = |options| tokenizer.encode(&text, options).unwrap();
            assert_eq!(encode(PARSE), ids(&expected["parse"]), "{family}: {text:?}");
            assert_eq!(encode(AS_MODEL), ids(&expected["model"]), "{family}, as the model wants: {text:?}");
            let plain = expected.get("plain").unwrap_or(&expected["parse"]);
            assert_eq!(encode(PLAIN), ids(plain), "{family}, plain: {text:?}");
        }
    }
}

#[test]
fn text_equals_the_reference() {
    for (family, tokenizer, rows) in rows() {
        for (text, expected) in rows {
            let ids = ids(&expected["parse"]);
            let decode = |controls| String::from_utf8(tokenizer.decode(&ids, controls)).unwrap();
            assert_eq!(decode(Controls::Omit), expected["text"].as_str().unwrap(), "{family}: {text:?}");
            let shown = expected.get("shown").unwrap_or(&expected["text"]);
            assert_eq!(decode(Controls::Show), shown.as_str().unwrap(), "{family}, shown: {text:?}");
        }
    }
}

#[test]
fn text_comes_out_step_by_step_as_soon_as_it_is_certain() {
    for (family, tokenizer, rows) in rows() {
        for (text, expected) in rows {
            let whole: Vec<char> = expected["text"].as_str().unwrap().chars().collect();
            let mut detokenizer = Detokenizer::new(Start::Text, Controls::Omit);
            let mut given = String::new();
            for (&id, certain) in ids(&expected["parse"]).iter().zip(expected["steps"].as_array().unwrap()) {
                given.push_str(&detokenizer.push(&tokenizer, id));
                let certain: String = whole[..certain.as_u64().unwrap() as usize].iter().collect();
                assert_eq!(given, certain, "{family}: {text:?} at {id}");
            }
            assert_eq!(detokenizer.finish(), "", "{family}: {text:?}");
        }
    }
}

#[test]
fn plain_text_comes_back_unchanged() {
    for family in FAMILIES {
        let tokenizer = tokenizer(family);
        for text in texts() {
            // What changes text before it is encoded: composition, and `▁`, which stands for a space.
            if (family == "qwen2" && text.contains('\u{301}'))
                || (["gemma", "llama2", "mistral"].contains(&family) && text.contains('▁'))
                || (family == "mistral" && text.starts_with(' '))
            {
                continue;
            }
            let ids = tokenizer.encode(&text, PLAIN).unwrap();
            let back = tokenizer.decode(&ids, Controls::Omit);
            assert_eq!(String::from_utf8(back).unwrap(), text, "{family}");
        }
    }
}

/// What the files of each folder say, by hand.
#[test]
fn vocabulary_and_special_tokens_are_understood() {
    let facts = |family: &str| {
        let tokenizer = tokenizer(family);
        let text = |id: &u32| tokenizer.token_text(*id).unwrap().to_owned();
        let ends: Vec<String> = tokenizer.eos_ids().iter().map(text).collect();
        (tokenizer.vocab_size(), tokenizer.bos().as_ref().map(text), tokenizer.adds_bos(), ends)
    };
    let named = |text: &str| Some(text.to_owned());
    let ends = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let end = "<|endoftext|>";
    assert_eq!(facts("gpt2"), (701, named(end), false, ends(&[end])));
    assert_eq!(facts("smollm"), (703, named("<|im_start|>"), false, ends(&[end, "<|im_end|>"])));
    // Its tokenizer names no beginning; generation_config.json does.
    assert_eq!(facts("qwen2"), (707, named(end), false, ends(&[end, "<|im_end|>"])));
    let llama3 = ends(&["<|end_of_text|>", "<|eot_id|>"]);
    assert_eq!(facts("llama3"), (705, named("<|begin_of_text|>"), true, llama3));
    let (begin, end) = ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>");
    assert_eq!(facts("deepseek3"), (704, named(begin), true, ends(&[end])));
    let gemma = facts("gemma");
    assert_eq!((gemma.1, gemma.2, gemma.3), (named("<bos>"), true, ends(&["<eos>", "<end_of_turn>"])));
    for family in ["llama2", "mistral"] {
        let (_, bos, adds_bos, found) = facts(family);
        assert_eq!((bos, adds_bos, found), (named("<s>"), true, ends(&["</s>"])), "{family}");
        assert!(tokenizer(family).adds_space_prefix());
    }
    let qwen2 = tokenizer("qwen2");
    let id = |text: &str| (0..707).find(|&id| qwen2.token_text(id) == Some(text)).unwrap();
    assert!(qwen2.is_control(id("<|im_start|>")) && !qwen2.is_control(id("<think>")));
    assert_eq!((qwen2.token_bytes(id("<think>")), qwen2.token_bytes(id("<|im_start|>"))), (&b"<think>"[..], &b""[..]));
    let llama2 = tokenizer("llama2");
    assert_eq!((llama2.token_text(13), llama2.token_bytes(13)), (Some("<0x0A>"), &b"\n"[..]));
}

/// A copy of a golden folder, to be changed.
fn copy(family: &str) -> Folder {
    let folder = Folder::new();
    for entry in std::fs::read_dir(golden(family)).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.0.join(path.file_name().unwrap())).unwrap();
    }
    folder
}

fn set(folder: &Folder, file: &str, value: &Value) {
    folder.write(file, value.to_string().as_bytes());
}

#[test]
fn settings_overrule_the_template() {
    let folder = copy("llama3");
    let encode = || Tokenizer::from_folder(&folder.0).unwrap().encode("a", AS_MODEL).unwrap();
    let (begin, end) = (700, 704);
    let config = |more: Value| {
        let mut config = json!({"bos_token": "<|begin_of_text|>", "eos_token": {"content": "<|eot_id|>"}});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        set(&folder, "tokenizer_config.json", &config);
    };
    for (more, expected) in [
        (json!({}), vec![begin, 64]),
        (json!({"add_bos_token": null}), vec![begin, 64]),
        (json!({"add_bos_token": false}), vec![64]),
        (json!({"add_bos_token": true, "add_eos_token": true}), vec![begin, 64, end]),
    ] {
        config(more.clone());
        assert_eq!(encode(), expected, "{more}");
    }
    // Without any settings the template alone counts, and the special tokens map names the rest.
    std::fs::remove_file(folder.0.join("tokenizer_config.json")).unwrap();
    assert_eq!(encode(), [begin, 64]);
    assert_eq!(Tokenizer::from_folder(&folder.0).unwrap().bos(), Some(begin));
}

#[test]
fn ends_are_united_from_all_files() {
    let folder = copy("gpt2");
    let ends = || Tokenizer::from_folder(&folder.0).unwrap().eos_ids().to_vec();
    assert_eq!(ends(), [700]);
    set(&folder, "generation_config.json", &json!({"eos_token_id": [3, 700]}));
    assert_eq!(ends(), [3, 700]);
    set(&folder, "config.json", &json!({"eos_token_id": 5, "text_config": {"eos_token_id": [7]}}));
    assert_eq!(ends(), [3, 5, 7, 700]);
}

#[test]
fn special_tokens_that_only_the_settings_name_are_special() {
    let folder = copy("gpt2");
    let find = |tokenizer: &Tokenizer, text: &str| (0..700).find(|&id| tokenizer.token_text(id) == Some(text)).unwrap();
    let before = Tokenizer::from_folder(&folder.0).unwrap();
    let tion = find(&before, "tion");
    assert!(!before.is_control(tion));
    let config = json!({"eos_token": "<|endoftext|>", "additional_special_tokens": ["tion", {"content": "ing"}, 7]});
    set(&folder, "tokenizer_config.json", &config);
    let after = Tokenizer::from_folder(&folder.0).unwrap();
    assert!(after.is_control(tion) && after.is_control(find(&after, "ing")));
    assert_eq!(after.encode("xtionx", PARSE).unwrap().iter().filter(|&&id| id == tion).count(), 1);
    // And a token that only `tokenizer_config.json` adds.
    let added = json!({"701": {"content": "<new>", "special": false, "lstrip": true}});
    set(&folder, "tokenizer_config.json", &json!({"added_tokens_decoder": added}));
    let tokenizer = Tokenizer::from_folder(&folder.0).unwrap();
    assert_eq!(tokenizer.vocab_size(), 702);
    assert_eq!(tokenizer.encode("a <new>", PARSE).unwrap(), [64, 701]);
    assert_eq!(tokenizer.decode(&[701], Controls::Omit), b"<new>");
}

#[test]
fn defaults_of_generation_are_read() {
    let qwen2 = GenerationDefaults::from_folder(&golden("qwen2")).unwrap();
    let expected = GenerationDefaults {
        do_sample: Some(true),
        temperature: Some(0.6),
        top_k: Some(20),
        top_p: Some(0.95),
        eos_ids: vec![702, 700],
        bos_id: Some(700),
        ..GenerationDefaults::default()
    };
    assert_eq!(qwen2, expected);
    assert_eq!(GenerationDefaults::from_folder(&golden("gpt2")).unwrap(), GenerationDefaults::default());
    let folder = Folder::new();
    set(&folder, "generation_config.json", &json!({"min_p": 0, "repetition_penalty": 1.1, "top_k": 0, "top_p": 1}));
    let read = GenerationDefaults::from_folder(&folder.0).unwrap();
    assert_eq!(
        (read.min_p, read.repetition_penalty, read.top_k, read.top_p),
        (Some(0.0), Some(1.1), Some(0), Some(1.0))
    );
}

#[test]
fn defaults_outside_their_range_are_refused_by_key_and_file() {
    let folder = Folder::new();
    let file = folder.0.join("generation_config.json").display().to_string();
    for (key, value, expected) in [
        ("temperature", json!(-0.1), "expected a number from 0 to 100, found -0.1"),
        ("temperature", json!("hot"), "expected a number from 0 to 100, found `hot`"),
        ("top_k", json!(-1), "expected a whole number of 32 bits, found -1"),
        ("top_k", json!(1.5), "expected a whole number of 32 bits, found 1.5"),
        ("top_p", json!(0), "expected a number above 0, at most 1, found 0"),
        ("top_p", json!(1e-300), "expected a number above 0, at most 1, found 1e-300"),
        ("min_p", json!(1.1), "expected a number from 0 to 1, found 1.1"),
        ("repetition_penalty", json!(0.0), "expected a number from 0.01 to 100, found 0.0"),
        ("do_sample", json!(1), "expected true or false, found 1"),
        ("eos_token_id", json!([1, -1]), "expected a token id or a list of them, found -1"),
        ("bos_token_id", json!({}), "expected a token id or a list of them, found an object"),
    ] {
        set(&folder, "generation_config.json", &json!({ key: value }));
        let error = GenerationDefaults::from_folder(&folder.0).unwrap_err();
        assert_eq!(error.to_string(), format!("{file}: {key}: {expected}"));
    }
    for text in ["[]", "{", "nothing"] {
        folder.write("generation_config.json", text.as_bytes());
        let error = GenerationDefaults::from_folder(&folder.0).unwrap_err();
        assert!(matches!(&error, Error::Entry { what, .. } if what == "JSON"), "{error}");
    }
}

/// The vocabulary of a GGUF file, as `tokenizer.json` would have it.
fn as_hugging_face(gguf: &Gguf) -> Value {
    let keys = gguf.metadata();
    let tokens = keys.strings("tokenizer.ggml.tokens").unwrap();
    let kinds = keys.opt_i32s("tokenizer.ggml.token_type").unwrap().unwrap();
    let merges = keys.strings("tokenizer.ggml.merges").unwrap();
    let control = |(id, text): (usize, &String)| {
        (kinds[id] == 3).then(|| json!({"id": id, "content": text, "special": true, "normalized": false}))
    };
    let vocab: serde_json::Map<String, Value> =
        tokens.iter().enumerate().map(|(id, text)| (text.clone(), json!(id))).collect();
    json!({
        "added_tokens": tokens.iter().enumerate().filter_map(control).collect::<Vec<_>>(),
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Digits", "individual_digits": true},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        ]},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "vocab": vocab, "merges": merges},
    })
}

#[test]
fn the_same_vocabulary_gives_the_same_tokens_from_gguf_and_from_a_folder() {
    let Some(path) = model::real("smollm2") else { return };
    let gguf = Gguf::open(&path).unwrap();
    let folder = Folder::new();
    set(&folder, "tokenizer.json", &as_hugging_face(&gguf));
    set(&folder, "tokenizer_config.json", &json!({"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"}));
    let ours = Tokenizer::new(Vocabulary::from_gguf(gguf.metadata()).unwrap()).unwrap();
    let theirs = Tokenizer::from_folder(&folder.0).unwrap();

    assert_eq!(theirs.vocab_size(), ours.vocab_size());
    assert_eq!((theirs.bos(), theirs.adds_bos(), theirs.eos_ids()), (ours.bos(), ours.adds_bos(), ours.eos_ids()));
    for id in 0..ours.vocab_size() as u32 {
        assert_eq!(theirs.token_bytes(id), ours.token_bytes(id), "{id}");
        assert_eq!(theirs.is_control(id), ours.is_control(id), "{id}");
    }
    let mut texts = texts();
    let alphabet: Vec<char> = "aZé日1٣ \n\r\t'sl.!(😀\u{301}\u{a0}_<|im_end|>".chars().collect();
    let mut random = Rng(3);
    for _ in 0..500 {
        texts.push((0..random.below(40)).map(|_| alphabet[random.below(alphabet.len() as u32) as usize]).collect());
    }
    for text in texts {
        for options in [PARSE, PLAIN, AS_MODEL] {
            assert_eq!(theirs.encode(&text, options).unwrap(), ours.encode(&text, options).unwrap(), "{text:?}");
        }
    }
}

/// The tokenizers of the golden models, with what transformers made of a few texts.
#[test]
fn golden_checkpoints_encode_and_decode_as_in_transformers() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let families = std::fs::read_dir(&golden).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let families = families.filter(|family| golden.join(family).join("hf/tokenizer.json").is_file());
    let families: Vec<String> = families.collect();
    assert!(families.len() >= 7, "{families:?}");
    for family in &families {
        let tokenizer = Tokenizer::from_folder(&golden.join(family).join("hf")).unwrap();
        let rows: Vec<Value> = json(&golden.join(family).join("tokenization.json"));
        for row in rows {
            let text = row["text"].as_str().unwrap();
            assert_eq!(tokenizer.encode(text, AS_MODEL).unwrap(), ids(&row["ids"]), "{family}: {text:?}");
            let without_bos = ids(&row["ids_without_bos"]);
            assert_eq!(tokenizer.encode(text, PARSE).unwrap(), without_bos, "{family}: {text:?}");
            let decoded = String::from_utf8(tokenizer.decode(&without_bos, Controls::Show)).unwrap();
            assert_eq!(decoded, row["decoded"].as_str().unwrap(), "{family}: {text:?}");
        }
    }
}
