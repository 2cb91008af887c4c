//! 4 bits that choose among 16 uneven values; each 32 weights have a scale of 6 bits, each 256 share its f16 factor:
//! w = d · (s − 32) · VALUES[q].
//!
//! File: d f16, 16 bits of high scale bits, 4 bytes of low ones, 128 bytes of nibbles. Plane of scales, per 8 blocks: those 8 bytes.

use super::block::{half, nibble, random_at, word};
use super::iq4_nl::VALUES;
use crate::graph::{FileUnit, Format, Rng, ScaleUnit};

pub(super) static FORMAT: Format = Format {
    name: "iq4_xs",
    wgsl: &[include_str!("../../../wgsl/lib/uneven.wgsl"), include_str!("../../../wgsl/formats/iq4_xs.wgsl")],
    metal: &[],
    unit: FileUnit::packed(8, 136),
    quant_bytes: 16,
    scales: ScaleUnit { blocks: 8, bytes: 8 },
    repack,
    unpack,
    random,
    variant: false,
};

fn repack([file, ..]: [&[u8]; 3], quants: &mut [u8], scales: &mut [u8]) {
    for (index, unit) in file.chunks_exact(136).enumerate() {
        scales[index * 8..][..8].copy_from_slice(&unit[..8]);
        quants[index * 128..][..128].copy_from_slice(&unit[8..]);
    }
}

fn unpack(quants: &[u8], scales: &[u8], block: usize, out: &mut [f32; 32]) {
    let (unit, b) = (&scales[block / 8 * 8..][..8], block % 8);
    let scale = word(unit, 4) >> (b * 4) & 15 | (word(unit, 0) >> (16 + b * 2) & 3) << 4;
    let d = half(unit, 0) * (scale as f32 - 32.0);
    for (index, weight) in out.iter_mut().enumerate() {
        *weight = d * f32::from(VALUES[nibble(&quants[block * 16..], index) as usize]);
    }
}

fn random(rng: &mut Rng, [file, ..]: [&mut [u8]; 3]) {
    random_at(rng, file, &[0], 0.0003);
}
