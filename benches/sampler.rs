//! Choosing tokens on the device: eight rows of logits over a vocabulary of 128 000.
//!
//! A time is from the submission to the arrival of the eight tokens.

#![expect(clippy::unwrap_used, reason = "a bench that fails here says where")]

#[expect(dead_code, reason = "what tests read back")]
#[path = "../tests/support/sampler.rs"]
mod sampler;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ffai::generate::{OpenOptions, SamplingOptions, executor};
use sampler::{OUTPUTS, Sampler};

const VOCAB: usize = 128_000;

/// Logits in the shape of a real model's: most are far below the best few.
fn logits() -> Vec<f32> {
    let logit = |index: usize| {
        let even = (index as u32).wrapping_mul(2_654_435_761) as f32 / u32::MAX as f32;
        -(even.max(1e-6).ln()) - 12.0
    };
    (0..OUTPUTS * VOCAB).map(logit).collect()
}

fn ways() -> [(&'static str, SamplingOptions); 4] {
    let drawn = SamplingOptions { temperature: 0.8, seed: 7, ..SamplingOptions::default() };
    [
        ("greedy", SamplingOptions::greedy()),
        ("temperature", SamplingOptions { top_k: 0, top_p: 1.0, ..drawn }),
        ("top-k 40", SamplingOptions { top_k: 40, top_p: 1.0, ..drawn }),
        (
            "top-k 40, top-p 0.95, penalties",
            SamplingOptions { top_k: 40, top_p: 0.95, repetition_penalty: 1.1, ..drawn },
        ),
    ]
}

fn sampling(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sampler");
    group.sample_size(20).throughput(Throughput::Elements(OUTPUTS as u64));
    let logits = logits();
    for (name, options) in ways() {
        group.bench_function(name, |bencher| {
            let executor = executor(&OpenOptions::default()).unwrap();
            let mut sampler = Sampler::new(executor, VOCAB, options.parts());
            sampler.set_logits(&logits);
            sampler.set_options(&std::array::from_fn(|_| options));
            sampler.set_counts(&vec![vec![0; VOCAB]; OUTPUTS]);
            sampler.set_positions(&[0; OUTPUTS]);
            bencher.iter(|| sampler.draw());
        });
    }
    group.finish();
}

criterion_group!(benches, sampling);
criterion_main!(benches);
