//! A checkpoint in a folder that cannot run, or would compute something else than it says, is refused with one clear error: what,
//! expected, found, where, and what to do next.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

#[path = "support/folder.rs"]
mod folder;
#[path = "support/folder_writer.rs"]
mod folder_writer;
#[path = "support/opening.rs"]
mod opening;
#[path = "support/peak_memory.rs"]
mod peak_memory;

use ffai::generate::{Backend, OpenOptions};
use folder_writer::FolderWriter;
use opening::{generate, message, on, open};
use peak_memory::{Counting, peak_bytes};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A whole tiny model on the CPU takes less than a tenth of this.
const MOST_BYTES: usize = 32 << 20;

fn golden(name: &str) -> FolderWriter {
    FolderWriter::golden(name)
}

fn llama() -> FolderWriter {
    golden("llama/hf")
}

/// Opening must fail, quickly and in little memory, with a message that has all `parts` and a next step.
#[track_caller]
fn refused_with(writer: &FolderWriter, options: &OpenOptions, parts: &[&str]) {
    let folder = writer.write();
    let start = Instant::now();
    let (result, peak) = peak_bytes(|| open(&folder.0, options));
    let Err(error) = result else { panic!("a folder that should fail with {parts:?} opens") };
    let path = folder.0.display().to_string();
    let text = message(&error).replace(&path, "FOLDER");
    for part in parts.iter().copied().chain(["FOLDER"]) {
        assert!(text.contains(part), "expected {part:?} in {text:?}");
    }
    assert!(error.hint().is_some(), "no next step: {text}");
    assert!(peak < MOST_BYTES || options.backend == Backend::Gpu, "{peak} bytes for: {text}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?} for: {text}", start.elapsed());
}

#[track_caller]
fn refused(writer: &FolderWriter, parts: &[&str]) {
    refused_with(writer, &on(Backend::Cpu), parts);
}

/// Three tokens of a model that opens.
#[track_caller]
fn runs(writer: &FolderWriter) -> Vec<u32> {
    let folder = writer.write();
    let (mut engine, tokenizer) = open(&folder.0, &on(Backend::Cpu)).unwrap();
    generate(&mut engine, &tokenizer, &[1, 5, 9], 3).unwrap().ids
}

#[test]
fn undamaged_folders_run() {
    for name in ["llama/hf", "llama/mlx", "mistral/hf", "qwen2/hf", "qwen3/hf", "gemma2/hf", "gemma3/hf", "gemma3/mlx"]
    {
        assert_eq!(runs(&golden(name)).len(), 3, "{name}");
    }
}

#[test]
fn a_configuration_that_is_no_json_object_is_refused() {
    let deep = [b"{\"a\":".repeat(100_000), b"1".to_vec(), b"}".repeat(100_000)].concat();
    let wide = [b"{\"a\":[".to_vec(), b"0,".repeat(1_000_000), b"0]}".to_vec()].concat();
    let huge = [b"{\"a\":\"".to_vec(), vec![b'x'; 5 << 20], b"\"}".to_vec()].concat();
    let bytes: [(&[u8], &[&str]); 10] = [
        (b"", &["configuration", "a JSON object", "EOF"]),
        (b"hidden_size: 64", &["a JSON object", "expected value"]),
        (b"[1, 2]", &["a JSON object", "something else"]),
        (b"null", &["a JSON object", "something else"]),
        (b"{\"hidden_size\": 64", &["EOF"]),
        (b"{\"rope_theta\": NaN}", &["expected value"]),
        (b"{\"rope_theta\": 1e400}", &["number out of range"]),
        (b"{\"a\": \"\xff\xfe\"}", &["invalid unicode"]),
        (&deep, &["recursion limit exceeded"]),
        (&huge, &["at most 4194304 bytes"]),
    ];
    for (bytes, parts) in bytes {
        let writer = FolderWriter { config_bytes: Some(bytes.to_vec()), ..llama() };
        refused(&writer, &[parts, &["config.json"]].concat());
    }
    // Four megabytes of numbers are read in the memory that they take.
    let folder = FolderWriter { config_bytes: Some(wide), ..llama() }.write();
    let (result, peak) = peak_bytes(|| open(&folder.0, &on(Backend::Cpu)));
    assert!(result.is_err() && peak < 128 << 20, "{peak} bytes");
    let folder = llama().write();
    std::fs::remove_file(folder.0.join("config.json")).unwrap();
    let text = message(&open(&folder.0, &on(Backend::Cpu)).map(drop).unwrap_err());
    assert!(text.contains("config.json"), "{text}");
}

