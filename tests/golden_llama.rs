//! Tiny random llamas against HF transformers in f32 (tests/golden/llama/README.md): prefill and step by step, both executors.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

#[path = "support/npy.rs"]
mod npy;

use ffai::generate::{Backend, OpenOptions};
use ffai::graph::Element;
use ffai::measure::difference;
use std::path::{Path, PathBuf};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/llama").join(name)
}

/// The best token where the reference is decided by more than 1e-3.
fn decided(logits: &[f32]) -> Option<usize> {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    (logits[order[0]] - logits[order[1]] > 1e-3).then_some(order[0])
}

fn agrees(model: &str, backend: Backend, kv: Element, at_most: f64) {
    agrees_as(model, backend, kv, at_most, None);
}

fn agrees_as(model: &str, backend: Backend, kv: Element, at_most: f64, software: Option<bool>) {
    let tokens: Vec<u32> =
        serde_json::from_slice(&std::fs::read(golden(&format!("{model}.tokens.json"))).unwrap()).unwrap();
    let want = npy::read(&golden(&format!("{model}.logits.npy")));
    let options = OpenOptions { backend, kv, software, ..OpenOptions::default() };
    let (mut engine, _) = ffai::generate::open(&golden(&format!("{model}.gguf")), &options, &mut |_, _| {}).unwrap();
    let all: Vec<usize> = (0..tokens.len()).collect();
    let whole = engine.open().unwrap();
    let prefilled = engine.logits(whole, &tokens, &all).unwrap();
    let stepped_sequence = engine.open().unwrap();
    let stepped: Vec<Vec<f32>> =
        tokens.iter().flat_map(|&token| engine.logits(stepped_sequence, &[token], &[0]).unwrap()).collect();
    for (how, got) in [("prefill", &prefilled), ("step by step", &stepped)] {
        assert_eq!(got.len(), want.len());
        let flat = |rows: &[Vec<f32>]| rows.concat();
        let nmse = difference(&flat(got), &flat(&want)).nmse;
        println!("{model} {backend:?} {kv:?} {how}: nmse {nmse:e}");
        assert!(nmse <= at_most, "{model} {backend:?} {kv:?} {how}: nmse {nmse:e}, at most {at_most:e}");
        for (position, (got, want)) in got.iter().zip(&want).enumerate() {
            if let (Some(best), Some(found)) = (decided(want), decided(got)) {
                assert_eq!(found, best, "{model} {how}: best token at {position}");
            }
        }
    }
}

#[test]
fn cpu_logits_agree_with_transformers() {
    for model in ["llama2", "llama3"] {
        agrees(model, Backend::Cpu, Element::F32, 1e-10);
    }
}

#[test]
fn gpu_logits_agree_with_transformers() {
    for model in ["llama2", "llama3"] {
        agrees(model, Backend::Gpu, Element::F32, 1e-9);
    }
}

/// Plans differ between software drivers and cards (norms are folded into products on the latter): both kinds run here.
#[test]
fn plans_of_the_other_kind_agree_too() {
    for software in [false, true] {
        for model in ["llama2", "llama3"] {
            agrees_as(model, Backend::Gpu, Element::F32, 1e-9, Some(software));
        }
    }
}

#[test]
fn gpu_logits_with_f16_keys_and_values_agree_with_transformers() {
    for model in ["llama2", "llama3"] {
        agrees(model, Backend::Gpu, Element::F16, 1e-6);
    }
}
