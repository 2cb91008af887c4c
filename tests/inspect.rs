//! What is told of a checkpoint, against what is known of it from elsewhere: published configurations, and files made by others.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

#[path = "support/changes.rs"]
#[expect(dead_code, reason = "files are changed in few ways here")]
mod changes;
#[path = "support/damaged.rs"]
mod damaged;
#[path = "support/gguf_writer.rs"]
#[expect(dead_code, reason = "files are changed in few ways here")]
mod gguf_writer;
#[path = "support/model.rs"]
mod model;

use damaged::Temporary;
use ffai::generate::{Backend, OpenOptions, SamplingDefaults, Source, sampling_defaults};
use ffai::inspect::{Inspection, inspect};
use ffai::model::{FAMILIES, Scaling};
use ffai::weights::{Checkpoint, Role};
use gguf_writer::{GgufWriter, Item};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn on_cpu() -> OpenOptions {
    OpenOptions { backend: Backend::Cpu, ..OpenOptions::default() }
}

fn inspected(path: &Path) -> Inspection {
    inspect(&Checkpoint::open(path).unwrap(), &on_cpu()).unwrap()
}

fn of_file(writer: &GgufWriter) -> Inspection {
    inspected(&Temporary::new(&writer.finish()).0)
}

/// Weights by format, whatever they are for.
fn formats(inspection: &Inspection) -> BTreeMap<&str, usize> {
    let mut found = BTreeMap::new();
    for row in &inspection.weights {
        *found.entry(row.format.as_str()).or_default() += row.weights;
    }
    found
}

/// Parameters of a decoder, total and of its embedding, from a `config.json` alone.
fn parameters(folder: &Path) -> [u64; 2] {
    let config: Value = serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap();
    let number = |key: &str| config[key].as_u64();
    let need = |key: &str| number(key).unwrap_or_else(|| panic!("{key}"));
    let (hidden, heads, layers) = (need("hidden_size"), need("num_attention_heads"), need("num_hidden_layers"));
    let head = number("head_dim").unwrap_or(hidden / heads);
    let (q, kv) = (heads * head, need("num_key_value_heads") * head);
    let family = config["model_type"].as_str().unwrap();
    let gemma = family.starts_with("gemma");
    let norms = if gemma { 4 } else { 2 } * hidden;
    let head_norms = if ["qwen3", "gemma3_text", "gemma3"].contains(&family) { 2 * head } else { 0 };
    let biases = if family == "qwen2" { q + 2 * kv } else { 0 };
    let attention = hidden * (q + 2 * kv) + q * hidden + biases + head_norms;
    let layer = attention + 3 * hidden * need("intermediate_size") + norms;
    let embedding = need("vocab_size") * hidden;
    let tied = config["tie_word_embeddings"].as_bool().unwrap_or(gemma);
    [embedding + layers * layer + hidden + if tied { 0 } else { embedding }, embedding]
}

const CHECKPOINTS: &[(&str, &str)] = &[
    ("llama/hf", "llama/hf"),
    ("llama/llama.gguf", "llama/hf"),
    ("llama/mlx", "llama/hf"),
    ("llama31/hf", "llama31/hf"),
    ("llama31/hf-parts", "llama31/hf"),
    ("llama31/llama31.gguf", "llama31/hf"),
    ("mistral/hf", "mistral/hf"),
    ("mistral/mistral.gguf", "mistral/hf"),
    ("qwen2/hf", "qwen2/hf"),
    ("qwen2/qwen2.gguf", "qwen2/hf"),
    ("qwen3/hf", "qwen3/hf"),
    ("qwen3/qwen3.gguf", "qwen3/hf"),
    ("gemma2/hf", "gemma2/hf"),
    ("gemma2/gemma2.gguf", "gemma2/hf"),
    ("gemma3/hf", "gemma3/hf"),
    ("gemma3/gemma3.gguf", "gemma3/hf"),
    ("gemma3/mlx", "gemma3/hf"),
];

