//! Times the variants of a kernel against each other on this device, and keeps what wins.

use super::candidates::{Candidate, candidates};
use super::parity::with_buffers;
use super::stored::Error;
use crate::gpu::Gpu;
use crate::graph::{
    BufferId, BufferRole, Ceiling, Choices, ExecuteError, Executor, Format, Matrix, MatrixBlock, Operand, Plan,
    Recorder, Rng, SOURCES, Slice, Tensor,
};
use crate::kernels::matmul::matmul;
use crate::kernels::matvec::{Around, matvec};
use crate::kernels::{AT_SIZE, CATALOGUE, ways};
use crate::weights::format::FORMATS;
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;

/// One variant of one kernel at one shape.
#[derive(Clone, Debug, Serialize)]
pub struct Timing {
    /// The op: `matvec`, `matmul`, or what kernels without weights do.
    pub op: &'static str,
    /// Weight format, where there is one.
    pub format: Option<&'static str>,
    /// Rows of the weights × their columns × columns of activations (1 when decoding); of other ops, what they work on.
    pub shape: String,
    /// The algorithm, where there are several, and what the kernel is compiled from: `shared, wgsl`.
    pub variant: String,
    /// Microseconds per op, the median of all runs.
    pub median_us: f64,
    /// The fastest run.
    pub best_us: f64,
    /// The slowest run.
    pub worst_us: f64,
    /// Runs, each of the op several times.
    pub runs: usize,
    /// Weights read per second in GB/s, at the median; of products.
    pub gigabytes_per_second: Option<f64>,
    /// Floating-point operations per second in GFLOP/s, at the median; of products.
    pub gigaflops: Option<f64>,
    /// Share of the measured ceiling, of products: of streaming reads when decoding, of f32 multiply-adds otherwise.
    pub share_of_ceiling: Option<f64>,
    /// Whether it beats every other variant at this shape by more than the spread of the runs.
    pub wins: bool,
}

impl Timing {
    /// Of a run's seconds, fastest first.
    fn new(op: &'static str, format: Option<&'static str>, shape: String, variant: String, seconds: &[f64]) -> Self {
        Self {
            op,
            format,
            shape,
            variant,
            median_us: seconds[seconds.len() / 2] * 1e6,
            best_us: seconds[0] * 1e6,
            worst_us: seconds[seconds.len() - 1] * 1e6,
            runs: seconds.len(),
            gigabytes_per_second: None,
            gigaflops: None,
            share_of_ceiling: None,
            wins: false,
        }
    }
}

/// A product of a model's size: rows, columns, tokens.
type Shape = [u32; 3];

const RUNS: usize = 5;
/// The formats that most checkpoints are stored in.
const USUAL: [&str; 6] = ["q4_0", "q8_0", "q4_k", "q6_k", "mlx4_g64_f16", "f16"];

/// Times every variant of every kernel that has several at a model's shapes, and says which wins per kernel and format.
///
/// # Errors
/// What the device reports.
pub(super) fn compare(
    gpu: &mut Gpu,
    ceilings: &[Ceiling],
    progress: &mut dyn FnMut(&str),
) -> Result<(Vec<Timing>, Choices), ExecuteError> {
    let (native, software) = (gpu.device().kernels, gpu.target().software);
    let (decode, prefill): (&[Shape], &[Shape]) = match software {
        true => (&[[1024, 1024, 1]], &[[512, 1024, 64]]),
        false => (&[[4096, 4096, 1], [14336, 4096, 1]], &[[4096, 4096, 64], [4096, 4096, 512]]),
    };
    let mut timings = Vec::new();
    let mut winners = Choices::default();
    for name in USUAL {
        let Some(format) = FORMATS.iter().copied().find(|format| format.name == name) else { continue };
        progress(name);
        for (op, shapes) in [("matvec", decode), ("matmul", prefill)] {
            let candidates = candidates(native, &[op], Some(format));
            let mut found: Vec<Vec<Timing>> = Vec::new();
            for &shape in shapes {
                let mut at_shape = Vec::new();
                for candidate in &candidates {
                    gpu.set_choices(candidate.choices(Some(name)));
                    let mut timing = time(gpu, op, format, shape)?;
                    timing.variant.clone_from(&candidate.label);
                    timing.share_of_ceiling = share(&timing, shape, ceilings);
                    at_shape.push(timing);
                }
                mark(&mut at_shape);
                found.push(at_shape);
            }
            gpu.set_choices(Choices::default());
            choose(&candidates, &found, Some(name), &mut winners);
            timings.extend(found.into_iter().flatten());
        }
    }
    for at_size in AT_SIZE {
        progress(at_size.op);
        let candidates = candidates(native, at_size.kernels, None);
        let mut found = Vec::new();
        for candidate in &candidates {
            gpu.set_choices(candidate.choices(None));
            let case = at_size.case(gpu.target());
            let seconds =
                with_buffers(gpu, &case, |gpu, case| runs(gpu, case.plan.clone(), &case.inputs, case.checks[0].0))?;
            found.push(Timing::new(at_size.op, None, case.label, candidate.label.clone(), &seconds));
        }
        gpu.set_choices(Choices::default());
        mark(&mut found);
        let found = vec![found];
        choose(&candidates, &found, None, &mut winners);
        timings.extend(found.into_iter().flatten());
    }
    Ok((timings, winners))
}

