//! A matrix product with what surrounds it, by whichever kernel suits the number of rows.

use crate::graph::{Matrix, Recorder, Slice, Tensor};
use crate::kernels::matmul::matmul;
use crate::kernels::matvec::{Around, matvec};
use crate::kernels::rms_norm::rms_norm;

/// A root-mean-square norm in front of a product.
#[derive(Clone, Copy, Debug)]
pub struct Norm {
    /// `[cols]` f32.
    pub gain: Slice,
    /// Added to the mean square.
    pub eps: f32,
}

/// Which kernels take the rows of an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Each on its own, at most eight: matrix × vector, the same bits whatever stands beside a row.
    Single,
    /// As a block: matrix × matrix.
    Block,
}

/// `norm(x) · wᵀ + residual`: `[tokens, rows]` of `x` (`[tokens, cols]`) and `w` (`[rows, cols]`).
pub fn linear(r: &mut Recorder, w: &Matrix, x: Tensor, norm: Option<Norm>, residual: Option<Tensor>, rows: Rows) -> Tensor {
    if rows == Rows::Single {
        let norm = norm.map(|norm| (norm.gain, norm.eps));
        return matvec(r, w, x, Around { norm, residual, gated: false });
    }
    let x = norm.map_or(x, |norm| rms_norm(r, x, norm.gain, norm.eps));
    matmul(r, w, x, residual)
}
