//! MLX's affine formats: w = scale · q + bias, q of 2, 3, 4, 5, 6 or 8 bits, in groups of 32, 64 or 128 weights.
//!
//! File: three tensors. Weights are a stream of bits over little-endian words, which the plane of quants keeps as it is; scales and
//! biases are f16, bf16 or f32, one each per group, and stand side by side in the plane of scales.

use crate::graph::{FileUnit, Format, Rng, ScaleUnit};
use half::{bf16, f16};

/// What scales and biases are stored as, by the numbers that shaders know them by.
const F16: u32 = 16;
const BF16: u32 = 17;
const F32: u32 = 32;

/// The format of `bits` and `group` whose scales are `pair` (`f16`, `bf16` or `f32`), if there is one.
pub(crate) fn format(bits: u64, group: u64, pair: &str) -> Option<&'static Format> {
    super::named(&format!("mlx{bits}_g{group}_{pair}"))
}

macro_rules! format {
    ($bits:literal, $group:literal, $pair:literal, $pair_name:literal, $blocks:literal, $variant:literal) => {
        Format {
            name: concat!("mlx", $bits, "_g", $group, "_", $pair_name),
            wgsl: &[
                concat!("const GROUP: u32 = ", $blocks, "u;\nconst PAIR: u32 = ", $pair, "u;\n"),
                include_str!("../../../wgsl/lib/mlx.wgsl"),
                include_str!(concat!("../../../wgsl/formats/mlx", $bits, ".wgsl")),
            ],
            metal: match $bits {
                4 => &[
                    concat!("constant constexpr uint GROUP = ", $blocks, "u;\nconstant constexpr uint PAIR = ", $pair, "u;\n"),
                    include_str!("../../../msl/lib/mlx.metal"),
                    include_str!("../../../msl/formats/mlx4.metal"),
                ],
                8 => &[
                    concat!("constant constexpr uint GROUP = ", $blocks, "u;\nconstant constexpr uint PAIR = ", $pair, "u;\n"),
                    include_str!("../../../msl/lib/mlx.metal"),
                    include_str!("../../../msl/formats/mlx8.metal"),
                ],
                _ => &[],
            },
            unit: FileUnit { blocks: $blocks, bytes: [$bits * $group / 8, pair_bytes($pair), pair_bytes($pair)] },
            quant_bytes: $bits * 4,
            scales: ScaleUnit { blocks: $blocks, bytes: 2 * pair_bytes($pair) },
            repack: repack::<$pair>,
            unpack: unpack::<$bits, $blocks, $pair>,
            random: random::<$pair>,
            variant: $variant,
        }
    };
}

const fn pair_bytes(pair: u32) -> usize {
    if pair == F32 { 4 } else { 2 }
}

/// All groups and pairs of one number of bits. The one that stands for them in tests is marked.
macro_rules! formats {
    ($($bits:literal: $a:literal $b:literal $c:literal $d:literal $e:literal $f:literal $g:literal $h:literal $i:literal;)*) => {
        /// Every number of bits, size of group and type of scale.
        pub(super) static FORMATS: &[Format] = &[$(
            format!($bits, 32, 16, "f16", 1, $a),
            format!($bits, 32, 17, "bf16", 1, $b),
            format!($bits, 32, 32, "f32", 1, $c),
            format!($bits, 64, 16, "f16", 2, $d),
            format!($bits, 64, 17, "bf16", 2, $e),
            format!($bits, 64, 32, "f32", 2, $f),
            format!($bits, 128, 16, "f16", 4, $g),
            format!($bits, 128, 17, "bf16", 4, $h),
            format!($bits, 128, 32, "f32", 4, $i),
        )*];
    };
}
formats! {
    2: false true true true true true true true true;
    3: true true true true true true true true false;
    4: true true true true false true true true true;
    5: true true true false true true true true true;
    6: true false true true true true true true true;
    8: true true true true true true true false true;
}

fn repack<const PAIR: u32>([data, scales, biases]: [&[u8]; 3], quants: &mut [u8], out: &mut [u8]) {
    let size = pair_bytes(PAIR);
    quants.copy_from_slice(data);
    for (index, pair) in out.chunks_exact_mut(2 * size).enumerate() {
        pair[..size].copy_from_slice(&scales[index * size..][..size]);
        pair[size..].copy_from_slice(&biases[index * size..][..size]);
    }
}

fn unpack<const BITS: usize, const GROUP: usize, const PAIR: u32>(
    quants: &[u8],
    scales: &[u8],
    block: usize,
    out: &mut [f32; 32],
) {
    let size = pair_bytes(PAIR);
    let number = |at: usize| match PAIR {
        F16 => f16::from_le_bytes([scales[at], scales[at + 1]]).to_f32(),
        BF16 => bf16::from_le_bytes([scales[at], scales[at + 1]]).to_f32(),
        _ => f32::from_le_bytes([scales[at], scales[at + 1], scales[at + 2], scales[at + 3]]),
    };
    let at = block / GROUP * 2 * size;
    let (scale, bias) = (number(at), number(at + size));
    let bits = &quants[block * BITS * 4..][..BITS * 4];
    for (index, weight) in out.iter_mut().enumerate() {
        let first = index * BITS;
        // A weight spans two bytes at most.
        let next = bits.get(first / 8 + 1).copied().unwrap_or(0);
        let both = u16::from_le_bytes([bits[first / 8], next]);
        *weight = scale * f32::from(both >> (first % 8) & ((1 << BITS) - 1)) + bias;
    }
}

fn random<const PAIR: u32>(rng: &mut Rng, [data, scales, biases]: [&mut [u8]; 3]) {
    for byte in data {
        *byte = rng.bits() as u8;
    }
    for (field, deviation) in [(scales, 0.02), (biases, 0.1)] {
        let value = rng.normal() * deviation;
        match PAIR {
            F16 => field.copy_from_slice(&f16::from_f32(value).to_le_bytes()),
            BF16 => field.copy_from_slice(&bf16::from_f32(value).to_le_bytes()),
            _ => field.copy_from_slice(&value.to_le_bytes()),
        }
    }
}