#[test]
fn keys_that_are_missing_or_mistyped_are_named_as_the_file_spells_them() {
    let needed = ["hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"];
    for key in needed {
        refused(&llama().without(key), &[&format!("no metadata key `{key}`"), "config.json"]);
        refused(&llama().with(key, Value::Null), &[&format!("no metadata key `{key}`")]);
        let mistyped = [
            (json!("64"), "found a string"),
            (json!(64.0), "found f64 64"),
            (json!(-64), "found i64 -64"),
            (json!(4_294_967_296_u64), "found u64 4294967296"),
            (json!(1e30), "found f64 1000000000000000000000000000000"),
            (json!(true), "found bool true"),
            (json!([64]), "found an array of 1 f64"),
        ];
        for (value, found) in mistyped {
            refused(&llama().with(key, value), &[&format!("`{key}`"), "an unsigned 32-bit integer", found]);
        }
        refused(&llama().with(key, json!({"of": 64})), &[&format!("no metadata key `{key}`")]);
    }
    let reals = ["rms_norm_eps", "rope_parameters.rope_theta", "partial_rotary_factor"];
    for key in reals {
        for value in [json!("1e-6"), json!(false), json!([1.0])] {
            refused(&llama().with(key, value), &[&format!("`{key}`"), "a floating-point number", "found"]);
        }
    }
    for key in ["tie_word_embeddings", "attention_bias", "mlp_bias", "use_bidirectional_attention"] {
        for value in [json!("true"), json!(1), json!([true])] {
            refused(&llama().with(key, value), &[&format!("`{key}`"), "a bool", "found"]);
        }
    }
    for key in ["hidden_act", "model_type", "rope_parameters.rope_type", "quantization_config.quant_method"] {
        refused(&llama().with(key, json!(5)), &[&format!("`{key}`"), "a string", "found u64 5"]);
    }
    for value in [json!("LlamaForCausalLM"), json!([1]), json!([["LlamaForCausalLM"]]), json!(["a", 1])] {
        refused(&llama().with("architectures", value), &["`architectures`", "an array of strings", "found"]);
    }
}

#[test]
fn sizes_that_no_model_has_are_refused_before_anything_is_made_of_them() {
    let size = |key: &str, value: u64, parts: &[&str]| refused(&llama().with(key, json!(value)), parts);
    size("hidden_size", 0, &["hidden_size: expected 1 to 1048576, found 0"]);
    size("hidden_size", 4_294_967_292, &["hidden_size: expected 1 to 1048576", "found 4294967292"]);
    size("hidden_size", 128, &["`model.embed_tokens.weight`: expected [272, 128], found [272, 64]"]);
    size("intermediate_size", 0, &["intermediate_size: expected 1 to 1048576, found 0"]);
    size("intermediate_size", 1 << 20, &["mlp.gate_proj.weight`: expected [1048576, 64], found [96, 64]"]);
    size("num_hidden_layers", 0, &["num_hidden_layers: expected 1 to 4096, found 0"]);
    size("num_hidden_layers", 1_000_000_000, &["num_hidden_layers: expected 1 to 4096, found 1000000000"]);
    size("num_hidden_layers", 4096, &["no tensor `model.layers.3."]);
    size("num_hidden_layers", 2, &["`llama` does not use", "`model.layers.2.", "and 8 others", "num_hidden_layers"]);
    size("num_attention_heads", 0, &["query heads", "found 0 and 2"]);
    size("num_attention_heads", 5, &["query heads", "found 5 and 2"]);
    size("num_attention_heads", 1_000_000_000, &["query heads", "found 1000000000"]);
    size("num_attention_heads", 130, &["query heads per key head: expected at most 64, found 65"]);
    size("num_key_value_heads", 0, &["key heads, found 4 and 0"]);
    size("num_key_value_heads", 3, &["key heads, found 4 and 3"]);
    for head_dim in [0, 2, 15, 257, 260, 1_000_000] {
        size(
            "head_dim",
            head_dim,
            &["elements per head: expected a multiple of 4 up to 256", &format!("found {head_dim}")],
        );
    }
    refused(
        &llama().without("head_dim").with("hidden_size", json!(66)),
        &["hidden_size: expected a multiple of the 4 heads, found 66"],
    );
    size("max_position_embeddings", 0, &["max_position_embeddings: expected at least 1, found 0"]);
    size("vocab_size", 300, &["vocab_size to be the embedding's 272 rows, found 300"]);
    for eps in [json!(-1e-6), json!(1.5), json!(1e39)] {
        refused(&llama().with("rms_norm_eps", eps), &["rms_norm_eps: expected a number from 0 to 1, found"]);
    }
    let context = llama().with("max_position_embeddings", json!(u32::MAX)).write();
    let (result, peak) = peak_bytes(|| open(&context.0, &on(Backend::Cpu)));
    assert_eq!(result.unwrap().0.context(), 32_768);
    assert!(peak < MOST_BYTES, "{peak} bytes");
}

