//! What runs a model's plans on a device: kernels, and which variant of each.

use crate::Error;
use crate::graph::{Executor, Format, Kernel, Op, Plan, Why};
use crate::kernels::{sources, ways};
use serde::Serialize;

/// A kernel with a weight format as it runs, and how often a chunk of a prompt and a step dispatch it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KernelRow {
    /// What is computed; `FFAI_KERNEL_<NAME>` goes by it.
    pub kernel: &'static str,
    /// The format of its weights, where it reads any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<&'static str>,
    /// The algorithm, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Chosen>,
    /// What it is compiled from; `twins` on the CPU.
    pub source: Chosen,
    /// Algorithms and sources that there are beside these.
    pub others: Vec<&'static str>,
    /// Dispatches in a chunk.
    pub chunk: usize,
    /// Dispatches in a step.
    pub step: usize,
}

/// A part of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Chosen {
    /// Its name.
    pub name: &'static str,
    /// Who chose it.
    pub why: Why,
}

impl KernelRow {
    /// Whether the two differ in dispatches alone.
    fn runs_as(&self, other: &Self) -> bool {
        let kind = |row: &Self| (row.kernel, row.format, row.algorithm, row.source);
        kind(self) == kind(other)
    }
}

/// What runs `plans`, in the order in which it is first dispatched.
///
/// # Errors
/// A variant was asked for that an op of the plans cannot run.
pub(super) fn rows(device: &dyn Executor, [chunk, step]: &[Plan; 2]) -> Result<Vec<KernelRow>, Error> {
    let mut rows: Vec<KernelRow> = Vec::new();
    let ops = chunk.ops.iter().map(|op| (op, [1, 0])).chain(step.ops.iter().map(|op| (op, [0, 1])));
    for (op, [chunk, step]) in ops {
        let row = row(device, op)?;
        match rows.iter_mut().find(|other| other.runs_as(&row)) {
            Some(other) => (other.chunk, other.step) = (other.chunk + chunk, other.step + step),
            None => rows.push(KernelRow { chunk, step, ..row }),
        }
    }
    Ok(rows)
}

fn row(device: &dyn Executor, op: &Op) -> Result<KernelRow, Error> {
    let format = op.format.map(|format| format.name);
    let algorithm = op.variant().map(|name| {
        let chosen = device.target().choices.algorithm(op.kernel.op(), format);
        Chosen { name, why: chosen.map_or(Why::Default, |(_, why)| why) }
    });
    let (name, why) = device.source(op)?;
    let others = others(op.kernel, op.format, name);
    Ok(KernelRow { kernel: op.kernel.op(), format, algorithm, source: Chosen { name, why }, others, chunk: 0, step: 0 })
}

/// What else there is of a kernel, whether or not this device runs it.
fn others(kernel: &Kernel, format: Option<&Format>, source: &str) -> Vec<&'static str> {
    let algorithms =
        ways(kernel.op()).filter(|way| way.name != kernel.name).filter_map(|way| Some(way.algorithm?.name));
    let reads = |source: &&str| *source == "wgsl" || format.is_none_or(|format| !format.metal.is_empty());
    let compiled = sources(kernel).iter().copied().filter(reads).filter(|other| *other != source && source != "twins");
    algorithms.chain(compiled).collect()
}
