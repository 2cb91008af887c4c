//! Tokenizers come from strangers: a broken one is an error with a reason, never a panic, a long wait or a large allocation.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ffai::graph::Rng;
use ffai::text::{Bos, Controls, EncodeOptions, Error, Special, Tokenizer};
use folder::Folder;
use mutate::mutant;
use peak_memory::{Counting, peak_bytes};
use serde_json::{Value, json};

#[path = "support/folder.rs"]
mod folder;
#[path = "support/mutate.rs"]
mod mutate;
#[path = "support/peak_memory.rs"]
mod peak_memory;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const FILE: &str = "tokenizer.json";

fn golden(family: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/hf_tokenizers").join(family)
}

fn sound(family: &str) -> Value {
    serde_json::from_slice(&std::fs::read(golden(family).join(FILE)).unwrap()).unwrap()
}

/// What a folder is refused with, its path left out.
fn refusal(folder: &Folder) -> String {
    let error = Tokenizer::from_folder(&folder.0).expect_err("this tokenizer is broken");
    assert!(error.hint().is_some() || matches!(error, Error::Read { .. }), "{error}");
    error
        .to_string()
        .replace(&format!("{}/", folder.0.display()), "")
        .replace(&folder.0.display().to_string(), "FOLDER")
}

/// What is said of the golden tokenizer of `family` after `change`.
fn changed(family: &str, change: impl FnOnce(&mut Value)) -> String {
    let folder = Folder::new();
    let mut tokenizer = sound(family);
    change(&mut tokenizer);
    folder.write(FILE, tokenizer.to_string().as_bytes());
    refusal(&folder)
}

#[test]
fn impossible_models_are_refused() {
    let merge = |merge: Value| changed("gpt2", |json| json["model"]["merges"][3] = merge);
    let start = "tokenizer.json: merge 3 of";
    let expected = "expected two tokens that make a token, found no token";
    assert_eq!(merge(json!("qqq th")), format!("{start} `qqq` and `th`: {expected} `qqq`"));
    assert_eq!(merge(json!(["th", "qqq"])), format!("{start} `th` and `qqq`: {expected} `qqq`"));
    assert_eq!(merge(json!(["q", "q"])), format!("{start} `q` and `q`: {expected} `qq`"));
    assert_eq!(merge(json!(["", ""])), format!("{start} `` and ``: {expected} ``"));
    for wrong in [json!("a b c"), json!("ab"), json!([]), json!(["a"]), json!(["a", "b", "c"]), json!(7), json!(null)] {
        let message = merge(wrong.clone());
        assert!(
            message.starts_with("tokenizer.json: JSON: expected a tokenizer, found invalid "),
            "{wrong}: {message}"
        );
    }

    let model = |key: &str, value: Value| changed("gpt2", |json| json["model"][key] = value);
    assert_eq!(
        model("type", json!("Unigram")),
        "tokenizer.json: model: expected byte-pair encoding, `BPE`, found `Unigram`"
    );
    assert_eq!(
        model("unk_token", json!("<no>")),
        "tokenizer.json: unk_token: expected a token of the vocabulary, found `<no>`"
    );
    assert_eq!(
        model("dropout", json!(0.1)),
        "tokenizer.json: dropout of the model: expected none, so that text always gives the same tokens, found 0.1"
    );
    assert_eq!(
        model("end_of_word_suffix", json!("</w>")),
        "tokenizer.json: end_of_word_suffix: expected none, found `</w>`"
    );
    let unigram =
        changed("gpt2", |json| json["model"] = json!({"type": "Unigram", "vocab": [["a", -1.5]], "unk_id": 0}));
    assert_eq!(unigram, "tokenizer.json: model: expected byte-pair encoding, `BPE`, found `Unigram`");
    let none = changed("gpt2", |json| {
        json["model"] = json!({"type": "BPE", "vocab": {}, "merges": []});
        json["added_tokens"] = json!([]);
    });
    assert_eq!(none, "tokenizer.json: vocabulary: expected at least one token, found none");
}

