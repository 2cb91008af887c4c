//! bfloat16: the upper half of an f32. Blocks of 32 keep kernels free of cases; there is no scale.

use crate::graph::{FileUnit, Format, Rng, ScaleUnit};

pub(super) static FORMAT: Format = Format {
    name: "bf16",
    wgsl: &[include_str!("../../../wgsl/formats/bf16.wgsl")],
    metal: &[include_str!("../../../msl/lib/plain.metal"), include_str!("../../../msl/formats/bf16.metal")],
    unit: FileUnit::packed(1, 64),
    quant_bytes: 64,
    scales: ScaleUnit::NONE,
    repack,
    unpack,
    random,
    variant: false,
};

fn repack([file, ..]: [&[u8]; 3], quants: &mut [u8], _scales: &mut [u8]) {
    quants.copy_from_slice(file);
}

fn unpack(quants: &[u8], _scales: &[u8], block: usize, out: &mut [f32; 32]) {
    for (index, weight) in out.iter_mut().enumerate() {
        let at = block * 64 + index * 2;
        *weight = f32::from_le_bytes([0, 0, quants[at], quants[at + 1]]);
    }
}

fn random(rng: &mut Rng, [file, ..]: [&mut [u8]; 3]) {
    for field in file.chunks_exact_mut(2) {
        field.copy_from_slice(&half::bf16::from_f32(rng.normal() * 0.1).to_le_bytes());
    }
}