/// Adds the choices of a candidate that wins somewhere and loses nowhere. `found` has its timings, shape by shape.
fn choose(candidates: &[Candidate], found: &[Vec<Timing>], format: Option<&str>, winners: &mut Choices) {
    let best = (0..candidates.len()).find(|&index| {
        found.iter().any(|timings| timings[index].wins)
            && found.iter().all(|timings| timings[index].wins || timings.iter().all(|timing| !timing.wins))
    });
    if let Some(index) = best {
        winners.add(&candidates[index].choices(format));
    }
}

/// Marks the fastest where its slowest run beats the fastest run of every other.
fn mark(timings: &mut [Timing]) {
    for index in 0..timings.len() {
        let beats = |(other, timing): (usize, &Timing)| other == index || timings[index].worst_us < timing.best_us;
        timings[index].wins = timings.len() > 1 && timings.iter().enumerate().all(beats);
    }
}

fn share(timing: &Timing, [_, _, tokens]: Shape, ceilings: &[Ceiling]) -> Option<f64> {
    let (what, value) = match tokens {
        1 => ("streaming read", timing.gigabytes_per_second),
        _ => ("f32 multiply-adds", timing.gigaflops),
    };
    ceilings.iter().find(|ceiling| ceiling.what == what).and_then(|ceiling| Some(value? / ceiling.best))
}

fn time(gpu: &mut Gpu, op: &'static str, format: &'static Format, shape: Shape) -> Result<Timing, ExecuteError> {
    let [rows, cols, tokens] = shape;
    let blocks = rows as usize * cols as usize / Format::BLOCK;
    let [data, scales, biases] = format.random_file(&mut Rng(7), blocks);
    let (mut quant_plane, mut scale_plane) = (vec![0; format.quants_len(blocks)], vec![0; format.scales_len(blocks)]);
    (format.repack)([&data, &scales, &biases], &mut quant_plane, &mut scale_plane);
    let mut buffers = Vec::new();
    let result = (|| {
        let mut upload = |gpu: &mut Gpu, bytes: &[u8]| -> Result<Slice, ExecuteError> {
            let buffer = gpu.allocate("tuning", BufferRole::Weights, bytes.len() as u64)?;
            gpu.write(buffer, 0, bytes);
            buffers.push(buffer);
            Ok(Slice { buffer, offset: 0, bytes: bytes.len() as u64 })
        };
        let quants = upload(gpu, &quant_plane)?;
        let scales = if scale_plane.is_empty() { quants } else { upload(gpu, &scale_plane)? };
        let matrix = Matrix { blocks: vec![MatrixBlock { format, rows, quants, scales }], cols };
        let (plan, y) = plan(gpu, op, &matrix, tokens);
        let (weight_bytes, flops) =
            plan.ops.iter().fold((0, 0), |(bytes, flops), op| (bytes + op.cost.weight_bytes, flops + op.cost.flops));
        let mut rng = Rng(11);
        let x = plan.tensors.iter().map(|info| info.tensor).find(|tensor| tensor.id != y.id);
        let inputs: Vec<(Tensor, Vec<u8>)> =
            x.into_iter().map(|x| (x, (0..x.bytes() / 4).flat_map(|_| rng.normal().to_le_bytes()).collect())).collect();
        let seconds = runs(gpu, plan, &inputs, Operand::Tensor(y))?;
        let shape = format!("{rows} × {cols} × {tokens}");
        let timing = Timing::new(op, Some(format.name), shape, String::new(), &seconds);
        let median = timing.median_us / 1e6;
        Ok(Timing {
            gigabytes_per_second: Some(weight_bytes as f64 / median / 1e9),
            gigaflops: Some(flops as f64 / median / 1e9),
            ..timing
        })
    })();
    free(gpu, buffers);
    result
}

