//! The gated feed-forward block.

use super::linear::{Norm, Rows, linear, normed};
use crate::graph::{Matrix, Recorder, Tensor};
use crate::kernels::matvec::{Around, matvec};
use crate::kernels::silu_mul::silu_mul;

/// `x + down(silu(gate(norm(x))) * up(norm(x)))`.
#[derive(Clone, Debug)]
pub struct Mlp {
    /// In front of gate and up.
    pub norm: Norm,
    /// Gate over up: `[2 ffn, hidden]`.
    pub gate_up: Matrix,
    /// `[hidden, ffn]`.
    pub down: Matrix,
}

impl Mlp {
    /// Records the block for `x` (`[tokens, hidden]`).
    pub fn record(&self, r: &mut Recorder, x: Tensor, rows: Rows) -> Tensor {
        let foldable = rows == Rows::Single && self.gate_up.blocks.len() == 1;
        let opened = if foldable {
            let (x, norm) = normed(r, x, Some(self.norm), rows);
            matvec(r, &self.gate_up, x, Around { norm, residual: None, gated: true })
        } else {
            let both = linear(r, &self.gate_up, x, Some(self.norm), None, rows);
            silu_mul(r, both)
        };
        linear(r, &self.down, opened, None, Some(x), rows)
    }
}