#[test]
fn parameters_are_counted_as_the_configuration_has_them() {
    for (name, source) in CHECKPOINTS {
        let inspection = inspected(&golden(name));
        let [total, embedding] = parameters(&golden(source));
        let counted = inspection.parameters;
        assert_eq!([counted.total, counted.total - counted.without_embedding], [total, embedding], "{name}");
        assert_eq!(inspection.problems, [] as [&str; 0], "{name}");
        let shares: f64 = inspection.weights.iter().map(|row| row.share).sum();
        assert!((shares - 1.0).abs() < 1e-9, "{name}: {shares}");
        assert!(inspection.weights.iter().all(|row| row.readable && row.role != Role::Other || row.parameters == 0));
    }
}

#[test]
fn a_model_is_the_same_however_it_is_stored() {
    for (name, source) in CHECKPOINTS {
        let [one, other] = [name, source].map(|name| inspected(&golden(name)));
        let (shape, same) = (one.shape.unwrap(), other.shape.unwrap());
        assert_eq!(
            (shape.layers, shape.hidden, shape.ffn, shape.heads),
            (same.layers, same.hidden, same.ffn, same.heads)
        );
        assert_eq!((shape.vocab, shape.context, shape.rotary), (same.vocab, same.context, same.rotary), "{name}");
        let [mut computes, expected] = [one.computes, other.computes].map(Option::unwrap);
        // What the two kinds of files of one model say differently: tests/golden/families/README.md.
        for (layer, expected) in computes.layers.iter_mut().zip(&expected.layers) {
            if *name == "llama31/llama31.gguf" {
                assert!(layer.rope.stored_factors);
                layer.rope = expected.rope;
            }
            if ["gemma2/gemma2.gguf", "gemma3/mlx"].contains(name) {
                layer.score_scale = expected.score_scale;
            }
        }
        assert_eq!(computes, expected, "{name}");
    }
}

#[test]
fn windows_caps_and_rotary_positions_are_those_of_the_layers() {
    let gemma2 = inspected(&golden("gemma2/hf")).computes.unwrap();
    assert_eq!(gemma2.layers.iter().map(|layer| layer.window).collect::<Vec<_>>(), [Some(8), None, Some(8), None]);
    assert_eq!((gemma2.logit_cap, gemma2.layers[1].score_cap), (Some(3.0), Some(4.0)));
    assert!((gemma2.layers[0].score_scale - 24_f32.sqrt().recip()).abs() < 1e-7);
    assert!(gemma2.post_norms && !gemma2.head_norms && gemma2.tied_head && gemma2.activation == "gelu_tanh");
    assert!((gemma2.embedding_scale - 8.0).abs() < 1e-6);
    let gemma3 = inspected(&golden("gemma3/hf")).computes.unwrap();
    for (index, layer) in gemma3.layers.iter().enumerate() {
        let global = index == 5;
        assert_eq!(layer.window, (!global).then_some(8), "{index}");
        assert_eq!(layer.rope.base, if global { 1e6 } else { 5000.0 }, "{index}");
        assert_eq!(layer.rope.scaling, if global { Scaling::Linear { factor: 8.0 } } else { Scaling::None }, "{index}");
    }
    let llama31 = inspected(&golden("llama31/hf")).computes.unwrap();
    assert!(matches!(llama31.layers[0].rope.scaling, Scaling::Llama3 { original: 32.0, .. }));
    let mistral = inspected(&golden("mistral/hf")).computes.unwrap();
    assert!(mistral.layers.iter().all(|layer| layer.window == Some(8)) && mistral.activation == "silu");
    let qwen2 = inspected(&golden("qwen2/hf")).computes.unwrap();
    assert!(qwen2.biases && qwen2.layers.iter().all(|layer| layer.window.is_none()));
    assert!(inspected(&golden("qwen3/hf")).computes.unwrap().head_norms);
}

