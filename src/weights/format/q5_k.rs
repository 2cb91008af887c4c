//! 5 bits; each 32 weights have a scale and a minimum of 6 bits, each 256 share their f16 factors: w = d · s · q − dm · m.
//!
//! File: d f16, dm f16, 12 bytes of scales and minima, 32 bytes of fifth bits, 128 bytes of nibbles. Plane of scales, per 8 blocks:
//! four words, see `scales_k`, then a word of fifth bits for each.

use super::block::{bit, nibble, pack_bits, pack_nibbles, random_at};
use super::scales_k;
use crate::graph::{FileUnit, Format, Rng, ScaleUnit};

pub(super) static FORMAT: Format = Format {
    name: "q5_k",
    wgsl: &[include_str!("../../../wgsl/lib/bytes.wgsl"), include_str!("../../../wgsl/lib/scales_k.wgsl"), include_str!("../../../wgsl/formats/q5_k.wgsl")],
    metal: &[include_str!("../../../msl/lib/bytes.metal"), include_str!("../../../msl/lib/scales_k.metal"), include_str!("../../../msl/formats/q5_k.metal")],
    unit: FileUnit::packed(8, 176),
    quant_bytes: 16,
    scales: ScaleUnit { blocks: 8, bytes: 48 },
    repack,
    unpack,
    random,
    variant: false,
};

fn repack([file, ..]: [&[u8]; 3], quants: &mut [u8], scales: &mut [u8]) {
    for (index, unit) in file.chunks_exact(176).enumerate() {
        let (fifth, out) = (&unit[16..48], &mut scales[index * 48..][..48]);
        scales_k::repack(&unit[..16], out);
        for block in 0..8 {
            let pair = &unit[48 + block / 2 * 32..][..32];
            pack_nibbles(&mut quants[(index * 8 + block) * 16..], |i| pair[i] >> (block % 2 * 4));
            pack_bits(&mut out[16 + block * 4..], |i| fifth[i] >> block);
        }
    }
}

fn unpack(quants: &[u8], scales: &[u8], block: usize, out: &mut [f32; 32]) {
    let unit = &scales[block / 8 * 48..][..48];
    let (d, m) = scales_k::of(unit, block % 8);
    for (index, weight) in out.iter_mut().enumerate() {
        let q = nibble(&quants[block * 16..], index) | bit(&unit[16 + block % 8 * 4..], index) << 4;
        *weight = d * f32::from(q) - m;
    }
}

fn random(rng: &mut Rng, [file, ..]: [&mut [u8]; 3]) {
    random_at(rng, file, &[0, 2], 0.001);
}
