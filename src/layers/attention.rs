//! Grouped-query attention over the paged cache.

use super::Batch;
use super::linear::{Norm, Rows, linear};
use crate::graph::{Matrix, Recorder, Tensor};
use crate::kernels::attend_decode::attend_decode;
use crate::kernels::attend_prefill::attend_prefill;
use crate::kernels::paged::{Heads, Pages};
use crate::kernels::rope_store::{Rotary, rope_store};

/// `x + output(attend(rope(qkv(norm(x)))))`.
#[derive(Clone, Debug)]
pub struct Attention {
    /// In front of the projections.
    pub norm: Norm,
    /// Queries over keys over values: `[(heads + 2 kv_heads) head_dim, hidden]`.
    pub qkv: Matrix,
    /// `[hidden, heads head_dim]`.
    pub output: Matrix,
    /// Shape of the heads.
    pub heads: Heads,
    /// Positions.
    pub rotary: Rotary,
}

impl Attention {
    /// Records the block for `x` (`[tokens, hidden]`), with keys and values in `pages`.
    pub fn record(&self, r: &mut Recorder, x: Tensor, batch: &Batch, pages: &Pages) -> Tensor {
        let qkv = linear(r, &self.qkv, x, Some(self.norm), None, batch.kind);
        let q = rope_store(r, qkv, batch.rows, self.rotary, &self.heads, pages);
        let attended = match batch.kind {
            Rows::Block => attend_prefill(r, q, batch.rows, &self.heads, pages),
            Rows::Single => attend_decode(r, q, batch.rows, &self.heads, pages, batch.splits),
        };
        linear(r, &self.output, attended, None, Some(x), batch.kind)
    }
}