/// Published: HuggingFaceTB/SmolLM2-135M-Instruct has 134515008 parameters, of which 49152 × 576 are its embedding.
#[test]
fn smollm2_is_what_its_authors_say() {
    let Some(path) = model::real("smollm2") else { return };
    let inspection = inspected(&path);
    let parameters = inspection.parameters;
    assert_eq!((parameters.total, parameters.total - parameters.without_embedding), (134_515_008, 49_152 * 576));
    assert_eq!(formats(&inspection), BTreeMap::from([("F32", 61), ("Q4_1", 210), ("Q8_0", 1)]));
    let shape = inspection.shape.as_ref().unwrap();
    assert_eq!((shape.layers, shape.hidden, shape.ffn, shape.context), (30, 576, 1536, 8192));
    assert_eq!((shape.heads.heads, shape.heads.kv_heads, shape.heads.head_dim), (9, 3, 64));
    let computes = inspection.computes.as_ref().unwrap();
    assert!(computes.tied_head && computes.layers.iter().all(|layer| layer.rope.base == 1e5));
    // Keys and values of 3 heads of 64 in 30 layers, two bytes each.
    let cache = inspection.cache.unwrap();
    assert_eq!(cache.f16_bytes_per_1024_tokens, 1024 * 2 * 30 * 3 * 64 * 2);
    assert_eq!(cache.f32_bytes_per_1024_tokens, 2 * cache.f16_bytes_per_1024_tokens);
    let tokenizer = inspection.tokenizer.as_ref().unwrap();
    assert_eq!((tokenizer.vocab_size, tokenizer.adds_bos, tokenizer.control_tokens), (49_152, false, 17));
    assert!(tokenizer.probe.round_trip && tokenizer.eos.iter().any(|token| token.text == "<|im_end|>"));
    let features = inspection.chat_template.unwrap();
    assert_eq!((features.system, features.tools, features.thinking), (true, false, false));
    assert_eq!(inspection.thinking.as_ref().unwrap().style, "none");
    assert_eq!(inspection.problems, [] as [&str; 0]);
}

/// Published: google/gemma-3-270m has 268098176 parameters, of which 262144 × 640 are its embedding. The file's types are those
/// that PyPI's gguf lists.
#[test]
fn gemma_3_270m_is_what_its_authors_say() {
    let Some(path) = model::real("gemma3") else { return };
    let inspection = inspected(&path);
    let parameters = inspection.parameters;
    assert_eq!((parameters.total, parameters.total - parameters.without_embedding), (268_098_176, 262_144 * 640));
    let expected = [("F32", 109), ("Q4_K", 27), ("Q5_0", 81), ("Q6_K", 9), ("Q8_0", 10)];
    assert_eq!(formats(&inspection), BTreeMap::from(expected));
    let computes = inspection.computes.as_ref().unwrap();
    for (index, layer) in computes.layers.iter().enumerate() {
        let global = (index + 1) % 6 == 0;
        assert_eq!((layer.window, layer.rope.base), if global { (None, 1e6) } else { (Some(512), 1e4) }, "{index}");
    }
    let tokenizer = inspection.tokenizer.as_ref().unwrap();
    assert_eq!((tokenizer.vocab_size, tokenizer.adds_bos), (262_144, true));
    assert_eq!(tokenizer.bos.as_ref().map(|token| (token.id, token.text.as_str())), Some((2, "<bos>")));
    assert!(tokenizer.probe.round_trip && inspection.chat_template.is_none());
    // One head of 256 in 18 layers.
    assert_eq!(inspection.cache.unwrap().f16_bytes_per_1024_tokens, 1024 * 2 * 18 * 256 * 2);
}

