//! The gated feed-forward block.

use super::attention::joined;
use super::linear::{Norm, Rows, linear, normed};
use crate::graph::{Matrix, Recorder, Tensor};
use crate::kernels::gate_mul::{Activation, gate_mul};
use crate::kernels::matvec::{Around, matvec};

/// `x + post(down(activation(gate(norm(x))) * up(norm(x))))`.
#[derive(Clone, Debug)]
pub struct Mlp {
    /// In front of gate and up.
    pub norm: Norm,
    /// Gate over up: `[2 ffn, hidden]`.
    pub gate_up: Matrix,
    /// What opens the gate.
    pub activation: Activation,
    /// `[hidden, ffn]`.
    pub down: Matrix,
    /// Behind `down`, before it joins the residual stream.
    pub post: Option<Norm>,
}

impl Mlp {
    /// Records the block for `x` (`[tokens, hidden]`).
    pub fn record(&self, r: &mut Recorder, x: Tensor, rows: Rows) -> Tensor {
        let foldable = rows == Rows::Single && self.gate_up.blocks.len() == 1;
        let opened = if foldable {
            let (x, norm) = normed(r, x, Some(self.norm), rows);
            matvec(r, &self.gate_up, x, Around { norm, residual: None, gate: Some(self.activation) })
        } else {
            let both = linear(r, &self.gate_up, x, Some(self.norm), None, rows);
            gate_mul(r, both, self.activation)
        };
        joined(r, &self.down, opened, self.post, x, rows)
    }
}
