//! 4 bits, a scale and a minimum: w = d · q + m. File: d f16, m f16, 16 bytes of nibbles.
//!
//! Plane of scales: d and m share a word per block.

use super::block::{self, half, nibble};
use crate::graph::{FileUnit, Format, Rng, ScaleUnit};

pub(super) static FORMAT: Format = Format {
    name: "q4_1",
    wgsl: &[include_str!("../../../wgsl/lib/nibbles.wgsl"), include_str!("../../../wgsl/formats/q4_1.wgsl")],
    metal: &[include_str!("../../../msl/lib/nibbles.metal"), include_str!("../../../msl/formats/q4_1.metal")],
    unit: FileUnit::packed(1, 20),
    quant_bytes: 16,
    scales: ScaleUnit { blocks: 2, bytes: 8 },
    repack,
    unpack,
    random,
    variant: false,
};

fn repack([file, ..]: [&[u8]; 3], quants: &mut [u8], scales: &mut [u8]) {
    for (index, block) in file.chunks_exact(20).enumerate() {
        scales[index * 4..][..4].copy_from_slice(&block[..4]);
        quants[index * 16..][..16].copy_from_slice(&block[4..]);
    }
}

fn unpack(quants: &[u8], scales: &[u8], block: usize, out: &mut [f32; 32]) {
    let (d, m) = (half(scales, block * 4), half(scales, block * 4 + 2));
    for (index, weight) in out.iter_mut().enumerate() {
        *weight = d * f32::from(nibble(&quants[block * 16..], index)) + m;
    }
}

fn random(rng: &mut Rng, [file, ..]: [&mut [u8]; 3]) {
    block::random(rng, file, 2);
}
