//! Converts golden models: from every family's GGUF the very tensors of its folder come back, and what is quantized computes nearly
//! the same.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

#[path = "support/conversion.rs"]
mod conversion;
#[path = "support/npy.rs"]
mod npy;

use conversion::{converted, converted_on, encode, golden, logits, scratch, texts};
use ffai::Error;
use ffai::convert::{ConvertOptions, Float, convert};
use ffai::evaluate::{Against, Method, PerplexityOptions, divergence};
use ffai::generate::{Backend, OpenOptions};
use ffai::graph::Rng;
use ffai::measure::difference;
use ffai::weights::Checkpoint;
use ffai::weights::safetensors::{Dtype, Safetensors};
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::path::Path;

/// Every family, and what the weights of its folder are stored as.
const FAMILIES: [(&str, Float); 7] = [
    ("llama", Float::Bf16),
    ("llama31", Float::F32),
    ("mistral", Float::F16),
    ("qwen2", Float::Bf16),
    ("qwen3", Float::Bf16),
    ("gemma2", Float::Bf16),
    ("gemma3", Float::Bf16),
];

fn quantized(bits: u32, group: u32) -> ConvertOptions {
    ConvertOptions { bits: Some(bits), group, ..ConvertOptions::default() }
}

fn unquantized(dtype: Float) -> ConvertOptions {
    ConvertOptions { dtype: Some(dtype), ..ConvertOptions::default() }
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Names, types, shapes and bytes.
fn tensors(folder: &Path) -> Vec<(String, Dtype, Vec<u64>, Vec<u8>)> {
    let all = Safetensors::open(folder).unwrap();
    all.tensors().map(|t| (t.name.clone(), t.dtype, t.shape.clone(), all.data(t).to_vec())).collect()
}

fn same_tensors(what: &str, got: &Path, want: &Path) {
    let (got, want) = (tensors(got), tensors(want));
    let names = |all: &[(String, Dtype, Vec<u64>, Vec<u8>)]| all.iter().map(|t| t.0.clone()).collect::<Vec<_>>();
    assert_eq!(names(&got), names(&want), "{what}");
    for (got, want) in got.iter().zip(&want) {
        assert_eq!((got.1, &got.2), (want.1, &want.2), "{what}: {}", got.0);
        assert!(got.3 == want.3, "{what}: the bytes of {} differ", got.0);
    }
}

/// What a quantization costs rises with every bit that it saves.
#[test]
fn divergence_from_the_source_rises_as_bits_fall() {
    let source = golden("llama").join("hf");
    let open = |path: &Path| ffai::generate::open(path, &OpenOptions::default(), &mut |_, _| {}).unwrap().0;
    let mut reference = open(&source);
    let mut rng = Rng(11);
    let tokens: Vec<u32> = (0..400).map(|_| rng.below(256)).collect();
    let options = PerplexityOptions { method: Method::Chunked, context: 100, chunks: None, bos: None };
    let klds: Vec<f64> = [8, 6, 5, 4, 3, 2]
        .map(|bits| {
            let (folder, _) = converted(&format!("kld-{bits}"), &source, &quantized(bits, 32));
            let found = divergence(Against::Engine(&mut reference), &mut open(&folder), &tokens, &options, &mut |_| {
                ControlFlow::Continue(())
            });
            found.unwrap().statistics().unwrap().mean_kld.value
        })
        .to_vec();
    assert!(klds[0] > 0.0 && klds.is_sorted_by(|a, b| a < b), "{klds:?}");
}

#[test]
fn a_gguf_gives_back_the_very_tensors_of_its_folder() {
    for (family, dtype) in FAMILIES {
        let source = golden(family).join(format!("{family}.gguf"));
        let (out, report) = converted(&format!("plain-{family}"), &source, &unquantized(dtype));
        same_tensors(family, &out, &golden(family).join("hf"));
        assert!(report.unquantized.is_empty() && report.left_out.is_empty(), "{report:?}");
        assert_eq!(report.bytes_after, tensors(&out).iter().map(|tensor| tensor.3.len() as u64).sum::<u64>());
    }
}

/// What `config.json` of the folder says and a GGUF knows, in whichever schema it is said.
#[test]
fn a_gguf_gives_back_its_folders_configuration() {
    for (family, dtype) in FAMILIES {
        let source = golden(family).join(format!("{family}.gguf"));
        let (out, _) = converted(&format!("config-{family}"), &source, &unquantized(dtype));
        let (got, want) = (json(&out.join("config.json")), json(&golden(family).join("hf/config.json")));
        let mut compared = 0;
        for (key, want) in want.as_object().unwrap() {
            // What a GGUF does not hold; the scalar follows a rule there (tests/golden/families/README.md).
            let unknown = ["query_pre_attn_scalar", "rope_parameters", "dtype", "initializer_range", "use_cache"];
            let silent = ["transformers_version", "pretraining_tp", "_sliding_window_pattern", "max_window_layers"];
            let unset = family.starts_with("qwen") && ["sliding_window", "layer_types"].contains(&key.as_str());
            if unknown.contains(&key.as_str()) || silent.contains(&key.as_str()) || unset {
                continue;
            }
            if key == "use_bidirectional_attention" || (key == "mlp_bias" && family != "llama") {
                continue;
            }
            let got = got.get(key).unwrap_or(&Value::Null);
            assert_eq!(got, want, "{family}: {key}");
            compared += 1;
        }
        assert!(compared >= 15, "{family}: {compared} keys compared");
        if let Some(rope) = want.get("rope_parameters") {
            let everywhere = rope.get("full_attention").unwrap_or(rope);
            assert_eq!(got["rope_theta"], everywhere["rope_theta"], "{family}");
            for (key, want) in everywhere.as_object().unwrap().iter().filter(|(key, _)| *key != "rope_theta") {
                let plain = everywhere["rope_type"] == "default";
                let got = if plain { &json!("default") } else { &got["rope_scaling"][key] };
                assert_eq!(got.as_f64().map(json_number), want.as_f64().map(json_number), "{family}: {key}");
                assert_eq!(got.as_str(), want.as_str(), "{family}: {key}");
            }
            if let Some(local) = rope.get("sliding_attention") {
                assert_eq!(got["rope_local_base_freq"], local["rope_theta"], "{family}");
            }
        }
    }
}

/// 4 and 4.0 are one number.
fn json_number(number: f64) -> u64 {
    number.to_bits()
}

#[test]
fn a_ggufs_tokenizer_splits_text_as_it_did() {
    for (family, dtype) in FAMILIES {
        let source = golden(family).join(format!("{family}.gguf"));
        let (out, _) = converted(&format!("text-{family}"), &source, &unquantized(dtype));
        let written = tokenizers::Tokenizer::from_file(out.join("tokenizer.json")).unwrap();
        let source = ffai::generate::tokenizer(&Checkpoint::open(&source).unwrap()).unwrap();
        for (text, want) in texts(family, true) {
            assert_eq!(encode(&source, &text), want, "{family}: {text:?}");
            assert_eq!(written.encode(text.as_str(), true).unwrap().get_ids(), want, "{family}: {text:?}");
        }
        let (settings, want) =
            (json(&out.join("tokenizer_config.json")), golden(family).join("hf/tokenizer_config.json"));
        let want = json(&want);
        for key in ["eos_token", "unk_token", "pad_token", "add_bos_token", "add_eos_token"] {
            assert_eq!(settings.get(key).unwrap_or(&Value::Null), &want[key], "{family}: {key}");
        }
        let ends = json(&out.join("generation_config.json"))["eos_token_id"].clone();
        let eos = &json(&golden(family).join("hf/config.json"))["eos_token_id"];
        assert!(ends.as_array().unwrap().contains(eos), "{family}: {ends} ends a text, and not {eos}");
    }
}

/// What MLX's format may cost the tiny models' logits, by bits: twice the largest NMSE measured. Their weights are drawn at random,
/// which is the worst case; that nothing but the format costs anything is what comparing with MLX's own conversion shows.
const NMSE: [(u32, f64); 6] = [(2, 2.8), (3, 1.3), (4, 0.36), (5, 0.1), (6, 0.023), (8, 0.0028)];

#[test]
fn what_is_quantized_computes_nearly_the_same() {
    for (family, _) in FAMILIES {
        let ids: Vec<u32> = serde_json::from_value(json(&golden(family).join("tokens.json"))).unwrap();
        for (bits, at_most) in NMSE {
            // The GGUF of gemma2 computes with another scale than its folder.
            let source = if bits % 2 == 0 || family == "gemma2" { "hf".to_owned() } else { format!("{family}.gguf") };
            let (out, report) =
                converted(&format!("{family}-{bits}"), &golden(family).join(source), &quantized(bits, 32));
            let got = logits(Backend::Cpu, &out, std::slice::from_ref(&ids)).concat().concat();
            let want = npy::read(&golden(family).join("logits.npy")).concat();
            let nmse = difference(&got, &want).nmse;
            println!("{family} in {bits} bits: nmse {nmse:e}, {:.2} bits per weight", report.bits_per_weight);
            assert!(nmse <= at_most, "{family} in {bits} bits: nmse {nmse:e}, at most {at_most:e}");
            assert!(nmse > at_most / 100.0, "{family} in {bits} bits: nmse {nmse:e} is too good to be quantized");
        }
    }
}

/// The golden folder was made by mlx_lm's converter of the same weights (tests/golden/families/mlx_folder.py).
#[test]
fn a_folder_becomes_what_mlx_makes_of_it() {
    let (out, _) = converted("as-mlx", &golden("llama/hf"), &quantized(4, 32));
    same_tensors("llama", &out, &golden("llama/mlx"));
    let (got, want) = (json(&out.join("config.json")), json(&golden("llama/mlx/config.json")));
    for key in ["quantization", "quantization_config", "rope_theta", "tie_word_embeddings", "head_dim"] {
        assert_eq!(got[key], want[key], "{key}");
    }
}

#[test]
fn both_executors_write_the_same_bytes() {
    for (family, source) in [("llama", "llama.gguf"), ("gemma3", "mlx"), ("qwen2", "hf")] {
        let options = ConvertOptions { dtype: Some(Float::F16), ..quantized(5, 32) };
        let source = golden(family).join(source);
        let (gpu, _) = converted(&format!("gpu-{family}"), &source, &options);
        let (cpu, _) = converted_on(Backend::Cpu, &format!("cpu-{family}"), &source, &options);
        same_tensors(family, &gpu, &cpu);
    }
}

#[test]
fn what_is_packed_as_wanted_already_is_copied() {
    let (out, report) = converted("again", &golden("llama/mlx"), &quantized(4, 32));
    same_tensors("llama/mlx", &out, &golden("llama/mlx"));
    assert_eq!(report.bytes_before, report.bytes_after);
    let quantization = json!({"group_size": 32, "bits": 4, "mode": "affine"});
    assert_eq!(json(&out.join("config.json"))["quantization"], quantization);
    // Unpacked and packed again: the same values meet the same grid, but for the rounding of scales.
    let (plain, _) = converted("unpacked", &golden("llama/mlx"), &unquantized(Float::F32));
    assert!(json(&plain.join("config.json")).get("quantization").is_none());
    let ids: Vec<u32> = serde_json::from_value(json(&golden("llama/tokens.json"))).unwrap();
    let got = logits(Backend::Cpu, &plain, &[ids]).concat().concat();
    let nmse = difference(&got, &npy::read(&golden("llama/mlx.logits.npy")).concat()).nmse;
    assert!(nmse < 1e-10, "{nmse:e}");
}

#[test]
fn roles_have_bits_of_their_own_and_the_configuration_says_so() {
    let roles = [("embedding", Some(6)), ("value", Some(8)), ("attention", Some(5)), ("head", None)];
    let roles = roles.map(|(role, bits)| (role.to_owned(), bits)).to_vec();
    let options = ConvertOptions { roles, ..quantized(4, 32) };
    let (out, report) = converted("roles", &golden("llama/hf"), &options);
    let config = json(&out.join("config.json"));
    let of = |layer: &str| config["quantization"].get(layer).cloned();
    let table = |bits: u32| Some(json!({"group_size": 32, "bits": bits, "mode": "affine"}));
    assert_eq!(of("model.embed_tokens"), table(6));
    assert_eq!(of("model.layers.2.self_attn.q_proj"), table(5));
    assert_eq!(of("model.layers.2.self_attn.v_proj"), table(8));
    assert_eq!(of("model.layers.2.mlp.down_proj"), None);
    assert_eq!(of("lm_head"), Some(Value::Bool(false)));
    assert_eq!(config["quantization"]["bits"], 4);
    assert_eq!(config["quantization"], config["quantization_config"]);
    let after: Vec<_> = report.roles.iter().map(|role| (role.role, role.after[0].format.as_str())).collect();
    assert_eq!(
        after,
        [("embedding", "6 bits"), ("norms", "BF16"), ("attention", "5 bits"), ("mlp", "4 bits"), ("head", "BF16")]
    );
    // Everything reads it: shapes and configuration agree.
    let ids: Vec<u32> = serde_json::from_value(json(&golden("llama/tokens.json"))).unwrap();
    let got = logits(Backend::Cpu, &out, &[ids]).concat().concat();
    let nmse = difference(&got, &npy::read(&golden("llama/logits.npy")).concat()).nmse;
    assert!(nmse < 0.2, "{nmse:e}");
}

#[test]
fn rows_that_groups_do_not_divide_stay_unquantized() {
    let (out, report) = converted("indivisible", &golden("llama/hf"), &quantized(4, 64));
    let names: Vec<&str> = report.unquantized.iter().map(|matrix| matrix.name.as_str()).collect();
    let expected: Vec<String> = (0..3).map(|layer| format!("model.layers.{layer}.mlp.down_proj.weight")).collect();
    assert_eq!(names, expected);
    assert!(report.unquantized.iter().all(|matrix| matrix.cols == 96));
    assert_eq!(json(&out.join("config.json"))["quantization"]["model.layers.0.mlp.down_proj"], Value::Bool(false));
    logits(Backend::Cpu, &out, &[vec![1, 2, 3]]);
}

#[test]
fn parts_hold_what_one_file_holds() {
    let (whole, _) = converted("whole", &golden("qwen3/hf"), &quantized(4, 32));
    let options = ConvertOptions { shard_bytes: 20_000, ..quantized(4, 32) };
    let (parts, report) = converted("parts", &golden("qwen3/hf"), &options);
    same_tensors("qwen3", &parts, &whole);
    assert!(report.files.len() > 3 && !whole.join("model.safetensors.index.json").exists(), "{report:?}");
    let index = json(&parts.join("model.safetensors.index.json"));
    assert_eq!(index["metadata"]["total_size"], report.bytes_after);
    assert_eq!(index["metadata"]["total_parameters"], report.weights);
    assert_eq!(index["weight_map"].as_object().unwrap().len(), tensors(&whole).len());
    for file in &report.files {
        assert_eq!(std::fs::metadata(parts.join(&file.name)).unwrap().len(), file.bytes, "{}", file.name);
        let bytes = std::fs::read(parts.join(&file.name)).unwrap();
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!(header.metadata().as_ref().unwrap()["format"], "mlx");
    }
}

fn attempt(source: &Path, out: &Path, options: &ConvertOptions) -> Result<(), Error> {
    let checkpoint = Checkpoint::open(source)?;
    let mut cpu = ffai::cpu::Cpu::new(None);
    convert(&checkpoint, out, options, &mut cpu, &mut |_, _| ControlFlow::Continue(())).map(|_| ())
}

/// A failed conversion leaves nothing behind, neither under the final name nor beside it.
fn leaves_nothing(folder: &Path) {
    let left: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn damaged_weights_are_refused_with_their_name() {
    let folder = scratch("damaged");
    std::fs::create_dir_all(folder.join("out")).unwrap();
    let copy = folder.join("hf");
    std::fs::create_dir_all(&copy).unwrap();
    for entry in std::fs::read_dir(golden("llama31/hf")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, copy.join(path.file_name().unwrap())).unwrap();
    }
    let file = copy.join("model.safetensors");
    let sound = std::fs::read(&file).unwrap();
    let (start, header) = safetensors::SafeTensors::read_metadata(&sound).unwrap();
    for (name, options) in [
        ("model.layers.1.self_attn.v_proj.weight", quantized(4, 32)),
        ("model.layers.1.mlp.up_proj.weight", unquantized(Float::Bf16)),
        ("model.norm.weight", quantized(4, 32)),
    ] {
        let at = 8 + start + header.info(name).unwrap().data_offsets.0 + 4 * 7;
        for (value, expected) in
            [(f32::NAN, "no finite number"), (f32::NEG_INFINITY, "no finite number"), (1e6, "up to 65504")]
        {
            let mut damaged = sound.clone();
            damaged[at..at + 4].copy_from_slice(&value.to_le_bytes());
            std::fs::write(&file, damaged).unwrap();
            let too_large = value == 1e6;
            let options =
                if too_large { ConvertOptions { dtype: Some(Float::F16), ..options.clone() } } else { options.clone() };
            let error = attempt(&copy, &folder.join("out/x"), &options).unwrap_err();
            let message = error.to_string();
            assert!(message.contains(name) && message.contains(expected) && error.hint().is_some(), "{message}");
            leaves_nothing(&folder.join("out"));
        }
    }
}

#[test]
fn a_stopped_conversion_leaves_nothing() {
    let folder = scratch("stopped");
    std::fs::create_dir_all(&folder).unwrap();
    let checkpoint = Checkpoint::open(&golden("llama/hf")).unwrap();
    let mut cpu = ffai::cpu::Cpu::new(None);
    let mut told = 0;
    let stopped = convert(&checkpoint, &folder.join("x"), &quantized(4, 32), &mut cpu, &mut |_, _| {
        told += 1;
        if told == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(stopped, Err(Error::Convert(ffai::convert::Error::Stopped))), "{stopped:?}");
    leaves_nothing(&folder);
}
