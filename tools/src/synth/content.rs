//! Random weights as they are stored: numbers, or blocks of every format whose weights have a wanted deviation.
//!
//! Quants are uniform and scales follow from them, so no quantizer runs: a block is as fast to make as random bytes are, and its
//! weights have the deviation that was asked for and, as those of trained models, a mean near 0.

use ffai::convert::Float;
use ffai::graph::Rng;
use ffai::weights::gguf::TensorType;
use half::{bf16, f16};

/// What is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Content {
    /// Plain numbers around a mean.
    Plain { float: Float, mean: f32, deviation: f32 },
    /// Blocks of a GGUF type.
    Blocks { kind: TensorType, deviation: f32 },
    /// Packed words of MLX's affine format.
    Words,
    /// Scales of MLX's affine format, or with `biased` the biases that centre their groups.
    Scales { float: Float, bits: u32, deviation: f32, biased: bool },
}

/// Levels of ggml's non-linear 4-bit types (`kvalues_iq4nl` in ggml-common.h).
const IQ4: [f32; 16] =
    [-127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0, 69.0, 89.0, 113.0];

impl Content {
    /// Numbers of a GGUF type: plain where it has no blocks.
    pub(super) fn of(kind: TensorType, mean: f32, deviation: f32) -> Self {
        let float = match kind {
            TensorType::F32 => Float::F32,
            TensorType::F16 => Float::F16,
            TensorType::BF16 => Float::Bf16,
            _ => return Self::Blocks { kind, deviation },
        };
        Self::Plain { float, mean, deviation }
    }

    /// Bytes of the smallest piece that stands for itself.
    pub(super) fn unit(self) -> usize {
        match self {
            Self::Plain { float, .. } | Self::Scales { float, .. } => bytes(float),
            Self::Blocks { kind, .. } => kind.block_bytes() as usize,
            Self::Words => 4,
        }
    }

    /// Fills whole units.
    pub(super) fn fill(self, rng: &mut Rng, out: &mut [u8]) {
        match self {
            Self::Plain { float, mean, deviation } => {
                out.chunks_exact_mut(bytes(float)).for_each(|to| put(float, mean + deviation * normal(rng), to));
            }
            Self::Blocks { kind, deviation } => {
                out.chunks_exact_mut(kind.block_bytes() as usize).for_each(|block| blocks(kind, rng, deviation, block));
            }
            Self::Words => random(rng, out),
            Self::Scales { float, bits, deviation, biased } => {
                let levels = (1_u32 << bits) as f32;
                let factor = if biased { (1.0 - levels) / 2.0 } else { 1.0 };
                for to in out.chunks_exact_mut(bytes(float)) {
                    put(float, factor * spread(rng) * deviation / uniform(levels), to);
                }
            }
        }
    }
}

fn bytes(float: Float) -> usize {
    if float == Float::F32 { 4 } else { 2 }
}

fn put(float: Float, value: f32, to: &mut [u8]) {
    match float {
        Float::Bf16 => to.copy_from_slice(&bf16::from_f32(value).to_le_bytes()),
        Float::F16 => to.copy_from_slice(&f16::from_f32(value).to_le_bytes()),
        Float::F32 => to.copy_from_slice(&value.to_le_bytes()),
    }
}

/// Close to normal, at a quarter of the price: the sum of four uniform numbers, which ends at ±3.46.
fn normal(rng: &mut Rng) -> f32 {
    let bits = rng.bits();
    let sum: f32 = (0..4).map(|part| (bits >> (16 * part)) as u16).map(f32::from).sum();
    (sum - 131_070.0) * (3.0_f32.sqrt() / 65_536.0)
}

/// What scales of blocks differ by: 0.75 to 1.25.
fn spread(rng: &mut Rng) -> f32 {
    0.75 + 0.5 * rng.unit() as f32
}

/// Deviation of a number that takes any of so many whole values in a row.
fn uniform(levels: f32) -> f32 {
    ((levels * levels - 1.0) / 12.0).sqrt()
}

/// Root of the mean square of a number from `-levels / 2` to `levels / 2 - 1`.
fn signed(levels: f32) -> f32 {
    (uniform(levels).powi(2) + 0.25).sqrt()
}

fn random(rng: &mut Rng, out: &mut [u8]) {
    for part in out.chunks_mut(8) {
        part.copy_from_slice(&rng.bits().to_le_bytes()[..part.len()]);
    }
}

