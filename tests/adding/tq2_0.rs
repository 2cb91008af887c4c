//! 2 bits of which three values are used, an f16 scale per 256: w = d · (q − 1). File: 64 bytes of quants, d f16.
//!
//! Plane of scales: one f16 per 8 blocks, two to a word.

use super::block::{half, pack_pairs, pair, random_at};
use crate::graph::{FileUnit, Format, Rng, ScaleUnit};

pub(super) static FORMAT: Format = Format {
    name: "tq2_0",
    wgsl: &[include_str!("../../../wgsl/lib/bytes.wgsl"), include_str!("../../../wgsl/formats/tq2_0.wgsl")],
    metal: &[],
    unit: FileUnit::packed(8, 66),
    quant_bytes: 8,
    scales: ScaleUnit { blocks: 16, bytes: 4 },
    repack,
    unpack,
    random,
    variant: false,
};

fn repack([file, ..]: [&[u8]; 3], quants: &mut [u8], scales: &mut [u8]) {
    for (index, unit) in file.chunks_exact(66).enumerate() {
        scales[index * 2..][..2].copy_from_slice(&unit[64..]);
        for block in 0..8 {
            let low = &unit[block / 4 * 32..][..32];
            pack_pairs(&mut quants[(index * 8 + block) * 8..], |i| low[i] >> (block % 4 * 2));
        }
    }
}

fn unpack(quants: &[u8], scales: &[u8], block: usize, out: &mut [f32; 32]) {
    let d = half(scales, block / 8 * 2);
    for (index, weight) in out.iter_mut().enumerate() {
        *weight = d * (f32::from(pair(&quants[block * 8..], index)) - 1.0);
    }
}

fn random(rng: &mut Rng, [file, ..]: [&mut [u8]; 3]) {
    random_at(rng, file, &[64], 0.02);
}
