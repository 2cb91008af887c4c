//! Blocks that model families share.

mod attention;
mod linear;
mod mlp;

pub use attention::Attention;
pub use linear::{Norm, Rows, head, linear};
pub use mlp::Mlp;

pub use crate::kernels::attend_prefill::QUERIES as STRETCH;

use crate::graph::Slice;

/// What one plan runs: rows of tokens, each at a position of a sequence.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// 16 bytes per row: token, position, sequence, nothing.
    pub rows: Slice,
    /// A block is made of stretches of sequences, each of which starts at a multiple of [`STRETCH`] rows; single rows may belong to
    /// different sequences.
    pub kind: Rows,
    /// Splits of decode attention: every position lies below `splits * SPLIT`.
    pub splits: u32,
}

impl Batch {
    /// Rows of the batch.
    pub fn tokens(&self) -> u32 {
        (self.rows.bytes / 16) as u32
    }
}