fn free(gpu: &mut Gpu, buffers: Vec<BufferId>) {
    for buffer in buffers {
        gpu.free(buffer);
    }
}

/// The product, once.
fn plan(gpu: &Gpu, op: &str, matrix: &Matrix, tokens: u32) -> (Arc<Plan>, Tensor) {
    let mut recorder = Recorder::new(gpu.target());
    let x = recorder.input(tokens, matrix.cols);
    let y = match op {
        "matvec" => matvec(&mut recorder, matrix, x, Around::default()),
        _ => matmul(&mut recorder, matrix, x, None),
    };
    recorder.keep(y);
    (Arc::new(recorder.finish()), y)
}

/// Seconds per dispatch of each run, fastest first. A run submits the plan so often that waiting for its end weighs little.
fn runs(
    executor: &mut dyn Executor,
    plan: Arc<Plan>,
    inputs: &[(Tensor, Vec<u8>)],
    result: Operand,
) -> Result<Vec<f64>, ExecuteError> {
    let prepared = executor.prepare(plan)?;
    for (tensor, bytes) in inputs {
        executor.write_tensor(prepared, *tensor, bytes);
    }
    let reads = [result];
    let mut run = |times: u32| -> Result<f64, ExecuteError> {
        let begun = Instant::now();
        for _ in 1..times {
            // Nothing is read, so nothing is waited for: the last one waits for all.
            let ticket = executor.submit(prepared, &[])?;
            executor.wait(ticket)?;
        }
        let ticket = executor.submit(prepared, &reads)?;
        executor.wait(ticket)?;
        Ok(begun.elapsed().as_secs_f64() / f64::from(times))
    };
    run(1)?;
    let once = run(2)?;
    let times = (0.02 / once.max(1e-6)).clamp(2.0, 200.0) as u32;
    let mut seconds = (0..RUNS).map(|_| run(times)).collect::<Result<Vec<f64>, ExecuteError>>()?;
    seconds.sort_by(f64::total_cmp);
    executor.discard(prepared);
    Ok(seconds)
}

/// Says whether every choice names a variant that there is.
pub(super) fn check(choices: &Choices) -> Result<(), Error> {
    for (key, variant) in choices.iter() {
        let kernel = key.split(' ').next().unwrap_or_default();
        let known: Vec<&str> = match CATALOGUE.iter().find(|known| known.name == kernel) {
            None => Vec::new(),
            Some(kernel) => {
                let own = SOURCES.into_iter().filter(|source| *source != "msl" || kernel.metal.is_some());
                own.chain(ways(kernel.name).filter_map(|way| Some(way.algorithm?.name))).collect()
            }
        };
        if variant.split(' ').any(|word| !known.contains(&word)) {
            return Err(Error::Choice { key: key.to_owned(), found: variant.to_owned() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::Cpu;
    use std::collections::BTreeSet;

    #[test]
    fn whatever_wins_can_be_kept() {
        let ops =
            [&["matvec"] as &[&str], &["matmul"]].into_iter().chain(AT_SIZE.iter().map(|at_size| at_size.kernels));
        for (ops, native) in ops.flat_map(|ops| ["wgsl", "msl", "spirv"].map(|native| (ops, native))) {
            for candidate in candidates(native, ops, None) {
                assert!(check(&candidate.choices(None)).is_ok(), "{ops:?}: {}", candidate.label);
            }
        }
    }

    #[test]
    fn each_plan_runs_the_kernels_that_are_chosen_by_its_time() {
        for at_size in AT_SIZE {
            let plan = at_size.case(Cpu::new(None).target()).plan;
            let run: BTreeSet<&str> = plan.ops.iter().map(|op| op.kernel.op()).collect();
            assert_eq!(run, at_size.kernels.iter().copied().collect(), "{}", at_size.op);
        }
    }
}
