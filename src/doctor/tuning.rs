//! Times the variants of a kernel against each other on this device, and keeps what wins.

use super::stored::Error;
use crate::gpu::{Ceiling, Gpu};
use crate::graph::{
    BufferId, BufferRole, Choices, ExecuteError, Executor, Format, Matrix, MatrixBlock, Operand, Plan, Recorder, Rng,
    Slice, Tensor,
};
use crate::kernels::matmul::matmul;
use crate::kernels::matvec::{Around, matvec};
use crate::weights::format::FORMATS;
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;

/// One variant of one kernel at one shape.
#[derive(Clone, Debug, Serialize)]
pub struct Timing {
    /// The op: `matvec` or `matmul`.
    pub op: &'static str,
    /// Weight format.
    pub format: &'static str,
    /// Rows of the weights.
    pub rows: u32,
    /// Columns of the weights.
    pub cols: u32,
    /// Columns of activations: 1 when decoding.
    pub tokens: u32,
    /// Where tiles lie and what the kernel is compiled from: `shared, wgsl`.
    pub variant: String,
    /// Microseconds per dispatch, the median of all runs.
    pub median_us: f64,
    /// The fastest run.
    pub best_us: f64,
    /// The slowest run.
    pub worst_us: f64,
    /// Runs, each of several dispatches.
    pub runs: usize,
    /// Weights read per second in GB/s, at the median.
    pub gigabytes_per_second: f64,
    /// Floating-point operations per second in GFLOP/s, at the median.
    pub gigaflops: f64,
    /// Share of the measured ceiling: of streaming reads when decoding, of f32 multiply-adds otherwise.
    pub share_of_ceiling: Option<f64>,
    /// Whether it beats every other variant at this shape by more than the spread of the runs.
    pub wins: bool,
}

/// A way to run an op, as choices that lead to it.
struct Candidate {
    label: String,
    choices: Vec<(&'static str, &'static str)>,
}

/// A product of a model's size: rows, columns, tokens.
type Shape = [u32; 3];

const RUNS: usize = 5;
/// The formats that most checkpoints are stored in.
const USUAL: [&str; 6] = ["q4_0", "q8_0", "q4_k", "q6_k", "mlx4_g64_f16", "f16"];

/// Times every variant of the matrix products at a model's shapes, and says which wins per kernel and format.
///
/// # Errors
/// What the device reports.
pub(super) fn compare(
    gpu: &mut Gpu,
    ceilings: &[Ceiling],
    progress: &mut dyn FnMut(&str),
) -> Result<(Vec<Timing>, Choices), ExecuteError> {
    let software = gpu.target().software;
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
            let candidates = candidates(gpu, op, format);
            let mut found: Vec<Vec<Timing>> = Vec::new();
            for &shape in shapes {
                let mut at_shape = Vec::new();
                for candidate in &candidates {
                    let mut choices = Choices::default();
                    for (kernel, variant) in &candidate.choices {
                        choices.set(kernel, Some(name), variant);
                    }
                    gpu.set_choices(choices);
                    let mut timing = time(gpu, op, format, shape)?;
                    timing.variant.clone_from(&candidate.label);
                    timing.share_of_ceiling = share(&timing, ceilings);
                    at_shape.push(timing);
                }
                mark(&mut at_shape);
                found.push(at_shape);
            }
            gpu.set_choices(Choices::default());
            // What wins somewhere and loses nowhere is worth choosing.
            let best = (0..candidates.len()).find(|&index| {
                found.iter().any(|timings| timings[index].wins)
                    && found.iter().all(|timings| timings[index].wins || timings.iter().all(|timing| !timing.wins))
            });
            if let Some(index) = best {
                for (kernel, variant) in &candidates[index].choices {
                    winners.set(kernel, Some(name), variant);
                }
            }
            timings.extend(found.into_iter().flatten());
        }
    }
    Ok((timings, winners))
}

