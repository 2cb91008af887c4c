//! 4 bits; each 32 weights have a scale and a minimum of 6 bits, each 256 share their f16 factors: w = d · s · q − dm · m.
//!
//! File: d f16, dm f16, 12 bytes of scales and minima, 128 bytes of nibbles. Plane of scales, per 8 blocks: see `scales_k`.

use super::block::{nibble, pack_nibbles, random_at};
use super::scales_k;
use crate::graph::{FileUnit, Format, Rng, ScaleUnit};

pub(super) static FORMAT: Format = Format {
    name: "q4_k",
    wgsl: &[include_str!("../../../wgsl/lib/nibbles.wgsl"), include_str!("../../../wgsl/lib/scales_k.wgsl"), include_str!("../../../wgsl/formats/q4_k.wgsl")],
    metal: &[include_str!("../../../msl/lib/nibbles.metal"), include_str!("../../../msl/lib/scales_k.metal"), include_str!("../../../msl/formats/q4_k.metal")],
    unit: FileUnit::packed(8, 144),
    quant_bytes: 16,
    scales: ScaleUnit { blocks: 8, bytes: 16 },
    repack,
    unpack,
    random,
    variant: false,
};

fn repack([file, ..]: [&[u8]; 3], quants: &mut [u8], scales: &mut [u8]) {
    for (index, unit) in file.chunks_exact(144).enumerate() {
        scales_k::repack(&unit[..16], &mut scales[index * 16..]);
        for block in 0..8 {
            let pair = &unit[16 + block / 2 * 32..][..32];
            pack_nibbles(&mut quants[(index * 8 + block) * 16..], |i| pair[i] >> (block % 2 * 4));
        }
    }
}

fn unpack(quants: &[u8], scales: &[u8], block: usize, out: &mut [f32; 32]) {
    let (d, m) = scales_k::of(&scales[block / 8 * 16..], block % 8);
    for (index, weight) in out.iter_mut().enumerate() {
        *weight = d * f32::from(nibble(&quants[block * 16..], index)) - m;
    }
}

fn random(rng: &mut Rng, [file, ..]: [&mut [u8]; 3]) {
    random_at(rng, file, &[0, 2], 0.001);
}
