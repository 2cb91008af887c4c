//! IEEE single precision. Blocks of 32 keep kernels free of cases; there is no scale.

use crate::graph::{FileUnit, Format, Rng, ScaleUnit};

pub(super) static FORMAT: Format = Format {
    name: "f32",
    wgsl: &[include_str!("../../../wgsl/formats/f32.wgsl")],
    metal: &[include_str!("../../../msl/lib/plain.metal"), include_str!("../../../msl/formats/f32.metal")],
    unit: FileUnit::packed(1, 128),
    quant_bytes: 128,
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
        let at = block * 128 + index * 4;
        *weight = f32::from_le_bytes([quants[at], quants[at + 1], quants[at + 2], quants[at + 3]]);
    }
}

fn random(rng: &mut Rng, [file, ..]: [&mut [u8]; 3]) {
    for field in file.chunks_exact_mut(4) {
        field.copy_from_slice(&(rng.normal() * 0.1).to_le_bytes());
    }
}