#[test]
fn an_unknown_model_is_shown_as_far_as_it_is_understood() {
    let inspection = of_file(&damaged::model().with("general.architecture", Item::Text("klingon")));
    let known = inspected(&golden("llama/llama2.gguf"));
    assert_eq!((inspection.family, inspection.model_type.as_deref()), (None, Some("klingon")));
    assert!(inspection.shape.is_none() && inspection.fit.is_none());
    assert_eq!((inspection.parameters, inspection.weights), (known.parameters, known.weights));
    assert_eq!(inspection.tokenizer, known.tokenizer);
    let [problem] = inspection.problems.as_slice() else { panic!("{:?}", inspection.problems) };
    assert!(problem.contains("`klingon`") && FAMILIES.iter().all(|family| problem.contains(family.name)), "{problem}");
}

#[test]
fn a_type_without_a_kernel_is_named() {
    // Q8_1: 32 weights in 36 bytes.
    let without = |tensor: &mut gguf_writer::Tensor| {
        let blocks = tensor.dims.iter().product::<u64>() as usize / 32;
        (tensor.number, tensor.data) = (9, vec![0; blocks * 36]);
    };
    let inspection = of_file(&damaged::model().change("blk.0.attn_q.weight", without));
    let row = inspection.weights.iter().find(|row| row.format == "Q8_1").unwrap();
    assert_eq!((row.readable, row.role, row.weights), (false, Role::Attention, 1));
    assert!(inspection.problems.iter().any(|problem| problem.contains("Q8_1")), "{:?}", inspection.problems);
    assert_eq!(inspection.family, Some("llama"));
    assert!(inspection.fit.is_none(), "what cannot be loaded fits nowhere");
}

#[test]
fn a_damaged_tokenizer_hides_nothing_else() {
    let inspection = of_file(&damaged::model().with("tokenizer.ggml.model", Item::Text("abacus")));
    assert!(inspection.tokenizer.is_none() && inspection.shape.is_some() && inspection.fit.is_some());
    assert!(inspection.problems.iter().any(|problem| problem.contains("abacus")), "{:?}", inspection.problems);
}

#[test]
fn what_does_not_fit_is_told_with_what_would() {
    let checkpoint = Checkpoint::open(&golden("llama/llama2.gguf")).unwrap();
    let roomy = inspect(&checkpoint, &on_cpu()).unwrap().fit.unwrap();
    assert!(roomy.fits && roomy.fit.budget.is_none() && roomy.hint.is_none());
    assert_eq!((roomy.fit.context, roomy.largest_context), (256, Some(256)));
    let scarce = OpenOptions { memory_budget: Some(roomy.total - 1), context: Some(256), ..on_cpu() };
    let inspection = inspect(&checkpoint, &scarce).unwrap();
    let fit = inspection.fit.unwrap();
    let largest = fit.largest_context.unwrap();
    assert!(!fit.fits && largest < 256 && fit.total == roomy.total, "{fit:?}");
    assert_eq!(fit.hint.unwrap(), format!("use --ctx {largest} or less"));
    assert!(inspection.problems[0].contains("does not fit"), "{:?}", inspection.problems);
    let auto = OpenOptions { context: None, ..scarce };
    let fit = inspect(&checkpoint, &auto).unwrap().fit.unwrap();
    assert_eq!((fit.fits, fit.fit.context, fit.largest_context), (true, largest, Some(largest)));
}

/// Value and source of each default, in the order of the sampler.
fn told(defaults: &SamplingDefaults) -> [(f32, Source); 5] {
    let SamplingDefaults { temperature, top_k, top_p, min_p, repetition_penalty } = defaults;
    [
        (temperature.value, temperature.source),
        (top_k.value as f32, top_k.source),
        (top_p.value, top_p.source),
        (min_p.value, min_p.source),
        (repetition_penalty.value, repetition_penalty.source),
    ]
}

