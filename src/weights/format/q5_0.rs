//! 5 bits and a scale: w = d · (q − 16). File: d f16, 4 bytes of fifth bits, 16 bytes of nibbles.
//!
//! Plane of scales: three words per two blocks: the fifth bits of each, then both scales as f16.

use super::block::{self, half, nibble};
use crate::graph::{FileUnit, Format, Rng, ScaleUnit};

pub(super) static FORMAT: Format = Format {
    name: "q5_0",
    wgsl: &[include_str!("../../../wgsl/lib/fives.wgsl"), include_str!("../../../wgsl/formats/q5_0.wgsl")],
    metal: &[include_str!("../../../msl/formats/q5_0.metal")],
    unit: FileUnit::packed(1, 22),
    quant_bytes: 16,
    scales: ScaleUnit { blocks: 2, bytes: 12 },
    repack,
    unpack,
    random,
    variant: false,
};

fn repack([file, ..]: [&[u8]; 3], quants: &mut [u8], scales: &mut [u8]) {
    for (index, block) in file.chunks_exact(22).enumerate() {
        let pair = &mut scales[index / 2 * 12..][..12];
        pair[index % 2 * 4..][..4].copy_from_slice(&block[2..6]);
        pair[8 + index % 2 * 2..][..2].copy_from_slice(&block[..2]);
        quants[index * 16..][..16].copy_from_slice(&block[6..]);
    }
}

fn unpack(quants: &[u8], scales: &[u8], block: usize, out: &mut [f32; 32]) {
    let pair = &scales[block / 2 * 12..][..12];
    let fifth = &pair[block % 2 * 4..][..4];
    let d = half(pair, 8 + block % 2 * 2);
    for (index, weight) in out.iter_mut().enumerate() {
        let high = (fifth[index / 8] >> (index % 8) & 1) << 4;
        *weight = d * (f32::from(nibble(&quants[block * 16..], index) | high) - 16.0);
    }
}

fn random(rng: &mut Rng, [file, ..]: [&mut [u8]; 3]) {
    block::random(rng, file, 1);
}
