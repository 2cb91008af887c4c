//! The real model against an established engine's f32 results (tests/golden/smollm2/ORIGIN.md).

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

#[path = "support/model.rs"]
mod model;
#[path = "support/npy.rs"]
mod npy;

use ffai::generate::{Backend, Engine, OpenOptions, Request, SamplingOptions, Session};
use ffai::graph::Element;
use ffai::measure::difference;
use serde_json::Value;
use std::ops::ControlFlow;
use std::path::Path;

fn golden(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/smollm2").join(name)
}

fn reference() -> Value {
    serde_json::from_slice(&std::fs::read(golden("greedy_f32.json")).unwrap()).unwrap()
}

/// What the file holds of each tensor that a step reads is what the step reads.
#[test]
fn a_steady_step_reads_the_weights_once() {
    let Some(path) = model::real("smollm2") else { return };
    let bytes: u64 = ffai::weights::gguf::Gguf::open(&path).unwrap().tensors().map(|tensor| tensor.bytes).sum();
    let options = OpenOptions { context: Some(1024), ..OpenOptions::default() };
    let (mut engine, tokenizer) = ffai::generate::open(&path, &options, &mut |_, _| {}).unwrap();
    let layers = u64::from(engine.model().config().layers);
    let request = Request {
        prompt: ids(&reference()["teacher_forced"]["ids"]),
        max_tokens: 16,
        sampling: SamplingOptions::greedy(),
        stop: Vec::new(),
        ignore_eos: true,
    };
    let mut session = Session::new(&mut engine, &tokenizer).unwrap();
    let step = session.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap().step.unwrap();
    println!("{step:?}, tensors of {bytes} bytes");
    assert!(step.weight_bytes.abs_diff(bytes) <= bytes / 50, "{step:?}, tensors of {bytes} bytes");
    assert!(step.dispatches <= 9 * layers + 10, "{step:?}");
    assert_eq!((step.passes, step.submits, step.readback_bytes), (1, 1, 4), "{step:?}");
    assert!(step.syncs <= 1, "{step:?}");
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

fn engine(kv: Element, backend: Backend) -> Option<Engine> {
    let path = model::real("smollm2")?;
    let options = OpenOptions { kv, backend, context: Some(1024), ..OpenOptions::default() };
    Some(ffai::generate::open(&path, &options, &mut |_, _| {}).unwrap().0)
}

fn logits_agree(kv: Element, backend: Backend, at_most: f64) {
    let Some(mut engine) = engine(kv, backend) else { return };
    let text = ids(&reference()["teacher_forced"]["ids"]);
    let want = npy::read(&golden("logits_f32_pos0_31_127.npy"));
    let sequence = engine.open().unwrap();
    let got = engine.logits(sequence, &text, &[0, 31, 127]).unwrap();
    for ((position, got), want) in [0, 31, 127].iter().zip(&got).zip(&want) {
        let nmse = difference(got, want).nmse;
        println!("{backend:?} {kv:?} position {position}: nmse {nmse:e}");
        assert!(nmse <= at_most, "{backend:?} {kv:?} position {position}: nmse {nmse:e}, at most {at_most:e}");
    }
}

#[test]
fn logits_agree_with_f32_keys_and_values() {
    logits_agree(Element::F32, Backend::Gpu, 1e-8);
}

#[test]
fn logits_agree_with_f16_keys_and_values() {
    logits_agree(Element::F16, Backend::Gpu, 1e-5);
}

#[test]
fn logits_of_the_cpu_reference_agree() {
    logits_agree(Element::F32, Backend::Cpu, 1e-8);
}

/// Greedy text is comparable up to the first step at which the reference itself was nearly undecided.
fn greedy_text_agrees(kv: Element, gap: f64) {
    let Some(mut engine) = engine(kv, Backend::Gpu) else { return };
    let sampling = SamplingOptions::greedy();
    for generation in reference()["generations"].as_array().unwrap() {
        let want = ids(&generation["ids"]);
        let gaps = generation["steps"].as_array().unwrap().iter().map(|step| step["gap"].as_f64().unwrap());
        let comparable = gaps.take_while(|&g| g >= gap).count().min(want.len());
        assert!(comparable > 0, "the reference is undecided from the start");
        let sequence = engine.open().unwrap();
        engine.set_sampling(sequence, sampling.settings(), None).unwrap();
        let mut step = engine.prefill(sequence, &ids(&generation["prompt_ids"]), 0, sampling.parts(), false).unwrap();
        let mut got = Vec::new();
        loop {
            got.extend(engine.finish(step).unwrap().0);
            if got.len() == comparable {
                break;
            }
            step = engine.step(&[sequence], sampling.parts(), false).unwrap();
        }
        engine.close(sequence);
        assert_eq!(got, want[..comparable], "{:?}, {} of {} steps", generation["key"], comparable, want.len());
        println!("{kv:?} {}: {comparable} of {} steps compared", generation["key"], want.len());
    }
}

#[test]
fn greedy_text_agrees_with_f32_keys_and_values() {
    greedy_text_agrees(Element::F32, 0.01);
}

#[test]
fn greedy_text_agrees_with_f16_keys_and_values() {
    greedy_text_agrees(Element::F16, 0.05);
}
