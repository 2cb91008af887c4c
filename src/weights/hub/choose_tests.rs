//! Lists of files as real repositories have them, and what is chosen from each.

use super::*;

fn files(list: &[(&str, u64)]) -> Vec<File> {
    list.iter().map(|(path, bytes)| File { path: (*path).to_owned(), bytes: *bytes }).collect()
}

fn chosen(name: &str, list: &[(&str, u64)], memory: u64) -> Result<Vec<String>, Error> {
    choose(&Name::parse(name).unwrap(), &files(list), memory).map(|choice| choice.files)
}

/// Names as they are found on the hub: bartowski, unsloth, TheBloke, QuantFactory, ggml-org, Qwen.
#[test]
fn quantizations_are_read_from_names() {
    for (path, label) in [
        ("SmolLM2-135M-Instruct-Q4_K_M.gguf", "Q4_K_M"),
        ("llama-2-7b.Q5_0.gguf", "Q5_0"),
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "Q4_1"),
        ("qwen2.5-0.5b-instruct-q8_0.gguf", "q8_0"),
        ("qwen2.5-7b-instruct-q4_k_m-00001-of-00002.gguf", "q4_k_m"),
        ("Qwen3-8B-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
        ("UD-IQ1_S/DeepSeek-R1-UD-IQ1_S-00001-of-00003.gguf", "UD-IQ1_S"),
        ("BF16/Model-00001-of-00002.gguf", "BF16"),
        ("gemma-3-270m-it-F16.gguf", "F16"),
        ("gpt-oss-20b-mxfp4.gguf", "mxfp4"),
        ("model_Q6_K.gguf", "Q6_K"),
        ("Q4_0_4_4-model.gguf", "Q4_0_4_4"),
        ("TQ1_0.gguf", "TQ1_0"),
        ("ggml-model.gguf", ""),
        ("Qwen2-7B.gguf", ""),
    ] {
        assert_eq!(quantization(path), label, "{path}");
    }
}

const SEVERAL: &[(&str, u64)] = &[
    ("README.md", 1),
    ("m-Q4_K_M.gguf", 400),
    ("m-Q8_0.gguf", 800),
    ("m-f16.gguf", 1600),
    ("mmproj-m-f16.gguf", 100),
    ("m.imatrix.gguf", 10),
];

#[test]
fn the_largest_that_fits_is_taken() {
    assert_eq!(chosen("o/r", SEVERAL, 1600).unwrap(), ["m-f16.gguf"]);
    assert_eq!(chosen("o/r", SEVERAL, 1599).unwrap(), ["m-Q8_0.gguf"]);
    assert_eq!(chosen("o/r", SEVERAL, 400).unwrap(), ["m-Q4_K_M.gguf"]);
    let Err(Error::TooLarge { file, smallest: 400, budget: 399, .. }) = chosen("o/r", SEVERAL, 399) else { panic!() };
    assert_eq!(file, "m-Q4_K_M.gguf");
}

#[test]
fn a_file_or_a_quantization_can_be_named_whatever_its_size() {
    for pick in ["m-Q8_0.gguf", "Q8_0", "q8_0"] {
        assert_eq!(chosen(&format!("o/r:{pick}"), SEVERAL, 0).unwrap(), ["m-Q8_0.gguf"], "{pick}");
    }
    // Part of a label is no label.
    for pick in ["Q4_K", "Q4", "M", "m-Q8_1.gguf", "mmproj-m-f16.gguf"] {
        let Err(Error::Pick { count: 0, found, .. }) = chosen(&format!("o/r:{pick}"), SEVERAL, 9999) else {
            panic!("{pick}")
        };
        assert_eq!(found, ["m-Q4_K_M.gguf", "m-Q8_0.gguf", "m-f16.gguf"], "{pick}");
    }
}