fn candidates(gpu: &Gpu, op: &str, format: &Format) -> Vec<Candidate> {
    let native = gpu.device().kernels;
    let overridden = native == "msl" && !format.metal.is_empty();
    let mut found = Vec::new();
    let tiles: &[(&str, &str)] = match op {
        "matmul" => &[("registers", "matmul"), ("shared", "matmul_tiled")],
        _ => &[("", "matvec")],
    };
    for &(tile, kernel) in tiles {
        let mut sources = vec![if native == "msl" { "wgsl" } else { native }];
        // Tiles in registers have no override.
        if overridden && tile != "registers" {
            sources.push("msl");
        }
        for source in sources {
            let mut choices = vec![(kernel, source)];
            let mut label = source.to_owned();
            if !tile.is_empty() {
                choices.push(("matmul", tile));
                label = format!("{tile}, {source}");
            }
            // The algorithm is a choice of its own; its kernel's source another.
            choices.retain(|&(name, variant)| name != "matmul" || variant == tile);
            found.push(Candidate { label, choices });
        }
    }
    found
}

/// Marks the fastest where its slowest run beats the fastest run of every other.
fn mark(timings: &mut [Timing]) {
    for index in 0..timings.len() {
        let beats = |(other, timing): (usize, &Timing)| other == index || timings[index].worst_us < timing.best_us;
        timings[index].wins = timings.len() > 1 && timings.iter().enumerate().all(beats);
    }
}

fn share(timing: &Timing, ceilings: &[Ceiling]) -> Option<f64> {
    let (what, value) = match timing.tokens {
        1 => ("streaming read", timing.gigabytes_per_second),
        _ => ("f32 multiply-adds", timing.gigaflops),
    };
    ceilings.iter().find(|ceiling| ceiling.what == what).map(|ceiling| value / ceiling.best)
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
        let seconds = runs(gpu, plan, y)?;
        let median = seconds[seconds.len() / 2];
        Ok(Timing {
            op,
            format: format.name,
            rows,
            cols,
            tokens,
            variant: String::new(),
            median_us: median * 1e6,
            best_us: seconds[0] * 1e6,
            worst_us: seconds[seconds.len() - 1] * 1e6,
            runs: seconds.len(),
            gigabytes_per_second: weight_bytes as f64 / median / 1e9,
            gigaflops: flops as f64 / median / 1e9,
            share_of_ceiling: None,
            wins: false,
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
fn runs(gpu: &mut Gpu, plan: Arc<Plan>, y: Tensor) -> Result<Vec<f64>, ExecuteError> {
    let inputs: Vec<Tensor> = plan.tensors.iter().map(|info| info.tensor).filter(|tensor| tensor.id != y.id).collect();
    let prepared = gpu.prepare(plan)?;
    for tensor in inputs {
        let mut rng = Rng(11);
        let values: Vec<f32> = (0..tensor.bytes() / 4).map(|_| rng.normal()).collect();
        gpu.write_tensor(prepared, tensor, bytemuck::cast_slice(&values));
    }
    let mut run = |times: u32| -> Result<f64, ExecuteError> {
        let begun = Instant::now();
        for _ in 1..times {
            // Nothing is read, so nothing is waited for: the last one waits for all.
            let ticket = gpu.submit(prepared, &[])?;
            gpu.wait(ticket)?;
        }
        let ticket = gpu.submit(prepared, &[Operand::Tensor(y)])?;
        gpu.wait(ticket)?;
        Ok(begun.elapsed().as_secs_f64() / f64::from(times))
    };
    run(1)?;
    let once = run(2)?;
    let times = (0.02 / once.max(1e-6)).clamp(2.0, 200.0) as u32;
    let mut seconds = (0..RUNS).map(|_| run(times)).collect::<Result<Vec<f64>, ExecuteError>>()?;
    seconds.sort_by(f64::total_cmp);
    gpu.discard(prepared);
    Ok(seconds)
}

/// Says whether every choice names a variant that there is.
pub(super) fn check(choices: &Choices) -> Result<(), Error> {
    for (key, variant) in choices.iter() {
        let kernel = key.split(' ').next().unwrap_or_default();
        let known: &[&str] = match kernel {
            "matmul" => &["registers", "shared"],
            "matmul_tiled" | "matvec" => &["wgsl", "msl", "spirv"],
            _ => &[],
        };
        if !known.contains(&variant) {
            return Err(Error::Choice { key: key.to_owned(), found: variant.to_owned() });
        }
    }
    Ok(())
}
