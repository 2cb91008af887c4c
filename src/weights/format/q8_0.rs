//! 8 bits and a scale: w = d · q, q signed. File: d f16, 32 signed bytes.
//!
//! Plane of scales: one f16 per block, two blocks to a word.

use super::block::{self, half};
use crate::graph::{FileUnit, Format, Rng, ScaleUnit};

pub(super) static FORMAT: Format = Format {
    name: "q8_0",
    wgsl: &[include_str!("../../../wgsl/formats/q8_0.wgsl")],
    metal: &[include_str!("../../../msl/formats/q8_0.metal")],
    unit: FileUnit::packed(1, 34),
    quant_bytes: 32,
    scales: ScaleUnit { blocks: 2, bytes: 4 },
    repack,
    unpack,
    random,
    variant: false,
};

fn repack([file, ..]: [&[u8]; 3], quants: &mut [u8], scales: &mut [u8]) {
    block::repack_scaled::<32>(file, quants, scales);
}

fn unpack(quants: &[u8], scales: &[u8], block: usize, out: &mut [f32; 32]) {
    let d = half(scales, block * 2);
    for (weight, &q) in out.iter_mut().zip(&quants[block * 32..]) {
        *weight = d * f32::from(q as i8);
    }
}

fn random(rng: &mut Rng, [file, ..]: [&mut [u8]; 3]) {
    block::random(rng, file, 1);
}
