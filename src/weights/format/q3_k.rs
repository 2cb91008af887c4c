//! 3 bits; each 16 weights have a scale of 6 bits, each 256 share its f16 factor: w = d · (s − 32) · (q − 4).
//!
//! File: 32 bytes of third bits, 64 bytes of low bits, 12 bytes of scales, d f16. Plane of scales, per 16 blocks: a word of third
//! bits for each, both d, then for each 256 weights the low nibbles of its 16 scales (two words) and their high bits (one).

use super::block::{bit, half, pack_bits, pack_pairs, pair, random_at, word};
use crate::graph::{FileUnit, Format, Rng, ScaleUnit};

pub(super) static FORMAT: Format = Format {
    name: "q3_k",
    wgsl: &[include_str!("../../../wgsl/lib/bytes.wgsl"), include_str!("../../../wgsl/formats/q3_k.wgsl")],
    metal: &[],
    unit: FileUnit::packed(8, 110),
    quant_bytes: 8,
    scales: ScaleUnit { blocks: 16, bytes: 92 },
    repack,
    unpack,
    random,
    variant: false,
};

/// Scale `index` of 16, from the 12 bytes of a file.
fn scale(bytes: &[u8], index: usize) -> u8 {
    bytes[index % 8] >> (index / 8 * 4) & 15 | (bytes[8 + index % 4] >> (index / 4 * 2) & 3) << 4
}

fn repack([file, ..]: [&[u8]; 3], quants: &mut [u8], scales: &mut [u8]) {
    for (index, unit) in file.chunks_exact(110).enumerate() {
        let (third, low) = (&unit[..32], &unit[32..96]);
        let out = &mut scales[index / 2 * 92..][..92];
        for block in 0..8 {
            let low = &low[block / 4 * 32..][..32];
            pack_pairs(&mut quants[(index * 8 + block) * 8..], |i| low[i] >> (block % 4 * 2));
            pack_bits(&mut out[(index % 2 * 8 + block) * 4..], |i| third[i] >> block);
        }
        out[64 + index % 2 * 2..][..2].copy_from_slice(&unit[108..]);
        let (mut nibbles, mut high) = (0u64, 0u32);
        for i in 0..16 {
            let scale = scale(&unit[96..108], i);
            nibbles |= u64::from(scale & 15) << (4 * i);
            high |= u32::from(scale >> 4) << (2 * i);
        }
        let out = &mut out[68 + index % 2 * 12..][..12];
        out[..8].copy_from_slice(&nibbles.to_le_bytes());
        out[8..].copy_from_slice(&high.to_le_bytes());
    }
}

fn unpack(quants: &[u8], scales: &[u8], block: usize, out: &mut [f32; 32]) {
    let unit = &scales[block / 16 * 92..][..92];
    let second = block / 8 % 2;
    let d = half(unit, 64 + second * 2);
    let packed = &unit[68 + second * 12..][..12];
    for (index, weight) in out.iter_mut().enumerate() {
        let i = block % 8 * 2 + index / 16;
        let scale = word(packed, i / 8 * 4) >> (i % 8 * 4) & 15 | (word(packed, 8) >> (i * 2) & 3) << 4;
        let q = pair(&quants[block * 8..], index) | bit(&unit[block % 16 * 4..], index) << 2;
        *weight = d * (scale as f32 - 32.0) * (f32::from(q) - 4.0);
    }
}

fn random(rng: &mut Rng, [file, ..]: [&mut [u8]; 3]) {
    random_at(rng, file, &[108], 0.002);
}
