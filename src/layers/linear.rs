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
pub fn linear(
    r: &mut Recorder,
    w: &Matrix,
    x: Tensor,
    norm: Option<Norm>,
    residual: Option<Tensor>,
    rows: Rows,
) -> Tensor {
    let (x, norm) = normed(r, x, norm, rows);
    product(r, w, x, norm, residual, rows)
}

fn product(
    r: &mut Recorder,
    w: &Matrix,
    x: Tensor,
    norm: Option<(Slice, f32)>,
    residual: Option<Tensor>,
    rows: Rows,
) -> Tensor {
    match rows {
        Rows::Single => matvec(r, w, x, Around { norm, residual, gate: None }),
        Rows::Block => matmul(r, w, x, residual),
    }
}

/// `norm(x) · wᵀ`: the logits of `x`, in the zones `final_norm` and `lm_head`. A norm that is folded into the product stands there.
pub fn head(r: &mut Recorder, w: &Matrix, x: Tensor, norm: Norm, rows: Rows) -> Tensor {
    let (x, norm) = r.zone("final_norm", |r| normed(r, x, Some(norm), rows));
    r.zone("lm_head", |r| product(r, w, x, norm, None, rows))
}

/// Records the norm now, or leaves it (gain and epsilon) to the product of single rows.
///
/// Folding saves a dispatch of a few microseconds, and costs each subgroup the loads of the gain. On a software device loads cost
/// more than dispatches: with lavapipe (2 cores, SmolLM2-135M's gate and up) 967 µs of CPU time folded, 739 µs not.
pub(super) fn normed(r: &mut Recorder, x: Tensor, norm: Option<Norm>, rows: Rows) -> (Tensor, Option<(Slice, f32)>) {
    match norm {
        Some(norm) if rows == Rows::Single && !r.target().software => (x, Some((norm.gain, norm.eps))),
        Some(norm) => (rms_norm(r, x, norm.gain, norm.eps, None), None),
        None => (x, None),
    }
}
