//! Ops of a model by themselves, over and over: what a kernel does at the model's shapes, apart from what surrounds it.

use super::Engine;
use crate::Error;
use crate::graph::{
    Access, BufferId, BufferRole, Ceiling, Dispatch, ExecuteError, Executor, Format, Matrix, MatrixBlock, Method, Op,
    Operand, Plan, PreparedId, Recorder, Rng, Slice, Tensor,
};
use crate::kernels::matmul::matmul;
use crate::weights::format;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// Most runs of an op in one submission.
const MOST_CALLS: usize = 1024;
/// Runs of the product that stands for what the device multiplies at best.
const PRODUCTS: usize = 5;

/// What weights an op finds when it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// Those that it has just read, so many times one after the other.
    Warm {
        /// Runs of the op in one submission.
        calls: usize,
    },
    /// Others each time: those of all given ops, and copies until they are so many bytes, which no cache is to hold.
    Cold {
        /// Bytes to go through before the first weights come again.
        bytes: u64,
    },
}

/// The times of an op by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Alone {
    /// Runs of the op in one submission.
    pub calls: usize,
    /// Bytes of weights that they went through.
    pub weight_bytes: u64,
    /// How the device's times were taken.
    pub method: Method,
    /// Seconds of each run by [`Alone::method`], those of all submissions; a run that the driver gave no time for is left out.
    pub device_seconds: Vec<f64>,
    /// Seconds per run by the host's clock, one of each submission: the launch of a run is part of it.
    pub wall_seconds: Vec<f64>,
}

/// An op whose buffers it only reads can run any number of times: its results go to tensors of a plan of their own.
pub fn is_repeatable(op: &Op) -> bool {
    let writes = op.kernel.bindings.iter().zip(&op.operands).filter(|(binding, _)| binding.access.writes());
    op.format.is_some() && writes.clone().count() > 0 && writes.into_iter().all(|(_, operand)| is_tensor(operand))
}

fn is_tensor(operand: &Operand) -> bool {
    matches!(operand, Operand::Tensor(_))
}

impl Engine {
    /// Runs ops of this engine's own plans by themselves in `submissions` submissions, after one that warms up. The ops are those that
    /// do the same to different weights. Activations are random.
    ///
    /// # Errors
    /// What the device reports, and that copies of the weights do not fit.
    ///
    /// # Panics
    /// Where an op is not [repeatable](is_repeatable).
    pub fn time_alone(&mut self, ops: &[&Op], weights: Weights, submissions: usize) -> Result<Alone, Error> {
        let probe = self.probe();
        let mut copies = Vec::new();
        let timed = copies_of(self.executor(), ops, weights, &mut copies)
            .and_then(|calls| time(self.executor(), &calls, submissions, probe));
        copies.into_iter().for_each(|copy| self.executor().free(copy));
        Ok(timed?)
    }

    /// What the device multiplies at best in this engine's own product of matrices, of f16 weights; `None` on the CPU.
    ///
    /// # Errors
    /// What the device reports.
    pub fn matrix_product(&mut self) -> Result<Option<Ceiling>, Error> {
        let (probe, executor) = (self.probe(), self.executor());
        let Some(f16) = format::named("f16").filter(|_| executor.device().backend != "cpu") else { return Ok(None) };
        let [rows, cols, tokens] = if executor.target().software { [512, 512, 64] } else { [4096, 4096, 512] };
        let blocks = rows as usize * cols as usize / Format::BLOCK;
        let [data, ..] = f16.random_file(&mut Rng(1), blocks);
        let buffer = executor.allocate("matrix to multiply", BufferRole::Weights, data.len() as u64)?;
        executor.write(buffer, 0, &data);
        let quants = Slice { buffer, offset: 0, bytes: data.len() as u64 };
        let matrix = Matrix { blocks: vec![MatrixBlock { format: f16, rows, quants, scales: quants }], cols };
        let mut r = Recorder::new(executor.target());
        let x = r.input(tokens, cols);
        matmul(&mut r, &matrix, x, None);
        let plan = r.finish();
        let calls: Vec<Op> = std::iter::repeat_n(plan.ops[0].clone(), PRODUCTS).collect();
        let timed = time(executor, &calls, PRODUCTS, probe);
        executor.free(buffer);
        let timed = timed?;
        let flops = plan.ops[0].cost.flops as f64;
        let mut rates: Vec<f64> = timed.wall_seconds.iter().map(|seconds| flops / seconds / 1e9).collect();
        rates.sort_by(f64::total_cmp);
        let (best, median, worst) = (rates[rates.len() - 1], rates[rates.len() / 2], rates[0]);
        Ok(Some(Ceiling { what: "matrix product", best, median, worst, runs: rates.len(), unit: "GFLOP/s" }))
    }
}

