//! Matrix × matrix in tiles that a workgroup shares: what prefilling spends its time on where a card runs it.

use super::matmul::{self, BINDINGS};
use crate::graph::{Algorithm, Constants, Kernel, Metal, Tolerance};

pub(super) static KERNEL: Kernel = Kernel {
    name: "matmul_tiled",
    about: "matrix × many columns in tiles that a workgroup shares, residual folded in",
    algorithm: Some(Algorithm { of: "matmul", name: "shared" }),
    wgsl: &[include_str!("../../wgsl/lib/dequantize.wgsl"), include_str!("../../wgsl/matmul_tiled.wgsl")],
    metal: Some(Metal {
        pieces: &[include_str!("../../msl/lib/dequantize.metal"), include_str!("../../msl/matmul_tiled.metal")],
        takes: |_| true,
        // Weights are rounded to half.
        tolerance: Tolerance { nmse: 4e-7, worst: 5e-3 },
    }),
    bindings: BINDINGS,
    cpu: matmul::cpu,
    cases: |c| matmul::cases(c, &KERNEL),
    tolerance: Tolerance { nmse: 5e-12, worst: 5e-5 },
};

/// Rows and tokens of a tile.
pub(super) const TILE: [u32; 2] = [64, 32];

/// What the tile adds to the constants of a product.
pub(super) fn constants(constants: Constants) -> Constants {
    constants.u32("WORKGROUP", 128).u32("TILE_ROWS", TILE[0]).u32("TILE_TOKENS", TILE[1])
}