#[test]
fn models_of_no_family_are_named_with_the_families_there_are() {
    let unknown = |architecture: &str, model_type: &str| {
        llama().with("architectures", json!([architecture])).with("model_type", json!(model_type))
    };
    let known: Vec<&str> = ffai::model::FAMILIES.iter().map(|family| family.name).collect();
    let known = &*format!("this build knows {}", known.join(", "));
    refused(&unknown("MixtralForCausalLM", "mixtral"), &["`MixtralForCausalLM`", known, "gemma3"]);
    refused(&unknown("\x1b[2J", "\x1b]0;"), &["unknown model family `\\u{1b}[2J`", known]);
    refused(&unknown("", ""), &["unknown model family", known]);
    refused(&llama().without("architectures").with("model_type", json!("bert")), &["`bert`", known]);
    refused(&llama().without("architectures").without("model_type"), &["no metadata key `model_type`"]);
    refused(&llama().with("architectures", json!([])).without("model_type"), &["no metadata key `model_type`"]);
    // Names of a GGUF file say nothing here.
    let stray = llama().without("architectures").without("model_type").with("general.architecture", json!("llama"));
    refused(&stray, &["no metadata key `model_type`"]);
    let parts =
        ["model_type: expected a model of the family llama, as architectures `LlamaForCausalLM` is, found `qwen2`"];
    refused(&llama().with("model_type", json!("qwen2")), &parts);
    let text = llama().with("text_config.model_type", json!("gemma3_text"));
    refused(&text, &["text_config.model_type: expected", "family llama", "found `gemma3_text`"]);
    // One known name is enough.
    let whole = runs(&llama());
    assert_eq!(runs(&llama().with("architectures", json!(["LLaMAForCausalLM"]))), whole);
    assert_eq!(runs(&llama().without("model_type")), whole);
    assert_eq!(runs(&llama().without("architectures")), whole);
}

