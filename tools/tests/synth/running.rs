//! Every family and every kind of file is opened by the engine, and runs.

use super::{Folder, config, families, gguf, synth, written};
use ffai::generate::{Backend, OpenOptions, open};
use ffai::text::{Bos, EncodeOptions, Special};
use std::path::Path;

/// Logits behind a short text, after a few more tokens: finite, and neither all alike nor torn apart.
fn runs(path: &Path) {
    let options = OpenOptions { backend: Backend::Cpu, ..OpenOptions::default() };
    let (mut engine, tokenizer) = open(path, &options, &mut |_, _| {}).unwrap();
    let ids = tokenizer.encode("the king", EncodeOptions { special: Special::Plain, bos: Bos::Always }).unwrap();
    let sequence = engine.open().unwrap();
    let logits = engine.logits(sequence, &ids, &[0, ids.len() - 1]).unwrap();
    for row in &logits {
        assert!(row.iter().all(|logit| logit.is_finite()), "{}", path.display());
        let mean = row.iter().sum::<f32>() / row.len() as f32;
        let deviation = (row.iter().map(|logit| (logit - mean).powi(2)).sum::<f32>() / row.len() as f32).sqrt();
        assert!((0.1..10.0).contains(&deviation), "{}: logits deviate by {deviation}", path.display());
    }
    assert_ne!(logits[0], logits[1], "{}: logits do not depend on the text", path.display());
}

#[test]
fn a_gguf_file_of_every_family_runs() {
    let folder = Folder::new();
    for (family, _) in families() {
        runs(&gguf(&folder, family, &format!("{family}.gguf"), &["--quantization", "Q8_0"]));
    }
}

#[test]
fn a_gguf_file_of_every_quantization_runs() {
    let folder = Folder::new();
    for name in ["Q4_K_M", "Q3_K_M", "Q2_K", "IQ4_XS", "IQ4_NL", "Q4_1", "Q5_0", "Q5_1", "F16", "BF16", "F32"] {
        runs(&gguf(&folder, "qwen3", &format!("{name}.gguf"), &["--quantization", name]));
    }
}

#[test]
fn an_mlx_folder_of_every_family_runs() {
    let folder = Folder::new();
    for (family, shape) in families() {
        let (config, path) = (config(&folder, family, &shape), folder.join(family));
        let plain = ["--config", &config, "--format", "mlx", "-o", path.to_str().unwrap()];
        let packed = ["--bits", "4", "--group-size", "32"];
        let more: &[&str] = if family.starts_with("qwen") { &[] } else { &packed };
        written(&synth(&[&plain, more].concat()), &path.join("model.safetensors"));
        runs(&path);
    }
}

#[test]
fn rows_that_groups_do_not_divide_stay_plain_and_run() {
    let folder = Folder::new();
    let (_, shape) = families().remove(0);
    let (config, path) = (config(&folder, "llama", &shape), folder.join("out"));
    // Rows of 96 are no groups of 64.
    let arguments = ["--config", &config, "--format", "mlx", "--bits", "8", "-o", path.to_str().unwrap()];
    written(&synth(&arguments), &path.join("config.json"));
    let config: serde_json::Value = serde_json::from_slice(&std::fs::read(path.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["quantization"]["model.layers.0.mlp.down_proj"], false);
    assert_eq!(config["quantization"]["bits"], 8);
    runs(&path);
}