/// One block, or superblock. Layouts are those of ggml-common.h.
fn blocks(kind: TensorType, rng: &mut Rng, deviation: f32, out: &mut [u8]) {
    random(rng, out);
    let wanted = deviation * spread(rng);
    let sign = if rng.bits() & 1 == 0 { wanted } else { -wanted };
    let mut half = |at: usize, value: f32| out[at..at + 2].copy_from_slice(&f16::from_f32(value).to_le_bytes());
    // A scale, and the minimum that centres `levels` quants.
    let mut pair = |at: usize, scale: f32, levels: f32| {
        half(at, scale);
        half(at + 2, -scale * (levels - 1.0) / 2.0);
    };
    match kind {
        TensorType::Q4_0 => half(0, sign / signed(16.0)),
        TensorType::Q5_0 => half(0, sign / signed(32.0)),
        TensorType::Q8_0 => half(0, sign / signed(256.0)),
        TensorType::Q4_1 => pair(0, wanted / uniform(16.0), 16.0),
        TensorType::Q5_1 => pair(0, wanted / uniform(32.0), 32.0),
        TensorType::Iq4Nl => half(0, sign / rms(&IQ4)),
        // Scales of blocks are 6 bits around 0, and random as the quants are.
        TensorType::Iq4Xs => half(0, wanted / (signed(64.0) * rms(&IQ4))),
        TensorType::Q3K => half(108, wanted / (signed(64.0) * signed(8.0))),
        TensorType::Q6K => half(208, wanted / (signed(256.0) * signed(64.0))),
        // Minima are subtracted, with a factor of their own and the same whole numbers as scales.
        TensorType::Q2K => {
            let scale = wanted / (uniform(4.0) * equal_nibbles(rng, &mut out[..16]));
            pair_subtracted(out, 80, scale, 4.0);
        }
        TensorType::Q4K | TensorType::Q5K => {
            let levels = if kind == TensorType::Q4K { 16.0 } else { 32.0 };
            let scale = wanted / (uniform(levels) * equal_sixes(rng, &mut out[4..16]));
            pair_subtracted(out, 0, scale, levels);
        }
        other => panic!("no blocks of {other} are made"),
    }
}

fn pair_subtracted(out: &mut [u8], at: usize, scale: f32, levels: f32) {
    out[at..at + 2].copy_from_slice(&f16::from_f32(scale).to_le_bytes());
    out[at + 2..at + 4].copy_from_slice(&f16::from_f32(scale * (levels - 1.0) / 2.0).to_le_bytes());
}

fn rms(values: &[f32]) -> f32 {
    (values.iter().map(|value| value * value).sum::<f32>() / values.len() as f32).sqrt()
}

/// Scales from 8 to 15, and minima that equal them, in a byte each: the root of their mean square.
fn equal_nibbles(rng: &mut Rng, out: &mut [u8]) -> f32 {
    let scales: Vec<u8> = out.iter().map(|_| 8 + (rng.bits() & 7) as u8).collect();
    out.iter_mut().zip(&scales).for_each(|(byte, scale)| *byte = scale | scale << 4);
    rms(&scales.into_iter().map(f32::from).collect::<Vec<_>>())
}

/// Eight scales of 6 bits from 32 to 63, and minima that equal them, in 12 bytes: the root of their mean square.
fn equal_sixes(rng: &mut Rng, out: &mut [u8]) -> f32 {
    let scales: [u8; 8] = std::array::from_fn(|_| 32 + (rng.bits() & 31) as u8);
    for index in 0..4 {
        let (low, high) = (scales[index], scales[index + 4]);
        out[index] = low | high >> 4 << 6;
        out[index + 4] = low | high >> 4 << 6;
        out[index + 8] = high & 15 | high << 4;
    }
    rms(&scales.map(f32::from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ffai::graph::Format;
    use ffai::weights::format;

    /// Mean and deviation of many weights, read back by the format's own twin.
    fn moments(name: &str, planes: [&[u8]; 3], weights: usize) -> (f64, f64) {
        let format = format::named(name).unwrap();
        let blocks = weights / Format::BLOCK;
        let (mut quants, mut scales) = (vec![0; format.quants_len(blocks)], vec![0; format.scales_len(blocks)]);
        (format.repack)(planes, &mut quants, &mut scales);
        let mut values = vec![0.0; weights];
        format.row(&quants, &scales, 0, &mut values);
        let mean = values.iter().copied().map(f64::from).sum::<f64>() / weights as f64;
        let square = values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>() / weights as f64;
        (mean, square.sqrt())
    }

    #[test]
    fn weights_of_every_type_have_the_deviation_that_was_asked_for() {
        const WEIGHTS: usize = 1 << 16;
        for kind in TensorType::ALL {
            let name = kind.name().to_lowercase();
            if format::named(&name).is_none() {
                continue;
            }
            let content = Content::of(*kind, 0.0, 0.02);
            let mut data = vec![0; WEIGHTS / kind.block_elements() as usize * kind.block_bytes() as usize];
            content.fill(&mut Rng(7), &mut data);
            let (mean, deviation) = moments(&name, [&data, &[], &[]], WEIGHTS);
            assert!((0.018..0.022).contains(&deviation), "{name}: {deviation}");
            assert!(mean.abs() < 0.001, "{name}: {mean}");
        }
    }

    #[test]
    fn groups_of_every_number_of_bits_have_it_too() {
        const WEIGHTS: usize = 1 << 16;
        for bits in [2, 3, 4, 5, 6, 8] {
            let scales = |biased| Content::Scales { float: Float::F16, bits, deviation: 0.02, biased };
            let mut planes =
                [vec![0; WEIGHTS * bits as usize / 8], vec![0; WEIGHTS / 64 * 2], vec![0; WEIGHTS / 64 * 2]];
            for (plane, content) in planes.iter_mut().zip([Content::Words, scales(false), scales(true)]) {
                content.fill(&mut Rng(11), plane);
            }
            let (mean, deviation) =
                moments(&format!("mlx{bits}_g64_f16"), planes.each_ref().map(Vec::as_slice), WEIGHTS);
            assert!((0.018..0.022).contains(&deviation), "{bits} bits: {deviation}");
            assert!(mean.abs() < 0.001, "{bits} bits: {mean}");
        }
    }
}