#[test]
fn what_a_family_does_not_compute_is_refused() {
    let set = |key: &str, value: Value, parts: &[&str]| {
        refused(&llama().with(key, value), &[parts, &["not supported"]].concat())
    };
    set("hidden_act", json!("gelu"), &["activation `gelu`"]);
    set("hidden_act", json!("\x1b[2Jrelu"), &["activation `\\u{1b}[2Jrelu`"]);
    set("hidden_act", json!("x".repeat(100_000)), &["activation `xxxx"]);
    set("num_experts", json!(8), &["a mixture of 8 experts"]);
    set("num_local_experts", json!(4), &["a mixture of 4 experts"]);
    set("attention_bias", json!(true), &["`attention_bias`"]);
    set("mlp_bias", json!(true), &["`mlp_bias` of true"]);
    set("is_causal", json!(false), &["`is_causal` of false"]);
    set("use_bidirectional_attention", json!(true), &["`use_bidirectional_attention` of true"]);
    set("partial_rotary_factor", json!(0.5), &["`partial_rotary_factor` of 0.5"]);
    set("rope_parameters.partial_rotary_factor", json!(0.5), &["partial_rotary_factor` of 0.5"]);
    for method in ["gptq", "awq", "fp8", "bitsandbytes", "compressed-tensors"] {
        set("quantization_config", json!({"quant_method": method, "bits": 4}), &[&format!("quantization `{method}`")]);
    }
    refused(&golden("qwen3/hf").with("attention_bias", json!(true)), &["`attention_bias`"]);
    for gemma in ["gemma2/hf", "gemma3/hf"] {
        refused(&golden(gemma).with("attention_bias", json!(true)), &["`attention_bias`"]);
        refused(&golden(gemma).with("use_bidirectional_attention", json!(true)), &["`use_bidirectional_attention`"]);
        refused(&golden(gemma).with("hidden_activation", json!("gelu")), &["activation `gelu`"]);
    }
    refused(&golden("gemma3/hf").with("attn_logit_softcapping", json!(50.0)), &["`attn_logit_softcapping`"]);
    let whole = runs(&llama());
    for (key, value) in [("hidden_act", json!("swish")), ("num_experts", json!(0)), ("partial_rotary_factor", json!(1))]
    {
        assert_eq!(runs(&llama().with(key, value)), whole, "{key}");
    }
}

#[test]
fn rotary_positions_that_are_not_computed_are_refused() {
    let table =
        |table: Value| llama().without("rope_parameters").with("rope_theta", json!(1e4)).with("rope_scaling", table);
    for kind in ["yarn", "dynamic", "longrope", "su", "mrope", "proportional", "", "\x1b[2J"] {
        refused(&table(json!({"rope_type": kind, "factor": 4.0})), &["rope scaling `", "not supported"]);
        refused(&table(json!({"type": kind, "factor": 4.0})), &["rope scaling `"]);
    }
    for factor in [json!(0), json!(-8.0), json!(1e38), json!(1e300)] {
        let parts = ["rope scaling: expected factors from 0.001 to 1e9, found"];
        refused(&table(json!({"rope_type": "linear", "factor": factor})), &parts);
    }
    refused(&table(json!({"rope_type": "linear"})), &["no metadata key `rope_scaling.factor`"]);
    refused(&table(json!({"factor": 4.0})), &["no metadata key `rope_scaling.rope_type`"]);
    refused(&table(json!({"rope_type": "linear", "factor": "4"})), &["`rope_scaling.factor`", "found a string"]);
    let llama3 = json!({"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4,
        "original_max_position_embeddings": 32});
    for key in ["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"] {
        let without = table(llama3.clone());
        let mut lacking = without.clone();
        lacking.config["rope_scaling"].as_object_mut().unwrap().remove(key);
        if !key.starts_with("original") {
            refused(&lacking, &[&format!("no metadata key `rope_scaling.{key}`")]);
        }
        refused(
            &without.with(&format!("rope_scaling.{key}"), json!(0)),
            &["expected factors from 0.001 to 1e9, found 0"],
        );
    }
    let two = table(llama3.clone()).with("original_max_position_embeddings", json!(16));
    refused(&two, &["original_max_position_embeddings: expected 32 as rope_scaling says, found 16"]);
    let crossed = table(llama3.clone()).with("rope_scaling.low_freq_factor", json!(4));
    refused(&crossed, &["high_freq_factor: expected more than low_freq_factor, 4, found 4"]);
    for base in [json!(0), json!(-1e4), json!(0.5), json!(1e300)] {
        refused(
            &llama().with("rope_parameters.rope_theta", base.clone()),
            &["rope_parameters.rope_theta: expected a number from 1 to 1e12"],
        );
        refused(&llama().without("rope_parameters").with("rope_theta", base), &["rope_theta: expected a number"]);
    }
    // Transformers reads one of two tables: whoever reads the other is told something else.
    let two = llama().with("rope_scaling", json!({"rope_type": "linear", "factor": 2}));
    refused(&two, &["rope_scaling: expected what rope_parameters says, found another scaling"]);
    let bases = llama().with("rope_scaling", json!({"rope_type": "default", "rope_theta": 5e5}));
    refused(&bases, &["rope_parameters.rope_theta: expected 500000, which holds beside rope_scaling, found 10000"]);
    let lost = golden("qwen3/hf").with("rope_scaling", json!({"rope_type": "default"}));
    refused(&lost, &["rope_parameters.rope_theta: expected 10000, which holds beside rope_scaling, found 1000000"]);
    let kinds = json!({"full_attention": {"rope_type": "default", "rope_theta": 1e4}});
    refused(&llama().with("rope_parameters", kinds), &["rotary positions per kind of layer (`rope_parameters`)"]);
    let flat = golden("gemma3/hf").with("rope_parameters.rope_theta", json!(1e6));
    refused(&flat, &["rope_parameters: expected a table per kind of layer, found `rope_theta` beside them"]);
    let local = golden("gemma3/hf").with("rope_parameters.sliding_attention.rope_type", json!("yarn"));
    refused(&local, &["rope scaling `yarn`"]);
    let other = golden("gemma3/hf").with("rope_scaling", json!({"rope_type": "linear", "factor": 2}));
    refused(&other, &["rope_scaling: expected what rope_parameters.full_attention says"]);
}

