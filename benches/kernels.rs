//! Every kernel at a model's size, and kernels that have variants with each of them, on the same shapes.
//!
//! ```text
//! cargo bench --bench kernels                # all
//! cargo bench --bench kernels -- softmax     # attention's algorithms against each other
//! cargo bench --bench kernels -- matmul
//! ```
//!
//! A time is from the first submission to the arrival of four bytes after the last, divided by their number: what a run of a model
//! waits for too. Bytes per second are those of the op's cost, the least that any kernel could move.

#![expect(clippy::unwrap_used, reason = "a bench that fails here says where")]

#[path = "kernels/shapes.rs"]
mod shapes;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use ffai::doctor::candidates;
use ffai::gpu::{Gpu, GpuOptions};
use ffai::graph::{BufferId, BufferRole, Case, Choices, Executor, PreparedId, Slice};
use shapes::{Shape, shapes};
use std::time::{Duration, Instant};

/// A case whose buffers and pipelines are ready.
struct Loaded {
    buffers: Vec<BufferId>,
    plan: PreparedId,
}

impl Loaded {
    fn new(gpu: &mut Gpu, case: &Case) -> Self {
        let mut buffers = Vec::new();
        for bytes in &case.buffers {
            let id = gpu.allocate("bench", BufferRole::Weights, bytes.len() as u64).unwrap();
            gpu.write(id, 0, bytes);
            buffers.push(id);
        }
        // Cases name their buffers by position.
        assert!(buffers.iter().enumerate().all(|(index, id)| id.0 as usize == index));
        let plan = gpu.prepare(case.plan.clone()).unwrap();
        for (tensor, bytes) in &case.inputs {
            gpu.write_tensor(plan, *tensor, bytes);
        }
        Self { buffers, plan }
    }

    fn run(&self, gpu: &mut Gpu, times: u64) -> Duration {
        let begun = Instant::now();
        for _ in 0..times {
            let ticket = gpu.submit(self.plan, &[]).unwrap();
            gpu.wait(ticket).unwrap();
        }
        // Nothing was read so far, so nothing was waited for: this waits for all.
        gpu.read(Slice { buffer: self.buffers[0], offset: 0, bytes: 4 }).unwrap();
        begun.elapsed()
    }

    fn free(self, gpu: &mut Gpu) {
        gpu.discard(self.plan);
        for buffer in self.buffers {
            gpu.free(buffer);
        }
    }
}

/// One shape with every way to run it.
fn shape(criterion: &mut Criterion, gpu: &mut Gpu, shape: &Shape) {
    let format = shape.format.map(|format| format.name);
    let mut group = criterion.benchmark_group(shape.group(gpu.target()));
    group.sampling_mode(SamplingMode::Flat);
    for way in candidates(gpu.device().kernels, shape.ops, shape.format) {
        gpu.set_choices(way.choices(format));
        let case = shape.case(gpu.target());
        group.throughput(Throughput::Bytes(case.plan.cost().bytes()));
        let mut loaded: Option<Loaded> = None;
        // Only what is asked for is loaded.
        group.bench_function(BenchmarkId::from_parameter(&way.label), |bencher| {
            let loaded = loaded.get_or_insert_with(|| Loaded::new(gpu, &case));
            bencher.iter_custom(|times| loaded.run(gpu, times));
        });
        if let Some(loaded) = loaded {
            loaded.free(gpu);
        }
    }
    group.finish();
    gpu.set_choices(Choices::default());
}

fn kernels(criterion: &mut Criterion) {
    let mut gpu = Gpu::open(&GpuOptions::default()).unwrap();
    for each in shapes() {
        shape(criterion, &mut gpu, &each);
    }
}

/// Short, because there are many: enough to tell variants apart, which is what this is for.
fn configured() -> Criterion {
    let [warm_up, measurement] = [200, 1000].map(Duration::from_millis);
    Criterion::default().warm_up_time(warm_up).measurement_time(measurement).sample_size(10).without_plots()
}

criterion_group! { name = benches; config = configured(); targets = kernels }
criterion_main!(benches);