/// The ops to run in one submission. Buffers that are made for them are added to `copies`, also where it fails.
fn copies_of(
    executor: &mut dyn Executor,
    ops: &[&Op],
    weights: Weights,
    copies: &mut Vec<BufferId>,
) -> Result<Vec<Op>, ExecuteError> {
    let Some(first) = ops.first() else { panic!("there is no op to run") };
    assert!(ops.iter().all(|op| is_repeatable(op)), "{} cannot be run by itself", first.label());
    let wanted = match weights {
        Weights::Warm { calls } => return Ok(vec![(*first).clone(); calls.clamp(1, MOST_CALLS)]),
        Weights::Cold { bytes } => bytes,
    };
    let mut calls: Vec<Op> = ops.iter().take(MOST_CALLS).map(|op| (*op).clone()).collect();
    let each = weight_bytes(first).max(1);
    while calls.len() < MOST_CALLS && each * (calls.len() as u64) < wanted {
        let mut copy = (*first).clone();
        // Formats without a plane of scales bind their quants twice.
        let mut known: HashMap<Slice, Slice> = HashMap::new();
        for (binding, operand) in first.kernel.bindings.iter().zip(&mut copy.operands) {
            if let (Access::Weight, Operand::Slice(slice), true) = (binding.access, *operand, is_plane(binding.name)) {
                let own = match known.get(&slice) {
                    Some(own) => *own,
                    None => copied(executor, slice, copies)?,
                };
                known.insert(slice, own);
                *operand = own.into();
            }
        }
        calls.push(copy);
    }
    executor.flush()?;
    Ok(calls)
}

/// Planes of a matrix, by the names that all kernels give them.
fn is_plane(name: &str) -> bool {
    name == "quants" || name == "scales"
}

fn copied(executor: &mut dyn Executor, slice: Slice, copies: &mut Vec<BufferId>) -> Result<Slice, ExecuteError> {
    let bytes = executor.read(slice)?;
    let buffer = executor.allocate("copy of weights", BufferRole::Weights, slice.bytes)?;
    copies.push(buffer);
    executor.write(buffer, 0, &bytes);
    Ok(Slice { buffer, offset: 0, bytes: slice.bytes })
}

/// Bytes of an op's planes.
fn weight_bytes(op: &Op) -> u64 {
    let mut planes: Vec<Slice> = Vec::new();
    for (binding, operand) in op.kernel.bindings.iter().zip(&op.operands) {
        if let (Operand::Slice(slice), true) = (operand, is_plane(binding.name))
            && !planes.contains(slice)
        {
            planes.push(*slice);
        }
    }
    planes.iter().map(|plane| plane.bytes).sum()
}

/// Runs `calls` one after the other, in a plan of their own.
fn time(executor: &mut dyn Executor, calls: &[Op], submissions: usize, probe: Slice) -> Result<Alone, ExecuteError> {
    let (plan, inputs) = record(executor, calls);
    let id = executor.prepare(plan)?;
    let mut rng = Rng(0x00A1_04E5);
    for input in inputs {
        let values: Vec<f32> = (0..input.bytes() / 4).map(|_| rng.normal()).collect();
        executor.write_tensor(id, input, bytemuck::cast_slice(&values));
    }
    let timed = submit(executor, id, submissions, probe);
    executor.discard(id);
    let (method, device_seconds, wall) = timed?;
    let each = 1.0 / calls.len() as f64;
    Ok(Alone {
        calls: calls.len(),
        weight_bytes: calls.iter().map(weight_bytes).sum(),
        method,
        device_seconds,
        wall_seconds: wall.into_iter().map(|seconds| seconds * each).collect(),
    })
}

/// A plan of `calls` whose tensors have the shapes that they had, and those that have to be filled.
fn record(executor: &dyn Executor, calls: &[Op]) -> (Arc<Plan>, Vec<Tensor>) {
    let mut r = Recorder::new(executor.target());
    // What one call leaves the next writes again: one tensor for each slot.
    let mut tensors: HashMap<(usize, Tensor), Tensor> = HashMap::new();
    let mut inputs = Vec::new();
    for call in calls {
        let operands: Vec<Operand> = call
            .operands
            .iter()
            .enumerate()
            .map(|(slot, operand)| match operand {
                Operand::Slice(slice) => (*slice).into(),
                Operand::Tensor(old) => {
                    let shape = Tensor { id: crate::graph::TensorId(0), ..*old };
                    let reads = call.kernel.bindings[slot].access != Access::Output;
                    let new = *tensors.entry((slot, shape)).or_insert_with(|| {
                        if reads { r.input(old.rows, old.cols) } else { r.tensor(old.rows, old.cols) }
                    });
                    if reads && !inputs.contains(&new) {
                        inputs.push(new);
                    }
                    new.into()
                }
            })
            .collect();
        let op = r.push(Dispatch {
            kernel: call.kernel,
            format: call.format,
            constants: call.constants.clone(),
            operands: &operands,
            workgroups: call.workgroups,
            cost: call.cost,
        });
        (op.name, op.keys) = (call.name, call.keys);
    }
    (Arc::new(r.finish()), inputs)
}

/// Times of every op by the device, and of every submission by the host.
fn submit(
    executor: &mut dyn Executor,
    plan: PreparedId,
    submissions: usize,
    probe: Slice,
) -> Result<(Method, Vec<f64>, Vec<f64>), ExecuteError> {
    let (mut method, mut device, mut wall) = (Method::Host, Vec::new(), Vec::new());
    for run in 0..=submissions {
        let begun = Instant::now();
        let ticket = executor.submit(plan, &[probe.into()])?;
        executor.wait(ticket)?;
        let seconds = begun.elapsed().as_secs_f64();
        let (ticket, timing) = executor.submit_timed(plan, &[probe.into()])?;
        executor.wait(ticket)?;
        method = timing.method;
        if run > 0 {
            wall.push(seconds);
            device.extend(timing.spans.iter().flatten().map(|span| span.seconds()));
        }
    }
    Ok((method, device, wall))
}
