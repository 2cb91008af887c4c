//! 6 bits; each 16 weights have a signed scale of 8 bits, each 256 share its f16 factor: w = d · s · (q − 32).
//!
//! File: 128 bytes of nibbles, 64 bytes of high bits, 16 scales, d f16. Plane of scales, per 16 blocks: two words of high bits for
//! each, both d, then the 16 scales of each 256 weights.

use super::block::{half, nibble, pack_nibbles, pack_pairs, pair, random_at};
use crate::graph::{FileUnit, Format, Rng, ScaleUnit};

pub(super) static FORMAT: Format = Format {
    name: "q6_k",
    wgsl: &[include_str!("../../../wgsl/lib/bytes.wgsl"), include_str!("../../../wgsl/formats/q6_k.wgsl")],
    metal: &[include_str!("../../../msl/lib/bytes.metal"), include_str!("../../../msl/formats/q6_k.metal")],
    unit: FileUnit::packed(8, 210),
    quant_bytes: 16,
    scales: ScaleUnit { blocks: 16, bytes: 164 },
    repack,
    unpack,
    random,
    variant: false,
};

fn repack([file, ..]: [&[u8]; 3], quants: &mut [u8], scales: &mut [u8]) {
    for (index, unit) in file.chunks_exact(210).enumerate() {
        let out = &mut scales[index / 2 * 164..][..164];
        let second = index % 2;
        for block in 0..8 {
            // A half of 128 weights: blocks 0 and 1 are its low nibbles, 2 and 3 its high ones.
            let (half, part) = (block / 4, block % 4);
            let low = &unit[half * 64 + part % 2 * 32..][..32];
            let high = &unit[128 + half * 32..][..32];
            pack_nibbles(&mut quants[(index * 8 + block) * 16..], |i| low[i] >> (part / 2 * 4));
            pack_pairs(&mut out[(second * 8 + block) * 8..], |i| high[i] >> (part * 2));
        }
        out[128 + second * 2..][..2].copy_from_slice(&unit[208..]);
        out[132 + second * 16..][..16].copy_from_slice(&unit[192..208]);
    }
}

fn unpack(quants: &[u8], scales: &[u8], block: usize, out: &mut [f32; 32]) {
    let unit = &scales[block / 16 * 164..][..164];
    let second = block / 8 % 2;
    let d = half(unit, 128 + second * 2);
    for (index, weight) in out.iter_mut().enumerate() {
        let scale = unit[132 + second * 16 + block % 8 * 2 + index / 16] as i8;
        let q = nibble(&quants[block * 16..], index) | pair(&unit[block % 16 * 8..], index) << 4;
        *weight = d * f32::from(scale) * (f32::from(q) - 32.0);
    }
}

fn random(rng: &mut Rng, [file, ..]: [&mut [u8]; 3]) {
    random_at(rng, file, &[208], 0.0003);
}
