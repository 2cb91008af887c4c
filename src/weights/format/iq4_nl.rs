//! 4 bits that choose among 16 uneven values, and a scale: w = d · VALUES[q]. File: d f16, 16 bytes of nibbles.
//!
//! Plane of scales: one f16 per block, two blocks to a word.

use super::block::{self, half, nibble};
use crate::graph::{FileUnit, Format, Rng, ScaleUnit};

/// `kvalues_iq4nl` in ggml-common.h.
pub(super) const VALUES: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

pub(super) static FORMAT: Format = Format {
    name: "iq4_nl",
    wgsl: &[include_str!("../../../wgsl/lib/uneven.wgsl"), include_str!("../../../wgsl/formats/iq4_nl.wgsl")],
    metal: &[],
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
        *weight = d * f32::from(VALUES[nibble(&quants[block * 16..], index) as usize]);
    }
}

fn random(rng: &mut Rng, [file, ..]: [&mut [u8]; 3]) {
    block::random(rng, file, 1);
}
