//! Finds the orderings that a barrier has to serve.

use super::{Op, Operand, TensorInfo};

/// A range of memory: the arena (`None`) or a buffer.
#[derive(Clone, Copy, PartialEq)]
struct Range {
    buffer: Option<u32>,
    start: u64,
    end: u64,
}

impl Range {
    fn of(operand: &Operand, tensors: &[TensorInfo]) -> Self {
        match operand {
            Operand::Tensor(tensor) => {
                let start = tensors[tensor.id.0 as usize].offset;
                Self { buffer: None, start, end: start + tensor.bytes() }
            }
            Operand::Slice(slice) => {
                Self { buffer: Some(slice.buffer.0), start: slice.offset, end: slice.offset + slice.bytes }
            }
        }
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.buffer == other.buffer && self.start < other.end && other.start < self.end
    }
}

/// Which ops read or overwrite what an earlier op wrote.
pub(super) fn find(ops: &[Op], tensors: &[TensorInfo]) -> Vec<bool> {
    let mut written: Vec<Range> = Vec::new();
    let mut hazards = Vec::with_capacity(ops.len());
    for op in ops {
        let ranges: Vec<Range> = op.operands.iter().map(|operand| Range::of(operand, tensors)).collect();
        hazards.push(ranges.iter().any(|range| written.iter().any(|other| range.overlaps(other))));
        for (range, binding) in ranges.iter().zip(op.kernel.bindings) {
            if binding.access.writes() && !written.contains(range) {
                written.push(*range);
            }
        }
    }
    hazards
}
