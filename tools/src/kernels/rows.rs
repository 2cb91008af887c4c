//! One row per kernel at one shape: the ops of a step or a chunk that do the same, and what was measured of them.

use ffai::generate::Timed;
use ffai::graph::{Access, Cost, Op, Operand, Tensor};
use ffai::measure::{Peaks, median};

/// Where ops were recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Decode,
    Prefill,
}

impl Phase {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Prefill => "prefill",
        }
    }
}

/// What was measured of a kernel at a shape; times are medians, in microseconds.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) phase: Phase,
    pub(super) kernel: String,
    pub(super) format: Option<&'static str>,
    /// What it reads and writes of activations: `1×576 → 1×1536`.
    pub(super) shape: String,
    /// Ops of the plan that do this.
    pub(super) calls: usize,
    /// The least that one of them has to do.
    pub(super) cost: Cost,
    /// In its place in the model.
    pub(super) in_place_us: Option<f64>,
    /// By itself, with the weights that it has just read.
    pub(super) warm_us: Option<f64>,
    /// By itself, with weights that no cache holds.
    pub(super) cold_us: Option<f64>,
    /// Bytes of weights that the cold runs went through.
    pub(super) cold_bytes: Option<u64>,
}

impl Row {
    /// The time that rates are made of: with cold weights where there are any, else in place, where they are cold too.
    pub(super) fn us(&self) -> Option<f64> {
        self.cold_us.or(self.in_place_us).filter(|&us| us > 0.0)
    }

    pub(super) fn gb_per_s(&self) -> Option<f64> {
        Some(self.cost.bytes() as f64 / self.us()? / 1e3)
    }

    pub(super) fn warm_gb_per_s(&self) -> Option<f64> {
        Some(self.cost.bytes() as f64 / self.warm_us.filter(|&us| us > 0.0)? / 1e3)
    }

    pub(super) fn gflop_per_s(&self) -> Option<f64> {
        Some(self.cost.flops as f64 / self.us()? / 1e3)
    }

    /// How near it comes to what the device can do, by the limit that it is nearer to.
    pub(super) fn peak_share(&self, peaks: Option<&Peaks>) -> Option<f64> {
        peaks?.share(self.gb_per_s()?, self.gflop_per_s()?)
    }
}

/// Ops of one plan that do the same, by their places in it.
pub(super) struct Group {
    pub(super) places: Vec<usize>,
}

/// The ops of a plan in groups of those that differ in their buffers alone, in the plan's order.
pub(super) fn groups(ops: &[Op]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (place, op) in ops.iter().enumerate() {
        match groups.iter_mut().find(|group| same(&ops[group.places[0]], op)) {
            Some(group) => group.places.push(place),
            None => groups.push(Group { places: vec![place] }),
        }
    }
    groups
}

/// Whether two ops differ in their buffers alone.
fn same(one: &Op, other: &Op) -> bool {
    let sizes = |op: &Op| op.operands.iter().map(Operand::bytes).collect::<Vec<_>>();
    std::ptr::eq(one.kernel, other.kernel)
        && one.format.map(|format| format.name) == other.format.map(|format| format.name)
        && one.name == other.name
        && one.constants == other.constants
        && one.workgroups == other.workgroups
        && sizes(one) == sizes(other)
}

/// The row of a group, with its times in place, of several timed runs of one plan.
pub(super) fn row(phase: Phase, group: &Group, runs: &[Timed]) -> Row {
    let op = &runs[0].plan.ops[group.places[0]];
    let seconds = runs.iter().flat_map(|run| {
        group.places.iter().filter_map(|&place| Some(run.timing.spans.get(place)?.as_ref()?.seconds()))
    });
    Row {
        phase,
        kernel: op.label(),
        format: op.format.map(|format| format.name),
        shape: shape(op),
        calls: group.places.len(),
        cost: op.cost_at(runs[0].length),
        in_place_us: median(&seconds.collect::<Vec<_>>()).map(|seconds| seconds * 1e6),
        warm_us: None,
        cold_us: None,
        cold_bytes: None,
    }
}

/// The first activation that an op reads and the first that it writes.
fn shape(op: &Op) -> String {
    let first = |wanted: fn(Access) -> bool| {
        op.kernel.bindings.iter().zip(&op.operands).find_map(|(binding, operand)| match operand {
            Operand::Tensor(tensor) if wanted(binding.access) => Some(size(*tensor)),
            _ => None,
        })
    };
    match (first(|access| access == Access::Input), first(Access::writes)) {
        (Some(read), Some(written)) => format!("{read} → {written}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => String::new(),
    }
}

fn size(tensor: Tensor) -> String {
    format!("{}×{}", tensor.rows, tensor.cols)
}