#[test]
fn impossible_ids_are_refused() {
    let id = |id: Value| changed("gpt2", |json| json["model"]["vocab"]["the"] = id);
    assert_eq!(id(json!(64)), "tokenizer.json: token `the`: expected its id 64 for no other, found it also for `a`");
    assert_eq!(
        id(json!(4_000_000)),
        "tokenizer.json: token id: expected one below 66938, for so few tokens, found 4000000"
    );
    for wrong in [json!(-1), json!(1_u64 << 32), json!(1.5), json!("7")] {
        let message = id(wrong.clone());
        assert!(
            message.starts_with("tokenizer.json: JSON: expected a tokenizer, found invalid "),
            "{wrong}: {message}"
        );
    }
    let added = |id: Value| changed("qwen2", |json| json["added_tokens"][2]["id"] = id);
    let of = "tokenizer.json: id of added token `<|im_end|>`";
    assert_eq!(added(json!(64)), format!("{of}: expected 700, the next free one, found 64"));
    // It is numbered last then, and those after it move up.
    let before = "tokenizer.json: id of added token `<tool_call>`";
    assert_eq!(added(json!(900)), format!("{before}: expected 702, the next free one, found 703"));
    let twice = changed("qwen2", |json| json["added_tokens"][2] = json["added_tokens"][1].clone());
    assert_eq!(twice, "tokenizer.json: id of added token `<tool_call>`: expected 702, the next free one, found 703");

    // The settings beside it, too.
    let folder = Folder::new();
    folder.write(FILE, sound("gpt2").to_string().as_bytes());
    for (file, settings, expected) in [
        (
            "generation_config.json",
            json!({"eos_token_id": 701}),
            "eos_token_id: expected an id below 701, the number of tokens, found 701",
        ),
        (
            "generation_config.json",
            json!({"bos_token_id": 999}),
            "bos_token_id: expected an id below 701, the number of tokens, found 999",
        ),
        (
            "config.json",
            json!({"eos_token_id": [1, 4_294_967_295_u64]}),
            "eos_token_id: expected an id below 701, the number of tokens, found 4294967295",
        ),
        (
            "config.json",
            json!({"eos_token_id": "</s>"}),
            "eos_token_id: expected a token id or a list of them, found `</s>`",
        ),
        (
            "tokenizer_config.json",
            json!({"eos_token": "<none>"}),
            "eos_token: expected a token of tokenizer.json, found `<none>`",
        ),
        ("tokenizer_config.json", json!({"bos_token": [1]}), "bos_token: expected a token's text, found a list"),
        (
            "tokenizer_config.json",
            json!({"pad_token": {"text": "x"}}),
            "pad_token: expected a token's text, found an object",
        ),
        (
            "tokenizer_config.json",
            json!({"bos_token": "<|endoftext|>", "add_bos_token": "yes"}),
            "add_bos_token: expected true or false, found `yes`",
        ),
        (
            "tokenizer_config.json",
            json!({"added_tokens_decoder": {"x": {"content": "y"}}}),
            "added_tokens_decoder: expected added tokens by id, found an object",
        ),
        (
            "tokenizer_config.json",
            json!({"added_tokens_decoder": {"3": {"content": "<|endoftext|>"}}}),
            "id of added token `<|endoftext|>`: expected 700, as in tokenizer.json, found 3",
        ),
        ("special_tokens_map.json", json!({"eos_token": 5}), "eos_token: expected a token's text, found 5"),
        ("special_tokens_map.json", json!([]), "JSON: expected an object, found a list"),
    ] {
        folder.write(file, settings.to_string().as_bytes());
        assert_eq!(refusal(&folder), format!("{file}: {expected}"));
        std::fs::remove_file(folder.0.join(file)).unwrap();
    }
}