#[test]
fn a_family_samples_as_its_makers_recommend() {
    for (name, [temperature, top_k, top_p]) in [
        ("qwen3/hf", [0.6, 20.0, 0.95]),
        ("qwen3/qwen3.gguf", [0.6, 20.0, 0.95]),
        ("gemma2/hf", [1.0, 64.0, 0.95]),
        ("gemma3/gemma3.gguf", [1.0, 64.0, 0.95]),
        ("llama/hf", [0.6, 0.0, 1.0]),
        ("mistral/mistral.gguf", [0.6, 0.0, 1.0]),
    ] {
        let defaults = sampling_defaults(&Checkpoint::open(&golden(name)).unwrap()).unwrap();
        let family = [temperature, top_k, top_p].map(|value| (value, Source::Family));
        let usual = [0.0, 1.0].map(|value| (value, Source::Ffai));
        assert_eq!(told(&defaults).as_slice(), [family.as_slice(), &usual].concat(), "{name}");
    }
}

#[test]
fn what_a_gguf_file_says_of_sampling_goes_before_its_family() {
    let sampled = |keys: &[(&str, Item)]| {
        let writer = keys.iter().fold(damaged::model(), |writer, (key, value)| {
            writer.with(&format!("general.sampling.{key}"), value.clone())
        });
        let file = Temporary::new(&writer.finish());
        sampling_defaults(&Checkpoint::open(&file.0).unwrap())
    };
    let all = [
        ("temp", Item::F32(0.7)),
        ("top_k", Item::I32(40)),
        ("top_p", Item::F32(0.8)),
        ("min_p", Item::F32(0.05)),
        ("penalty_repeat", Item::F32(1.05)),
    ];
    let expected = [0.7, 40.0, 0.8, 0.05, 1.05].map(|value| (value, Source::GgufMetadata));
    assert_eq!(told(&sampled(&all).unwrap()), expected);
    let some = told(&sampled(&all[1..2]).unwrap());
    assert_eq!(some[..2], [(0.6, Source::Family), (40.0, Source::GgufMetadata)]);
    // llama.cpp's spellings of off, and of the best token every time.
    let off =
        [("top_k", Item::I32(-1)), ("temp", Item::F32(-1.0)), ("top_p", Item::F32(1.5)), ("min_p", Item::F32(-0.5))];
    assert_eq!(told(&sampled(&off).unwrap())[..4].iter().map(|said| said.0).collect::<Vec<_>>(), [0.0, 0.0, 1.0, 0.0]);
    for (key, value) in [
        ("temp", Item::F32(f32::NAN)),
        ("temp", Item::Text("warm")),
        ("top_p", Item::F32(-0.1)),
        ("min_p", Item::F32(2.0)),
        ("penalty_repeat", Item::F32(0.0)),
        ("top_k", Item::F32(3.0)),
    ] {
        let error = sampled(&[(key, value)]).unwrap_err();
        assert!(error.to_string().contains(&format!("`general.sampling.{key}`")), "{error}");
    }
}

#[test]
fn what_generation_config_says_goes_before_the_family() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("inspect-sampling-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for file in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(golden("qwen3/hf").join(file), folder.join(file)).unwrap();
    }
    let sampled = |text: &str| {
        std::fs::write(folder.join("generation_config.json"), text).unwrap();
        told(&sampling_defaults(&Checkpoint::open(&folder).unwrap()).unwrap())
    };
    let (config, family, usual) = (Source::GenerationConfig, Source::Family, Source::Ffai);
    let some = sampled(r#"{"do_sample": true, "temperature": 0.8, "min_p": 0.1}"#);
    assert_eq!(some, [(0.8, config), (20.0, family), (0.95, family), (0.1, config), (1.0, usual)]);
    // Who says that nothing is drawn means the best token.
    let greedy = sampled(r#"{"do_sample": false, "temperature": 0.8}"#);
    assert_eq!(greedy[0], (0.0, config));
    std::fs::write(folder.join("generation_config.json"), r#"{"top_p": 7}"#).unwrap();
    let inspection = inspected(&folder);
    assert!(inspection.sampling.is_none() && inspection.problems[0].contains("top_p"), "{:?}", inspection.problems);
    std::fs::remove_dir_all(folder).unwrap();
}