#[test]
fn a_split_file_is_taken_with_all_of_its_parts() {
    let list = [
        ("Q8_0/m-Q8_0-00002-of-00002.gguf", 600),
        ("Q8_0/m-Q8_0-00001-of-00002.gguf", 500),
        ("m-Q4_0.gguf", 500),
        // Its second part is missing.
        ("m-F16-00001-of-00002.gguf", 700),
    ];
    let parts = ["Q8_0/m-Q8_0-00001-of-00002.gguf", "Q8_0/m-Q8_0-00002-of-00002.gguf"];
    for name in ["o/r", "o/r:Q8_0", "o/r:m-Q8_0-00001-of-00002.gguf", "o/r:Q8_0/m-Q8_0-00002-of-00002.gguf"] {
        assert_eq!(chosen(name, &list, 1100).unwrap(), parts, "{name}");
    }
    assert_eq!(chosen("o/r", &list, 1099).unwrap(), ["m-Q4_0.gguf"]);
    assert!(matches!(chosen("o/r:F16", &list, 9999), Err(Error::Pick { count: 0, .. })));
    let choice = choose(&Name::parse("o/r").unwrap(), &files(&list), 1100).unwrap();
    assert_eq!(choice.entry.as_deref(), Some(parts[0]));
}

#[test]
fn a_plain_quantization_goes_before_a_makers_own() {
    let list = [("m-UD-Q4_K_XL.gguf", 1), ("m-UD-Q8_0.gguf", 2), ("m-Q8_0.gguf", 3)];
    assert_eq!(chosen("o/r:Q4_K_XL", &list, 0).unwrap(), ["m-UD-Q4_K_XL.gguf"]);
    assert_eq!(chosen("o/r:Q8_0", &list, 0).unwrap(), ["m-Q8_0.gguf"]);
    assert_eq!(chosen("o/r:UD-Q8_0", &list, 0).unwrap(), ["m-UD-Q8_0.gguf"]);
    let two = [("a-Q8_0.gguf", 1), ("b-Q8_0.gguf", 2)];
    assert!(matches!(chosen("o/r:Q8_0", &two, 9), Err(Error::Pick { count: 2, found, .. }) if found.len() == 2));
}

#[test]
fn safetensors_are_taken_with_what_belongs_to_them_and_nothing_else() {
    let list = [
        ("README.md", 1),
        ("config.json", 1),
        ("generation_config.json", 1),
        ("tokenizer.json", 1),
        ("merges.txt", 1),
        ("model.safetensors", 10),
        ("pytorch_model.bin", 10),
        ("model-Q8_0.gguf", 5),
        ("onnx/model.safetensors", 10),
        ("original/consolidated.00.pth", 10),
    ];
    let expected = ["config.json", "generation_config.json", "tokenizer.json", "model.safetensors"];
    assert_eq!(chosen("o/r", &list, 0).unwrap(), expected);
    assert_eq!(chosen("o/r:Q8_0", &list, 0).unwrap(), ["model-Q8_0.gguf"]);
}

/// Mistral's repositories hold `consolidated.safetensors` beside the parts of the same weights.
#[test]
fn weights_that_are_stored_twice_are_fetched_once() {
    let list = [
        ("config.json", 1),
        ("consolidated.safetensors", 20),
        ("model-00001-of-00002.safetensors", 10),
        ("model-00002-of-00002.safetensors", 10),
        ("model.fp16-00001-of-00002.safetensors", 5),
        ("model.safetensors.index.json", 1),
    ];
    let parts = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    assert_eq!(chosen("o/r", &list, 0).unwrap(), [["config.json", INDEX], parts].concat());
    let single = [("config.json", 1), ("model.safetensors", 9), ("model.fp16.safetensors", 5)];
    assert_eq!(chosen("o/r", &single, 0).unwrap(), ["config.json", "model.safetensors"]);
    let own = [("config.json", 1), ("weights.00.safetensors", 9), ("weights.01.safetensors", 5)];
    assert_eq!(chosen("o/r", &own, 0).unwrap().len(), 3);
}

#[test]
fn a_repository_without_a_model_says_so() {
    let list = [("config.json", 1), ("pytorch_model.bin", 9)];
    assert!(matches!(chosen("o/r", &list, 9), Err(Error::NoModel { files: 2, .. })));
    assert!(matches!(chosen("o/r", &[("adapter.safetensors", 1)], 9), Err(Error::NoModel { .. })));
}

/// A name that claims four billion parts costs nothing.
#[test]
fn absurd_part_numbers_are_no_parts() {
    let list = [("m-00001-of-99999.gguf", 1), ("m-00000-of-00000.gguf", 2), ("m-00003-of-00002.gguf", 3)];
    let found: Vec<Vec<String>> = variants(&files(&list)).into_iter().map(|variant| variant.parts).collect();
    assert_eq!(found, [["m-00000-of-00000.gguf"], ["m-00003-of-00002.gguf"]]);
}