#[test]
fn components_that_are_not_built_in_are_refused() {
    let set = |key: &str, value: Value| changed("qwen2", |json| json[key] = value);
    let known = "one of Sequence, Replace, Prepend, NFC, NFD, NFKC, NFKD, Lowercase, Strip, StripAccents";
    for value in
        [json!({"type": "Precompiled", "precompiled_charsmap": "AAAA"}), json!({"type": "Nmt"}), json!([]), json!({})]
    {
        let kind = value["type"].as_str().unwrap_or("").to_owned();
        assert_eq!(set("normalizer", value), format!("tokenizer.json: normalizer: expected {known}, found `{kind}`"));
    }
    let known = "one of Sequence, Split, ByteLevel, Metaspace, Digits, Punctuation, Whitespace, WhitespaceSplit";
    let nested = json!({"type": "Sequence", "pretokenizers": [{"type": "FixedLength", "length": 0}]});
    assert_eq!(
        set("pre_tokenizer", nested),
        format!("tokenizer.json: pre_tokenizer: expected {known}, found `FixedLength`")
    );
    let missing = json!({"type": "Split", "pattern": {"Regex": "a"}});
    assert!(set("pre_tokenizer", missing).starts_with(
        "tokenizer.json: pre_tokenizer: expected what the tokenizers library takes, found `missing field"
    ));

    assert_eq!(
        set("decoder", json!(null)),
        "tokenizer.json: decoder: expected ByteLevel, or one that turns `▁` into spaces, found `null`"
    );
    let ctc = r#"tokenizer.json: decoder: expected steps that are ByteLevel, ByteFallback, Fuse, Metaspace, Replace or Strip, found `{"type":"CTC"}`"#;
    assert_eq!(set("decoder", json!({"type": "CTC"})), ctc);
    let strip = json!({"type": "Sequence", "decoders": [{"type": "Strip", "content": " ", "start": 2, "stop": 0}]});
    assert!(set("decoder", strip).contains("expected a Strip of at most one space at the start"));
    let bert = json!({"type": "BertProcessing", "sep": ["a", 1], "cls": ["b", 2]});
    assert!(set("post_processor", bert).contains("expected steps that are ByteLevel or TemplateProcessing"));
    let far = json!({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x"}}, {"Sequence": {"id": "A"}}], "special_tokens": {"x": {"ids": [707]}}});
    assert_eq!(set("post_processor", far), "tokenizer.json: post_processor: expected ids below 707, found 707");
}

#[test]
fn expressions_and_replacements_that_would_cost_too_much_are_refused() {
    let split = |regex: &str| {
        let start = Instant::now();
        let split = json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false});
        let (message, peak) = peak_bytes(|| changed("qwen2", |json| json["pre_tokenizer"] = split));
        assert!(start.elapsed() < Duration::from_secs(5) && peak < 256 << 20, "{regex}: {:?}, {peak}", start.elapsed());
        message
    };
    let refused = "tokenizer.json: pre_tokenizer: expected what the tokenizers library takes, found `";
    for invalid in ["(", "[", "a{2,1}", "(?<", r"\p{Klingon}", "*", r"\1", "(?P<a", "\\"] {
        assert!(split(invalid).starts_with(refused), "{invalid}");
    }
    assert!(split(&"(".repeat(10_000)).starts_with(refused));
    assert!(split(r"(?=(?:\p{L}{30}){30})").starts_with(refused), "compiles to more than the library allows");
    let too_much = |what: &str| {
        format!("tokenizer.json: pre_tokenizer: expected less {what}, found more than any known tokenizer has")
    };
    assert_eq!(split(&"a".repeat(20_000)), too_much("bytes of patterns"));
    assert_eq!(split(r"(?=\p{L}{50})(?=\p{L}{50})"), too_much("counted repetitions"));
    assert_eq!(split("a{99999999999999999999}"), too_much("counted repetitions"));

    let normalizer = |steps: Vec<Value>| {
        changed("qwen2", |json| json["normalizer"] = json!({"type": "Sequence", "normalizers": steps}))
    };
    let doubling = json!({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"});
    let message = normalizer(vec![doubling; 30]);
    assert_eq!(
        message,
        "tokenizer.json: normalizer: expected less growth of the text, found more than any known tokenizer has"
    );
    let message = normalizer(vec![json!({"type": "NFC"}); 100]);
    assert_eq!(
        message,
        "tokenizer.json: normalizer: expected less components, found more than any known tokenizer has"
    );
    let message = normalizer(vec![json!({"type": "Replace", "pattern": {"String": ""}, "content": "a"})]);
    assert_eq!(message, "tokenizer.json: pattern of a Replace: expected at least one character, found none");
    let message = normalizer(vec![json!({"type": "Prepend", "prepend": ""})]);
    assert_eq!(message, "tokenizer.json: prepend of a Prepend: expected at least one character, found none");
}

#[test]
fn json_that_is_broken_deep_or_large_is_refused() {
    let folder = Folder::new();
    assert_eq!(refusal(&folder), "no tokenizer.json in FOLDER");
    folder.write("tokenizer.model", b"");
    assert_eq!(refusal(&folder), "no tokenizer.json in FOLDER, only a tokenizer.model");
    let hint = Tokenizer::from_folder(&folder.0).unwrap_err().hint().unwrap();
    assert!(hint.contains("save_pretrained"), "{hint}");

    let deep = |key: &str| format!("{{\"{key}\": {}", "[".repeat(1 << 20));
    for (text, expected) in [
        (String::new(), "EOF while parsing a value (at byte 0)"),
        ("{}".to_owned(), "missing field `model` (at byte 1)"),
        (
            "7".to_owned(),
            "invalid type: integer `7`, expected an object as the tokenizers library writes it (at byte 0)",
        ),
        (
            "{\"model\": {\"vocab\": \"x\"}}".to_owned(),
            "invalid type: string \"x\", expected a map from tokens to ids (at byte 22)",
        ),
        (deep("pre_tokenizer"), "recursion limit exceeded (at byte 144)"),
        (deep("unknown"), "EOF while parsing a list (at byte 1048587)"),
    ] {
        folder.write(FILE, text.as_bytes());
        let start = Instant::now();
        let (message, peak) = peak_bytes(|| refusal(&folder));
        assert_eq!(message, format!("tokenizer.json: JSON: expected a tokenizer, found {expected}"));
        assert!(peak < 16 << 20 && start.elapsed() < Duration::from_secs(2), "{peak} bytes, {:?}", start.elapsed());
    }
    folder.write(FILE, b"{\"model\": {\"vocab\": {\"\xff\": 0}}}");
    assert!(refusal(&folder).contains("invalid unicode code point"));

    let file = std::fs::File::create(folder.0.join(FILE)).unwrap();
    file.set_len(1 << 36).unwrap(); // takes no room on disk
    let (message, peak) = peak_bytes(|| refusal(&folder));
    assert_eq!(message, "tokenizer.json: file: expected at most 134217728 bytes, found more");
    assert!(peak < 512 << 20, "{peak}");
    std::fs::remove_file(folder.0.join(FILE)).unwrap();
    std::fs::create_dir(folder.0.join(FILE)).unwrap();
    assert_eq!(refusal(&folder), "cannot read tokenizer.json: is a directory");
}

#[test]
fn huge_and_many_added_tokens_cost_in_proportion_or_are_refused() {
    let add = |tokens: &[String]| {
        let folder = Folder::new();
        let mut json = sound("gpt2");
        let list = json["added_tokens"].as_array_mut().unwrap();
        for (id, text) in tokens.iter().enumerate() {
            list.push(json!({"id": 701 + id, "content": text, "special": true, "normalized": false}));
        }
        folder.write(FILE, json.to_string().as_bytes());
        let start = Instant::now();
        let (result, peak) = peak_bytes(|| Tokenizer::from_folder(&folder.0));
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        (result, peak)
    };
    let (result, _) = add(&["x".repeat(9 << 20)]);
    let message = result.unwrap_err().to_string();
    assert!(message.ends_with("added_tokens: expected at most 8388608 bytes of text, found more"), "{message}");
    let mut random = Rng(5);
    let mut text = |length: usize| (0..length).map(|_| char::from(33 + random.below(90) as u8)).collect::<String>();
    let bytes = 1 << 20;
    for tokens in [vec![text(bytes)], (0..bytes / 16).map(|_| text(16)).collect()] {
        let (result, peak) = add(&tokens);
        assert!(result.is_ok(), "{result:?}");
        assert!(peak < 300 * bytes, "{peak} bytes for {} tokens of {bytes}", tokens.len());
    }
}

#[test]
fn hostile_texts_do_not_reach_the_terminal_as_they_are() {
    let hostile = format!("\x1b[2J{}", "x".repeat(5000));
    for message in [
        changed("gpt2", |json| json["model"]["merges"][0] = json!([hostile, "a"])),
        changed("gpt2", |json| json["model"]["unk_token"] = json!(hostile)),
        changed("gpt2", |json| json["model"]["type"] = json!(hostile)),
        changed("gpt2", |json| json["decoder"]["type"] = json!(hostile)),
        changed("gpt2", |json| json["pre_tokenizer"]["type"] = json!(hostile)),
        changed("gpt2", |json| json["model"]["vocab"] = json!(hostile)),
    ] {
        assert!(!message.contains('\x1b') && message.chars().count() < 500, "{message:?}");
    }
}

const TEXTS: [&str; 4] = ["Hello  world,\n it's 12345 日本 é😀", "<|im_start|>user<s>▁▁ <think>\n", "", "   \u{301}\0"];

/// Opens a folder, and if it opens, sends text through. `None` where that panics.
fn attempt(folder: &Folder) -> Option<bool> {
    let opened = std::panic::catch_unwind(|| {
        let tokenizer = Tokenizer::from_folder(&folder.0).map_err(|error| {
            assert!(error.to_string().chars().count() < 700, "{error}");
        });
        let Ok(tokenizer) = tokenizer else { return false };
        for text in TEXTS {
            for special in [Special::Parse, Special::Plain] {
                if let Ok(ids) = tokenizer.encode(text, EncodeOptions { special, bos: Bos::AsModel }) {
                    assert!(ids.iter().all(|id| (*id as usize) < tokenizer.vocab_size()), "{ids:?}");
                    assert!(tokenizer.decode(&ids, Controls::Show).len() < 10_000);
                }
            }
        }
        assert!(tokenizer.eos_ids().iter().all(|id| (*id as usize) < tokenizer.vocab_size()));
        true
    });
    opened.ok()
}

/// What stands in files, and what should not.
fn junk(random: &mut Rng) -> Value {
    match random.below(16) {
        0 => json!(null),
        1 => json!(random.below(2) == 0),
        2 => json!(random.below(800)),
        3 => json!(u64::MAX),
        4 => json!(-1),
        5 => json!(0.5),
        6 => json!(""),
        7 => json!("▁"),
        8 => json!(" "),
        9 => json!("<|im_end|>"),
        10 => json!(["a", "b"]),
        11 => json!([]),
        12 => {
            let expressions = [r"\s+", r"(?=a)", "", "a|", r"\b", "(?!x)", "[^a]*"];
            json!({"Regex": expressions[random.below(7) as usize]})
        }
        13 => {
            let strings = ["", " ", "▁", "e", "\n"];
            json!({"String": strings[random.below(5) as usize]})
        }
        14 => {
            let kinds =
                ["Sequence", "Replace", "Prepend", "NFKC", "Strip", "Split", "ByteLevel", "Metaspace", "Digits"];
            let more = ["Punctuation", "Whitespace", "WhitespaceSplit", "Lowercase", "StripAccents", "Fuse", "BPE"];
            let kind = kinds.iter().chain(&more).nth(random.below(16) as usize).unwrap();
            json!({"type": kind, "pattern": {"Regex": r"\w*"}, "content": "ab", "prepend": "é", "behavior": "MergedWithNext",
                "invert": true, "replacement": "▁", "prepend_scheme": "first", "add_prefix_space": true, "trim_offsets": true,
                "use_regex": true, "strip_left": true, "strip_right": true, "individual_digits": false, "split": true})
        }
        _ => json!({}),
    }
}

/// Puts junk somewhere below `value`, or takes something away there.
fn spoil(value: &mut Value, random: &mut Rng) {
    let deeper = random.below(6) > 0;
    match value {
        Value::Object(fields) if deeper && !fields.is_empty() => {
            let at = random.below(fields.len() as u32) as usize;
            let key = fields.keys().nth(at).unwrap().clone();
            if random.below(12) == 0 {
                fields.remove(&key);
            } else {
                spoil(fields.get_mut(&key).unwrap(), random);
            }
        }
        Value::Array(list) if deeper && !list.is_empty() => {
            let at = random.below(list.len() as u32) as usize;
            match random.below(12) {
                0 => drop(list.remove(at)),
                1 => list.push(list[at].clone()),
                _ => spoil(&mut list[at], random),
            }
        }
        value => *value = junk(random),
    }
}

#[test]
fn tokenizers_whose_parts_do_not_fit_never_panic() {
    const MISFITS: u64 = 2000;
    let families = ["qwen2", "llama3", "gemma", "llama2", "mistral", "deepseek3"];
    let originals = families.map(sound);
    let folder = Folder::new();
    let start = Instant::now();
    let (mut opened, mut worst) = (0, 0);
    for seed in 0..MISFITS {
        let mut random = Rng(seed);
        let mut json = originals[seed as usize % families.len()].clone();
        for _ in 0..1 + random.below(3) {
            spoil(&mut json, &mut random);
        }
        folder.write(FILE, json.to_string().as_bytes());
        let (result, peak) = peak_bytes(|| attempt(&folder));
        let Some(sound) = result else { panic!("seed {seed} panics") };
        opened += u64::from(sound);
        worst = worst.max(peak);
    }
    println!("{opened} of {MISFITS} opened, at most {worst} bytes, {:?}", start.elapsed());
    assert!((MISFITS / 20..MISFITS * 9 / 10).contains(&opened), "{opened} of {MISFITS} still open");
    assert!(worst < 128 << 20, "{worst} bytes");
    assert!(start.elapsed() < Duration::from_secs(120), "{:?}", start.elapsed());
}

#[test]
fn tokenizers_of_flipped_bytes_never_panic() {
    const MUTANTS: u64 = 1000;
    let original = std::fs::read(golden("llama2").join(FILE)).unwrap();
    let folder = Folder::new();
    let start = Instant::now();
    let mut opened = 0;
    for seed in 0..MUTANTS {
        folder.write(FILE, &mutant(&original, seed));
        let (result, peak) = peak_bytes(|| attempt(&folder));
        let Some(sound) = result else { panic!("seed {seed} panics") };
        assert!(peak < 64 << 20, "seed {seed}: {peak} bytes");
        opened += u64::from(sound);
    }
    println!("{opened} of {MUTANTS} opened in {:?}", start.elapsed());
    assert!(opened > 3, "{opened} of {MUTANTS} still open");
    assert!(start.elapsed() < Duration::from_secs(120), "{:?}", start.elapsed());
}
