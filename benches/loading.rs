//! What opening checkpoints costs, without a device: wgpu's backend that runs nothing takes the weights.
//!
//! `open` reads what a file says about itself; `load` also repacks every weight. Bytes per second are those of the file.

#![expect(clippy::unwrap_used, reason = "a bench that fails here says where")]

#[path = "../tests/support/folder.rs"]
mod folder;
mod support;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ffai::generate::{OpenOptions, load};
use ffai::gpu::AdapterChoice;
use ffai::weights::Checkpoint;
use std::hint::black_box;
use std::path::Path;

fn checkpoint(criterion: &mut Criterion, kind: &str, path: &Path) {
    let options = OpenOptions { adapter: AdapterChoice::Nothing, ..OpenOptions::default() };
    let checkpoint = Checkpoint::open(path).unwrap();
    let mut group = criterion.benchmark_group(format!("loading/{kind}"));
    group.sample_size(20);
    group.bench_function("open", |bencher| bencher.iter(|| Checkpoint::open(black_box(path)).unwrap()));
    group.throughput(Throughput::Bytes(checkpoint.file_bytes()));
    group.bench_function("load", |bencher| bencher.iter(|| load(&checkpoint, &options, &mut |_, _| {}).unwrap()));
    group.finish();
}

fn loading(criterion: &mut Criterion) {
    let (_folder, gguf) = support::gguf();
    checkpoint(criterion, "GGUF, q8_0", &gguf);
    let safetensors = support::safetensors();
    checkpoint(criterion, "safetensors, bf16", &safetensors.0);
}

criterion_group!(benches, loading);
criterion_main!(benches);