#[test]
fn windows_and_kinds_of_layers_that_do_not_fit_are_refused() {
    let slides = ["mistral/hf", "gemma2/hf", "gemma3/hf"];
    for name in slides {
        let parts = ["sliding_window: expected at least 1, or null, found 0"];
        refused(&golden(name).with("sliding_window", json!(0)), &parts);
        for value in [json!(-8), json!(8.0), json!("8"), json!(1e12)] {
            refused(&golden(name).with("sliding_window", value), &["`sliding_window`", "an unsigned 32-bit integer"]);
        }
        // Wider than any position: the same as none.
        runs(&golden(name).with("sliding_window", json!(u32::MAX)));
    }
    for name in ["gemma2/hf", "gemma3/hf"] {
        let without = golden(name).with("sliding_window", Value::Null);
        refused(&without, &["layer 0 slides: expected sliding_window with a width, found none"]);
    }
    for (name, layers) in
        [("llama/hf", 3), ("mistral/hf", 3), ("qwen2/hf", 3), ("qwen3/hf", 3), ("gemma2/hf", 4), ("gemma3/hf", 7)]
    {
        let types = |words: Value| golden(name).with("layer_types", words);
        let short = vec!["full_attention"; layers - 1];
        let count = format!("layer_types: expected a word for each of {layers} layers, found {}", layers - 1);
        refused(&types(json!(short)), &[&count]);
        refused(&types(json!([])), &["layer_types", "found 0"]);
        for word in ["chunked_attention", "linear_attention", "", "\x1b[2J"] {
            let mut words = vec!["full_attention"; layers];
            words[layers - 1] = word;
            refused(&types(json!(words)), &["a layer of type `"]);
        }
        for wrong in [json!("full_attention"), json!(vec![1; layers]), json!(["full_attention", 3]), json!(3)] {
            refused(&types(wrong), &["`layer_types`", "an array of strings"]);
        }
    }
    let sliding = json!(["full_attention", "sliding_attention", "sliding_attention"]);
    refused(&llama().with("layer_types", sliding.clone()), &["layer 1 slides"]);
    refused(&golden("mistral/hf").with("layer_types", sliding.clone()), &["a window in some layers only"]);
    for qwen in ["qwen2/hf", "qwen3/hf"] {
        let unused = golden(qwen).with("layer_types", sliding.clone()).with("sliding_window", json!(8));
        refused(&unused, &["layer 1 slides: expected sliding_window with a width, found none"]);
        runs(&unused.with("use_sliding_window", json!(true)));
    }
    for pattern in [json!(0), json!(-6)] {
        let gemma = golden("gemma3/hf").without("layer_types").with("sliding_window_pattern", pattern);
        refused(&gemma, &["sliding_window_pattern"]);
    }
}

