//! Lays tensors out so that those whose lives do not overlap share memory.

use super::{Op, Operand, Tensor, TensorId, TensorInfo};

/// Binding offsets that every device accepts.
const ALIGNMENT: u64 = 256;

pub(super) struct Layout {
    pub(super) tensors: Vec<TensorInfo>,
    pub(super) bytes: u64,
}

/// First fit, largest first: big tensors are few and set the size, small ones fill the gaps.
pub(super) fn lay_out(tensors: &[Tensor], ops: &[Op], inputs: &[TensorId], kept: &[TensorId]) -> Layout {
    let mut infos: Vec<TensorInfo> =
        tensors.iter().map(|&tensor| TensorInfo { tensor, offset: 0, first: usize::MAX, last: 0 }).collect();
    for (index, op) in ops.iter().enumerate() {
        for operand in &op.operands {
            if let Operand::Tensor(tensor) = operand {
                let info = &mut infos[tensor.id.0 as usize];
                info.first = info.first.min(index);
                info.last = info.last.max(index);
            }
        }
    }
    for id in inputs {
        infos[id.0 as usize].first = 0;
    }
    for id in kept {
        infos[id.0 as usize].last = ops.len();
    }
    let mut order: Vec<usize> = (0..infos.len()).filter(|&i| infos[i].first != usize::MAX).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(infos[i].tensor.bytes()), i));
    let mut placed: Vec<usize> = Vec::new();
    let mut bytes = 0;
    for index in order {
        let (first, last) = (infos[index].first, infos[index].last);
        let size = infos[index].tensor.bytes().next_multiple_of(ALIGNMENT);
        let mut busy: Vec<(u64, u64)> = placed
            .iter()
            .map(|&other| &infos[other])
            .filter(|other| other.first <= last && first <= other.last)
            .map(|other| (other.offset, other.offset + other.tensor.bytes().next_multiple_of(ALIGNMENT)))
            .collect();
        busy.sort_unstable();
        let mut offset = 0;
        for (start, end) in busy {
            if offset + size <= start {
                break;
            }
            offset = offset.max(end);
        }
        infos[index].offset = offset;
        bytes = bytes.max(offset + size);
        placed.push(index);
    }
    Layout { tensors: infos, bytes: bytes.max(ALIGNMENT) }
}
