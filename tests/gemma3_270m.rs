//! A real file of K-quants against HF transformers in f32, whose weights PyPI `gguf` unpacked, and its tokenizer against llama.cpp
//! (tests/golden/gemma3-270m/README.md).

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

#[path = "support/model.rs"]
mod model;
#[path = "support/npy.rs"]
mod npy;

use ffai::generate::{Backend, OpenOptions, SamplingOptions};
use ffai::graph::Element;
use ffai::measure::difference;
use ffai::text::{Bos, EncodeOptions, Special};
use serde_json::Value;
use std::path::Path;

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/gemma3-270m").join(name)).unwrap()
}

fn reference() -> Value {
    serde_json::from_slice(&golden("reference.json")).unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap()
}

/// Teacher-forced logits at positions before and past the window of 512: each 97th of the vocabulary, and the best 64.
fn logits_agree(options: &OpenOptions, at_most: f64) {
    let Some(path) = model::real("gemma3") else { return };
    let reference = reference();
    let forced = &reference["teacher_forced"];
    let rows = npy::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/gemma3-270m/logits_every_97th.npy"));
    let positions: Vec<&Value> = forced["positions"].as_array().unwrap().iter().collect();
    let picks: Vec<usize> = positions.iter().map(|entry| entry["position"].as_u64().unwrap() as usize).collect();
    // The CPU reference is slow: it stops before the window matters, which the tiny models of the family show.
    let picks: Vec<usize> = picks.into_iter().filter(|&at| options.backend == Backend::Gpu || at < 128).collect();
    let text = &ids(&forced["ids"])[..=*picks.last().unwrap()];
    let (mut engine, _) = ffai::generate::open(&path, options, &mut |_, _| {}).unwrap();
    let sequence = engine.open().unwrap();
    let logits = engine.logits(sequence, text, &picks).unwrap();
    for (((entry, want), got), at) in positions.iter().zip(&rows).zip(&logits).zip(&picks) {
        let best = ids(&entry["top_ids"]);
        let mut found: Vec<f32> = got.iter().step_by(97).copied().collect();
        found.extend(best.iter().map(|&id| got[id as usize]));
        let mut wanted = want.clone();
        wanted.extend(serde_json::from_value::<Vec<f32>>(entry["top_logits"].clone()).unwrap());
        let nmse = difference(&found, &wanted).nmse;
        println!("{:?} {:?} position {at}: nmse {nmse:e}", options.backend, options.kv);
        assert!(nmse <= at_most, "position {at}: nmse {nmse:e}, at most {at_most:e}");
        let top = (0..got.len()).max_by(|&a, &b| got[a].total_cmp(&got[b])).unwrap();
        assert_eq!(top as u32, best[0], "best token at position {at}");
    }
}

#[test]
fn logits_agree_with_f32_keys_and_values() {
    logits_agree(&OpenOptions { kv: Element::F32, context: Some(1024), ..OpenOptions::default() }, 1e-8);
}

#[test]
fn logits_agree_with_f16_keys_and_values() {
    logits_agree(&OpenOptions { context: Some(1024), ..OpenOptions::default() }, 1e-5);
}

#[test]
fn logits_of_the_cpu_reference_agree() {
    let options = OpenOptions { backend: Backend::Cpu, kv: Element::F32, context: Some(256), ..OpenOptions::default() };
    logits_agree(&options, 1e-8);
}

/// Nothing is widened: the device holds as many bytes of weights as the file, norms and scales included.
#[test]
fn the_device_holds_what_the_file_holds() {
    let Some(path) = model::real("gemma3") else { return };
    let checkpoint = ffai::weights::Checkpoint::open(&path).unwrap();
    let file: u64 = checkpoint.tensors().iter().map(|(_, bytes)| bytes).sum();
    let options = OpenOptions { context: Some(64), ..OpenOptions::default() };
    let device = ffai::generate::load(&checkpoint, &options, &mut |_, _| {}).unwrap().model().weight_bytes();
    assert!(device.abs_diff(file) <= file / 50, "{device} bytes on the device for the file's {file}");
}

/// Greedy text is comparable up to the first step at which the reference itself was nearly undecided.
#[test]
fn greedy_text_agrees() {
    let Some(path) = model::real("gemma3") else { return };
    let options = OpenOptions { kv: Element::F32, context: Some(1024), ..OpenOptions::default() };
    let (mut engine, _) = ffai::generate::open(&path, &options, &mut |_, _| {}).unwrap();
    let sampling = SamplingOptions::greedy();
    let mut compared = 0;
    for generation in reference()["generations"].as_array().unwrap() {
        let want = ids(&generation["ids"]);
        let gaps = generation["steps"].as_array().unwrap().iter().map(|step| step["gap"].as_f64().unwrap());
        let comparable = gaps.take_while(|&gap| gap >= 0.002).count().min(want.len());
        let sequence = engine.open().unwrap();
        engine.set_sampling(sequence, sampling.settings(), None).unwrap();
        let mut step = engine.prefill(sequence, &ids(&generation["prompt_ids"]), 0, sampling.parts(), false).unwrap();
        let mut got = Vec::new();
        while got.len() < comparable {
            got.extend(engine.finish(step).unwrap().0);
            step = engine.step(&[sequence], sampling.parts(), false).unwrap();
        }
        engine.finish(step).unwrap();
        engine.close(sequence);
        assert_eq!(got, want[..comparable], "{:?}, {comparable} of {} steps", generation["key"], want.len());
        compared += comparable;
    }
    println!("{compared} steps compared");
    assert!(compared >= 100, "the reference is undecided too early: {compared} steps");
}

#[test]
fn ids_equal_those_of_an_established_tokenizer() {
    let Some(path) = model::real("gemma3") else { return };
    let checkpoint = ffai::weights::Checkpoint::open(&path).unwrap();
    let tokenizer = ffai::generate::tokenizer(&checkpoint).unwrap();
    let rows: Vec<Value> = serde_json::from_slice(&golden("tokenization.json")).unwrap();
    assert!(rows.len() >= 40);
    for row in rows {
        for (key, special, bos) in [
            ("ids_special", Special::Parse, Bos::AsModel),
            ("ids_parse_nobos", Special::Parse, Bos::Never),
            ("ids_plain", Special::Plain, Bos::Never),
        ] {
            let text = row["text"].as_str().unwrap();
            let got = tokenizer.encode(text, EncodeOptions { special, bos }).unwrap();
            // Where llama.cpp and transformers differ, one of them is right.
            let other = row.get(format!("hf_{key}")).map(ids);
            let agrees = got == ids(&row[key]) || other.is_some_and(|other| got == other);
            assert!(agrees, "{key} of {text:?}: {got:?}, expected {:?}", row[key]);
        }
    }
}
