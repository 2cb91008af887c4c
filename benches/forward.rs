//! A model's forward pass: a chunk of a prompt, and a decode step, at several depths.
//!
//! ```text
//! cargo bench --bench forward
//! FFAI_BENCH_MODEL=model.gguf cargo bench --bench forward    # a real model
//! ```
//!
//! Without a model a small llama with random weights is made. A time is from the call to the arrival of the logits, or of the token.

#![expect(clippy::unwrap_used, reason = "a bench that fails here says where")]

#[path = "../tests/support/folder.rs"]
mod folder;
#[expect(dead_code, reason = "loaders read safetensors, too")]
mod support;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use ffai::cache::SequenceId;
use ffai::generate::{Engine, OpenOptions, SamplingOptions, load};
use ffai::weights::Checkpoint;
use std::time::Instant;

/// Tokens before those that are timed.
const DEPTHS: [u32; 3] = [0, 512, 4096];
/// Tokens of a prompt's chunk.
const CHUNK: usize = 256;

fn engine() -> Engine {
    let open = |path: &std::path::Path| {
        let options = OpenOptions { context: Some(support::CONTEXT), ..OpenOptions::default() };
        load(&Checkpoint::open(path).unwrap(), &options, &mut |_, _| {}).unwrap()
    };
    match std::env::var_os("FFAI_BENCH_MODEL") {
        Some(path) => open(path.as_ref()),
        None => {
            let (_folder, path) = support::gguf();
            open(&path)
        }
    }
}

/// Any tokens: what they are changes no time.
fn tokens(count: usize, vocab: u32) -> Vec<u32> {
    (0..count).map(|index| (index as u32 * 97 + 1) % vocab).collect()
}

/// A sequence that holds `depth` tokens.
fn filled(engine: &mut Engine, depth: u32) -> SequenceId {
    let sequence = engine.open().unwrap();
    let tokens = tokens(depth as usize, engine.model().config().vocab);
    engine.logits(sequence, &tokens, &[]).unwrap();
    sequence
}

fn prefill(criterion: &mut Criterion, engine: &mut Engine) {
    let mut group = criterion.benchmark_group("forward/prefill");
    group.sampling_mode(SamplingMode::Flat).sample_size(10).throughput(Throughput::Elements(CHUNK as u64));
    let chunk = tokens(CHUNK, engine.model().config().vocab);
    for depth in DEPTHS {
        let id = BenchmarkId::from_parameter(format!("{CHUNK} tokens at {depth}"));
        // Only what is asked for is filled.
        group.bench_function(id, |bencher| {
            let sequence = filled(engine, depth);
            bencher.iter(|| {
                engine.logits(sequence, &chunk, &[CHUNK - 1]).unwrap();
                engine.rewind(sequence, depth);
            });
            engine.close(sequence);
        });
    }
    group.finish();
}

fn decode(criterion: &mut Criterion, engine: &mut Engine) {
    let mut group = criterion.benchmark_group("forward/decode");
    group.sampling_mode(SamplingMode::Flat).sample_size(10).throughput(Throughput::Elements(1));
    let greedy = SamplingOptions::greedy();
    for depth in DEPTHS {
        group.bench_function(BenchmarkId::from_parameter(format!("at {depth}")), |bencher| {
            let sequence = filled(engine, depth);
            engine.set_sampling(sequence, greedy.settings(), None).unwrap();
            bencher.iter_custom(|times| {
                let begun = Instant::now();
                for _ in 0..times {
                    engine.set_batch(&[(sequence, 1)]).unwrap();
                    let step = engine.step(&[sequence], greedy.parts(), false).unwrap();
                    engine.finish_one(step).unwrap();
                    engine.rewind(sequence, depth);
                }
                begun.elapsed()
            });
            engine.close(sequence);
        });
    }
    group.finish();
}

fn forward(criterion: &mut Criterion) {
    let mut engine = engine();
    prefill(criterion, &mut engine);
    decode(criterion, &mut engine);
}

criterion_group!(benches, forward);
criterion_main!(benches);
