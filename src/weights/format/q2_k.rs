//! 2 bits; each 16 weights have a scale and a minimum of 4 bits, each 256 share their f16 factors: w = d · s · q − dm · m.
//!
//! File: 16 bytes of scales (low nibbles) and minima, 64 bytes of quants, d f16, dm f16. Plane of scales, per 8 blocks: d and dm,
//! then the 16 bytes.

use super::block::{half, pack_pairs, pair, random_at};
use crate::graph::{FileUnit, Format, Rng, ScaleUnit};

pub(super) static FORMAT: Format = Format {
    name: "q2_k",
    wgsl: &[include_str!("../../../wgsl/lib/bytes.wgsl"), include_str!("../../../wgsl/formats/q2_k.wgsl")],
    metal: &[],
    unit: FileUnit::packed(8, 84),
    quant_bytes: 8,
    scales: ScaleUnit { blocks: 8, bytes: 20 },
    repack,
    unpack,
    random,
    variant: false,
};

fn repack([file, ..]: [&[u8]; 3], quants: &mut [u8], scales: &mut [u8]) {
    for (index, unit) in file.chunks_exact(84).enumerate() {
        let out = &mut scales[index * 20..][..20];
        out[..4].copy_from_slice(&unit[80..]);
        out[4..].copy_from_slice(&unit[..16]);
        for block in 0..8 {
            let low = &unit[16 + block / 4 * 32..][..32];
            pack_pairs(&mut quants[(index * 8 + block) * 8..], |i| low[i] >> (block % 4 * 2));
        }
    }
}

fn unpack(quants: &[u8], scales: &[u8], block: usize, out: &mut [f32; 32]) {
    let unit = &scales[block / 8 * 20..][..20];
    for (index, weight) in out.iter_mut().enumerate() {
        let scale = unit[4 + block % 8 * 2 + index / 16];
        let (d, m) = (half(unit, 0) * f32::from(scale & 15), half(unit, 2) * f32::from(scale >> 4));
        *weight = d * f32::from(pair(&quants[block * 8..], index)) - m;
    }
}

fn random(rng: &mut Rng, [file, ..]: [&mut [u8]; 3]) {
    random_at(rng, file, &[80, 82], 0.005);
}
