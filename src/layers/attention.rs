//! Grouped-query attention over the paged cache.

use super::Batch;
use super::linear::{Norm, Rows, linear};
use crate::graph::{Matrix, Recorder, Tensor};
use crate::kernels::attend_decode::attend_decode;
use crate::kernels::attend_prefill::attend_prefill;
use crate::kernels::paged::{Heads, Pages, Scores};
use crate::kernels::rms_norm::rms_norm;
use crate::kernels::rope_store::{HeadPrelude, Rotary, rope_store};

/// `x + post(output(attend(rope(prelude(qkv(norm(x)))))))`.
#[derive(Clone, Debug)]
pub struct Attention {
    /// In front of the projections.
    pub norm: Norm,
    /// Queries over keys over values: `[(heads + 2 kv_heads) head_dim, hidden]`.
    pub qkv: Matrix,
    /// Biases and norms of heads.
    pub prelude: HeadPrelude,
    /// `[hidden, heads head_dim]`.
    pub output: Matrix,
    /// Behind the output, before it joins the residual stream.
    pub post: Option<Norm>,
    /// Shape of the heads.
    pub heads: Heads,
    /// Positions.
    pub rotary: Rotary,
    /// Scale, cap and window of the scores.
    pub scores: Scores,
}

impl Attention {
    /// Records the block for `x` (`[tokens, hidden]`), with keys and values in `pages`.
    pub fn record(&self, r: &mut Recorder, x: Tensor, batch: &Batch, pages: &Pages) -> Tensor {
        let qkv = linear(r, &self.qkv, x, Some(self.norm), None, batch.kind);
        let q = rope_store(r, qkv, batch.rows, self.prelude, self.rotary, &self.heads, pages);
        let attended = match batch.kind {
            Rows::Block => attend_prefill(r, q, batch.rows, &self.heads, &self.scores, pages),
            Rows::Single => attend_decode(r, q, batch.rows, &self.heads, &self.scores, pages, batch.splits),
        };
        joined(r, &self.output, attended, self.post, x, batch.kind)
    }
}

/// `x + post(w · y)`: what a block adds to the residual stream.
pub(super) fn joined(r: &mut Recorder, w: &Matrix, y: Tensor, post: Option<Norm>, x: Tensor, rows: Rows) -> Tensor {
    match post {
        None => linear(r, w, y, None, Some(x), rows),
        Some(norm) => {
            let y = linear(r, w, y, None, None, rows);
            rms_norm(r, y, norm.gain, norm.eps, Some(x))
        }
    }
}
