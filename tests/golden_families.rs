//! Tiny random models of every family against HF transformers in f32 (tests/golden/families/README.md): from safetensors, GGUF and
//! MLX, prefilled and step by step, on both executors.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

#[path = "support/npy.rs"]
mod npy;

use ffai::generate::{Backend, OpenOptions, load};
use ffai::graph::Element;
use ffai::measure::difference;
use ffai::weights::Checkpoint;
use std::path::{Path, PathBuf};

/// Where each model lies, and whose logits it is to have.
const MODELS: &[(&str, &str)] = &[
    ("llama/hf", "llama/logits.npy"),
    ("llama/llama.gguf", "llama/logits.npy"),
    ("llama/mlx", "llama/mlx.logits.npy"),
    ("llama31/hf", "llama31/logits.npy"),
    ("llama31/hf-parts", "llama31/logits.npy"),
    ("llama31/llama31.gguf", "llama31/logits.npy"),
    ("mistral/hf", "mistral/logits.npy"),
    ("mistral/mistral.gguf", "mistral/logits.npy"),
    ("qwen2/hf", "qwen2/logits.npy"),
    ("qwen2/qwen2.gguf", "qwen2/logits.npy"),
    ("qwen3/hf", "qwen3/logits.npy"),
    ("qwen3/qwen3.gguf", "qwen3/logits.npy"),
    ("gemma2/hf", "gemma2/logits.npy"),
    ("gemma2/gemma2.gguf", "gemma2/gguf.logits.npy"),
    ("gemma3/hf", "gemma3/logits.npy"),
    ("gemma3/gemma3.gguf", "gemma3/logits.npy"),
    ("gemma3/mlx", "gemma3/mlx.logits.npy"),
];

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// The best token where the reference is decided by more than 1e-3.
fn decided(logits: &[f32]) -> Option<usize> {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    (logits[order[0]] - logits[order[1]] > 1e-3).then_some(order[0])
}

fn agrees(options: &OpenOptions, at_most: f64) {
    for (model, logits) in MODELS {
        let tokens = golden(model.split('/').next().unwrap()).join("tokens.json");
        let tokens: Vec<u32> = serde_json::from_slice(&std::fs::read(tokens).unwrap()).unwrap();
        let want = npy::read(&golden(logits));
        let checkpoint = Checkpoint::open(&golden(model)).unwrap();
        let mut engine = load(&checkpoint, options, &mut |_, _| {}).unwrap();
        let all: Vec<usize> = (0..tokens.len()).collect();
        let whole = engine.open().unwrap();
        let prefilled = engine.logits(whole, &tokens, &all).unwrap();
        let sequence = engine.open().unwrap();
        let stepped: Vec<Vec<f32>> =
            tokens.iter().flat_map(|&token| engine.logits(sequence, &[token], &[0]).unwrap()).collect();
        let chunked = engine.open().unwrap();
        let mut continued = engine.logits(chunked, &tokens[..11], &all[..11]).unwrap();
        continued.extend(engine.logits(chunked, &tokens[11..], &all[..tokens.len() - 11]).unwrap());
        for (how, got) in [("prefill", &prefilled), ("step by step", &stepped), ("in two chunks", &continued)] {
            assert_eq!(got.len(), want.len());
            let nmse = difference(&got.concat(), &want.concat()).nmse;
            println!("{model} {:?} {:?} {how}: nmse {nmse:e}", options.backend, options.kv);
            assert!(nmse <= at_most, "{model} {how}: nmse {nmse:e}, at most {at_most:e}");
            for (position, (got, want)) in got.iter().zip(&want).enumerate() {
                if let (Some(best), Some(found)) = (decided(want), decided(got)) {
                    assert_eq!(found, best, "{model} {how}: best token at {position}");
                }
            }
        }
    }
}

#[test]
fn cpu_logits_agree_with_transformers() {
    agrees(&OpenOptions { backend: Backend::Cpu, kv: Element::F32, ..OpenOptions::default() }, 1e-10);
}

#[test]
fn gpu_logits_agree_with_transformers() {
    agrees(&OpenOptions { kv: Element::F32, ..OpenOptions::default() }, 1e-9);
}

/// Plans differ between software drivers and cards (norms are folded into products on the latter).
#[test]
fn plans_for_cards_agree_too() {
    agrees(&OpenOptions { kv: Element::F32, software: Some(false), ..OpenOptions::default() }, 1e-9);
}

#[test]
fn gpu_logits_with_f16_keys_and_values_agree_with_transformers() {
    agrees(&OpenOptions { kv: Element::F16, ..OpenOptions::default() }, 1e-6);
}
