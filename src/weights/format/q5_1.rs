//! 5 bits, a scale and a minimum: w = d · q + m. File: d f16, m f16, 4 bytes of fifth bits, 16 bytes of nibbles.
//!
//! Plane of scales: two words per block: d and m, then the fifth bits.

use super::block::{self, half, nibble};
use crate::graph::{FileUnit, Format, Rng, ScaleUnit};

pub(super) static FORMAT: Format = Format {
    name: "q5_1",
    wgsl: &[include_str!("../../../wgsl/lib/fives.wgsl"), include_str!("../../../wgsl/formats/q5_1.wgsl")],
    metal: &[],
    unit: FileUnit::packed(1, 24),
    quant_bytes: 16,
    scales: ScaleUnit { blocks: 2, bytes: 16 },
    repack,
    unpack,
    random,
    variant: false,
};

fn repack([file, ..]: [&[u8]; 3], quants: &mut [u8], scales: &mut [u8]) {
    for (index, block) in file.chunks_exact(24).enumerate() {
        scales[index * 8..][..8].copy_from_slice(&block[..8]);
        quants[index * 16..][..16].copy_from_slice(&block[8..]);
    }
}

fn unpack(quants: &[u8], scales: &[u8], block: usize, out: &mut [f32; 32]) {
    let (d, m) = (half(scales, block * 8), half(scales, block * 8 + 2));
    let fifth = &scales[block * 8 + 4..][..4];
    for (index, weight) in out.iter_mut().enumerate() {
        let high = (fifth[index / 8] >> (index % 8) & 1) << 4;
        *weight = d * f32::from(nibble(&quants[block * 16..], index) | high) + m;
    }
}

fn random(rng: &mut Rng, [file, ..]: [&mut [u8]; 3]) {
    block::random(rng, file, 2);
}
