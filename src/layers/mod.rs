//! Blocks that model families share.

mod attention;
mod linear;
mod mlp;

pub use attention::Attention;
pub use linear::{Norm, Rows, head, linear};
pub use mlp::Mlp;

use crate::graph::Slice;

/// What one plan runs: rows of tokens, each at a position of a sequence.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// 16 bytes per row: token, position, sequence, nothing.
    pub rows: Slice,
    /// A block is a stretch of one sequence; single rows may belong to different ones.
    pub kind: Rows,
    /// Splits of decode attention: every position lies below `splits * SPLIT`.
    pub splits: u32,
    /// Which rows' logits are wanted: one u32 each. `None` stands for all rows.
    pub picks: Option<Slice>,
}

impl Batch {
    /// Rows of the batch.
    pub fn tokens(&self) -> u32 {
        (self.rows.bytes / 16) as u32
    }
}