#[test]
fn caps_and_scales_of_gemma_that_are_no_numbers_above_zero_are_refused() {
    for key in ["attn_logit_softcapping", "final_logit_softcapping"] {
        for value in [json!(0), json!(-30.0), json!(1e39)] {
            refused(&golden("gemma2/hf").with(key, value), &[&format!("{key}: expected a number above 0, found")]);
        }
        refused(&golden("gemma2/hf").with(key, json!("50")), &[&format!("`{key}`"), "found a string"]);
    }
    for name in ["gemma2/hf", "gemma3/hf"] {
        for value in [json!(0), json!(-256)] {
            refused(
                &golden(name).with("query_pre_attn_scalar", value),
                &["query_pre_attn_scalar: expected a number above 0"],
            );
        }
    }
}

#[test]
fn tensors_that_are_missing_or_nobody_asked_for_are_named() {
    for name in
        ["model.embed_tokens.weight", "model.norm.weight", "lm_head.weight", "model.layers.1.mlp.up_proj.weight"]
    {
        refused(&llama().lose(name), &[&format!("no tensor `{name}`")]);
    }
    let misspelt = llama().change("model.norm.weight", |tensor| tensor.name = "model.norms.weight".to_owned());
    refused(&misspelt, &["`model.norm.weight`", "does have `model.norms.weight`"]);
    refused(
        &golden("qwen2/hf").lose("model.layers.2.self_attn.v_proj.bias"),
        &["no tensor `model.layers.2.self_attn.v_proj.bias`"],
    );
    refused(
        &golden("qwen3/hf").lose("model.layers.0.self_attn.k_norm.weight"),
        &["no tensor `model.layers.0.self_attn.k_norm.weight`"],
    );
    let gemma = golden("gemma2/hf").lose("model.layers.3.pre_feedforward_layernorm.weight");
    refused(&gemma, &["no tensor `model.layers.3.pre_feedforward_layernorm.weight`"]);
    // Biases that the configuration does not speak of: transformers passes over them.
    for family in ["llama/hf", "mistral/hf", "qwen3/hf", "gemma2/hf", "gemma3/hf"] {
        let biased = golden(family).add("model.layers.0.self_attn.q_proj.bias", &[64]);
        refused(&biased, &["does not use tensor `model.layers.0.self_attn.q_proj.bias`"]);
    }
    for extra in ["model.layers.0.self_attn.o_proj.bias", "model.layers.0.mlp.up_proj.bias", "score.weight", "\x1b[2J"]
    {
        refused(&llama().add(extra, &[64]), &["`llama` does not use tensor"]);
    }
    refused(&FolderWriter { tensors: Vec::new(), ..llama() }, &["no tensor `model.embed_tokens.weight`"]);
}

#[test]
fn misshapen_tensors_are_shown_with_both_shapes() {
    let query = "model.layers.0.self_attn.q_proj.weight";
    let shapes: [(&str, &[u64], &str); 10] = [
        (query, &[63, 64], "expected [64, 64], found [63, 64]"),
        (query, &[64, 128], "expected [64, 64], found [64, 128]"),
        (query, &[4096], "expected [64, 64], found [4096]"),
        (query, &[], "expected [64, 64], found []"),
        (query, &[0, 64], "expected [64, 64], found [0, 64]"),
        (query, &[2, 32, 64], "expected [64, 64], found [2, 32, 64]"),
        (query, &[1; 1000], "expected [64, 64], found [1, 1, 1, 1, 1, 1, 1, 1, …]"),
        ("model.norm.weight", &[63], "expected [64], found [63]"),
        ("model.norm.weight", &[64, 64], "expected [64], found [64, 64]"),
        ("model.norm.weight", &[], "expected [64], found []"),
    ];
    for (name, shape, expected) in shapes {
        refused(
            &llama().shape(name, "F32", 32, shape),
            &[&format!("weight `{name}`: {expected}"), "model.safetensors"],
        );
    }
    let none = llama().shape("model.embed_tokens.weight", "F32", 32, &[0, 64]);
    refused(&none, &["vocabulary: expected an embedding of 1 to 4294967295 rows, found 0"]);
    let fewer = llama().shape("model.embed_tokens.weight", "F32", 32, &[200, 64]).with("vocab_size", json!(200));
    refused(&fewer, &["a row for each of the vocabulary's 272 tokens, found 200"]);
    let narrow = llama().with("hidden_size", json!(48)).with("head_dim", json!(16));
    let narrow = narrow.shape("model.embed_tokens.weight", "F32", 32, &[272, 48]);
    refused(&narrow, &["rows of 48 instead of a multiple of 32", "not supported"]);
    refused_with(&llama().shape(query, "F32", 32, &[1, 1]), &on(Backend::Gpu), &["expected [64, 64], found [1, 1]"]);
}

