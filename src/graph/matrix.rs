//! A weight matrix as the device holds it.

use super::{Format, Slice};

/// Rows that share a format and fit a binding.
#[derive(Clone, Debug)]
pub struct MatrixBlock {
    /// How the rows are stored.
    pub format: &'static Format,
    /// How many.
    pub rows: u32,
    /// Plane of quants.
    pub quants: Slice,
    /// Plane of scales; the same window as `quants` for formats without one.
    pub scales: Slice,
}

/// A weight matrix `[rows, cols]`: blocks of rows stacked on each other.
///
/// Several blocks stand for one matrix where its parts have different formats (Q, K and V of a mixed file) or where it is larger
/// than a binding may be. Every op records one dispatch per block.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// The stack, first rows first.
    pub blocks: Vec<MatrixBlock>,
    /// Weights per row; a multiple of 32.
    pub cols: u32,
}

impl Matrix {
    /// Rows of all blocks together.
    pub fn rows(&self) -> u32 {
        self.blocks.iter().map(|block| block.rows).sum()
    }

    /// Bytes on the device.
    pub fn bytes(&self) -> u64 {
        self.blocks.iter().map(|block| block.bytes()).sum()
    }
}

impl MatrixBlock {
    /// Bytes on the device.
    pub fn bytes(&self) -> u64 {
        let scales = if self.format.scales.bytes == 0 { 0 } else { self.scales.bytes };
        self.quants.bytes + scales
    }
}
