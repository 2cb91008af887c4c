//! 4 bits and a scale: w = d · (q − 8). File: d f16, 16 bytes of nibbles.
//!
//! Plane of scales: one f16 per block, two blocks to a word.

use super::block::{self, half, nibble};
use crate::graph::{FileUnit, Format, Rng, ScaleUnit};

pub(super) static FORMAT: Format = Format {
    name: "q4_0",
    wgsl: &[include_str!("../../../wgsl/lib/nibbles.wgsl"), include_str!("../../../wgsl/formats/q4_0.wgsl")],
    metal: &[include_str!("../../../msl/lib/nibbles.metal"), include_str!("../../../msl/formats/q4_0.metal")],
    unit: FileUnit::packed(1, 18),
    quant_bytes: 16,
    scales: ScaleUnit { blocks: 2, bytes: 4 },
    repack,
    unpack,
    random,
    variant: false,
};

fn repack([file, ..]: [&[u8]; 3], quants: &mut [u8], scales: &mut [u8]) {
    block::repack_scaled::<16>(file, quants, scales);
}

fn unpack(quants: &[u8], scales: &[u8], block: usize, out: &mut [f32; 32]) {
    let d = half(scales, block * 2);
    for (index, weight) in out.iter_mut().enumerate() {
        *weight = d * (f32::from(nibble(&quants[block * 16..], index)) - 8.0);
    }
}

fn random(rng: &mut Rng, [file, ..]: [&mut [u8]; 3]) {
    block::random(rng, file, 1);
}