#[test]
fn types_without_a_kernel_are_named_with_those_that_have_one() {
    let types = [
        ("I64", 64),
        ("I32", 32),
        ("I8", 8),
        ("U8", 8),
        ("U16", 16),
        ("BOOL", 8),
        ("F64", 64),
        ("F8_E4M3", 8),
        ("F8_E5M2", 8),
    ];
    for (dtype, bits) in types {
        let shown = format!("no GPU kernel for weight type {dtype}, nor one for the CPU: expected `");
        let matrix = llama().shape("model.layers.1.self_attn.o_proj.weight", dtype, bits, &[64, 64]);
        refused(&matrix, &[&shown, "`model.layers.1.self_attn.o_proj.weight`", "one of F32, F16, BF16", "MLX affine"]);
        let vector = llama().shape("model.norm.weight", dtype, bits, &[64]);
        refused(&vector, &[&shown, "`model.norm.weight` to be F32, F16 or BF16, as a vector"]);
        refused_with(&matrix, &on(Backend::Gpu), &[&shown, "fetch another variant"]);
    }
    let unknown = llama().change("model.norm.weight", |tensor| tensor.dtype = "F99".to_owned());
    refused(&unknown, &["dtype of tensor `model.norm.weight`: expected a type that safetensors defines, found `F99`"]);
    // Four bytes per element, which MLX packs weights in.
    let words = llama().shape("model.norm.weight", "U32", 32, &[64]);
    refused(&words, &["quantization: expected bits and group_size, since `model.norm.weight` is packed"]);
}

#[test]
fn packed_weights_that_do_not_add_up_are_refused() {
    let layer = "model.layers.0.mlp.gate_proj";
    let [weight, scales, biases] = ["weight", "scales", "biases"].map(|part| format!("{layer}.{part}"));
    let mlx = || golden("llama/mlx");
    for part in [&weight, &scales, &biases] {
        refused(&mlx().lose(part), &[&format!("no tensor `{part}`")]);
    }
    let what = format!("packed weight `{weight}`");
    let packed = |name: &str, dtype: &str, bits: u64, shape: &[u64], parts: &[&str]| {
        refused(&mlx().shape(name, dtype, bits, shape), &[parts, &["model.safetensors"]].concat());
    };
    packed(
        &weight,
        "U32",
        32,
        &[96, 7],
        &[&what, "words and groups that divide among 64 weights per row", "7 words and 2 groups"],
    );
    packed(
        &weight,
        "U32",
        32,
        &[96, 0],
        &["bits 4 as FOLDER/config.json says", "found 0 by its shape: 0 words and 2 groups"],
    );
    packed(&weight, "U32", 32, &[95, 8], &["scales and biases of 95 rows", "BF16 [96, 2]"]);
    packed(&weight, "U32", 32, &[768], &["expected two dimensions, found [768] of `", &weight]);
    packed(&weight, "U32", 32, &[2, 48, 8], &["expected two dimensions, found [2, 48, 8]"]);
    packed(&weight, "U32", 32, &[], &["expected two dimensions, found []"]);
    packed(
        &scales,
        "BF16",
        16,
        &[96, 3],
        &["scales and biases of 96 rows, of one shape and type", "BF16 [96, 3] and BF16 [96, 2]"],
    );
    packed(&scales, "F32", 32, &[96, 2], &["of one shape and type", "F32 [96, 2] and BF16 [96, 2]"]);
    packed(&scales, "BF16", 16, &[192], &["expected two dimensions, found [192]"]);
    packed(&scales, "BF16", 16, &[1; 500], &["expected two dimensions, found [1, 1, 1, 1, 1, 1, 1, 1, …]"]);
    let both = |dtype: &str, bits: u64, shape: &[u64]| {
        mlx().shape(&scales, dtype, bits, shape).shape(&biases, dtype, bits, shape)
    };
    refused(&both("BF16", 16, &[96, 0]), &["words and groups that divide", "8 words and 0 groups"]);
    refused(&both("BF16", 16, &[96, 5]), &["words and groups that divide", "8 words and 5 groups"]);
    for (dtype, bits) in [("F64", 64), ("I32", 32), ("U8", 8)] {
        let shown = format!("no GPU kernel for weight type MLX 4-bit in groups of 32 with scales of {dtype}");
        refused(&both(dtype, bits, &[96, 2]), &[&shown, &weight]);
    }
    // What the configuration says must be what the shapes say, and something that there is a kernel for.
    let contradicts =
        ["expected group_size 32 as FOLDER/config.json says, found 16 by its shape: 8 words and 4 groups"];
    refused(&both("BF16", 16, &[96, 4]), &contradicts);
    let small = both("BF16", 16, &[96, 4]).with(&format!("quantization.{layer}"), json!({"group_size": 16, "bits": 4}));
    // A layer's name has dots of its own.
    let small = FolderWriter { config: flattened(small.config, layer, json!({"group_size": 16, "bits": 4})), ..small };
    refused(&small, &["no GPU kernel for weight type MLX 4-bit in groups of 16 with scales of BF16"]);
    let seven = mlx().shape(&weight, "U32", 32, &[96, 14]);
    let seven = FolderWriter { config: flattened(seven.config, layer, json!({"group_size": 32, "bits": 7})), ..seven };
    refused(&seven, &["no GPU kernel for weight type MLX 7-bit in groups of 32"]);
    let set = |key: &str, value: Value| mlx().with(&format!("quantization.{key}"), value);
    refused(&set("bits", json!(8)), &["expected bits 8 as FOLDER/config.json says, found 4 by its shape"]);
    refused(&set("bits", json!("4")), &["`quantization.bits`", "an unsigned integer", "found a string"]);
    refused(&set("bits", json!(-4)), &["`quantization.bits`", "found i64 -4"]);
    refused(&set("group_size", json!(64.0)), &["`quantization.group_size`", "found f64 64"]);
    refused(&set("group_size", json!(u64::MAX)), &["expected group_size 18446744073709551615"]);
    for mode in ["mxfp4", "nvfp4", "mxfp8", "\x1b[2J"] {
        refused(&set("mode", json!(mode)), &["quantization mode `", "not supported", "--q-mode affine"]);
    }
    refused(&set("mode", json!(4)), &["`quantization.mode`", "a string", "found u64 4"]);
    let silent = mlx().without("quantization").without("quantization_config");
    refused(&silent, &["quantization: expected bits and group_size, since `model.embed_tokens.weight` is packed"]);
}

/// `config` with an entry for one layer's quantization, whose name is one key with dots in it.
fn flattened(mut config: Value, layer: &str, entry: Value) -> Value {
    for table in ["quantization", "quantization_config"] {
        config[table].as_object_mut().unwrap().remove("model");
        config[table][layer] = entry.clone();
    }
    config
}

/// As transformers decides it: two equal ones are one, and two that differ are two, whatever the configuration says.
#[test]
fn a_head_is_tied_where_it_is_missing_or_equal() {
    let whole = runs(&llama());
    assert_eq!(runs(&llama().with("tie_word_embeddings", json!(true))), whole, "a head of its own is used");
    assert_eq!(runs(&llama().without("tie_word_embeddings")), whole);
    let tied = llama().lose("lm_head.weight");
    refused(&tied, &["no tensor `lm_head.weight`"]);
    let alone = runs(&tied.clone().with("tie_word_embeddings", json!(true)));
    assert_eq!(runs(&tied.clone().without("tie_word_embeddings")), alone);
    let twice =
        tied.clone().copy("model.embed_tokens.weight", "lm_head.weight").with("tie_word_embeddings", json!(true));
    assert_eq!(runs(&twice), alone);
    for gemma in ["gemma2/hf", "gemma3/hf"] {
        assert_eq!(runs(&golden(gemma).without("tie_word_embeddings")), runs(&golden(gemma)));
        refused(&golden(gemma).with("tie_word_embeddings", json!(false)), &["no tensor `lm_head.weight`"]);
    }
}
