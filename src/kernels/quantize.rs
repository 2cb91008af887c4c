//! MLX's affine quantization of rows.

use super::{input, output, spread};
use crate::graph::{Cases, Constants, Cost, Dispatch, Element, Kernel, Recorder, Tensor, Tolerance, Twin};
use rayon::prelude::*;

pub(super) static KERNEL: Kernel = Kernel {
    name: "quantize",
    about: "rows to MLX's affine format of 2, 3, 4, 5, 6 or 8 bits",
    algorithm: None,
    wgsl: &[include_str!("../../wgsl/quantize.wgsl")],
    metal: None,
    bindings: &[input("x"), output("words"), output("scales"), output("biases")],
    cpu,
    cases,
    // Measured 0: divisions are rounded correctly, and nothing else here rounds twice. Words are compared bit by bit.
    tolerance: Tolerance { nmse: 1e-15, worst: 1e-7 },
};

/// What the weights of a group at least span, as MLX has it.
const EPS: f32 = 1e-7;

/// Numbers of bits that MLX packs.
pub const BITS: [u32; 6] = [2, 3, 4, 5, 6, 8];

/// Weights that share a scale and a bias.
pub const GROUPS: [u32; 3] = [32, 64, 128];

/// Packed rows.
#[derive(Clone, Copy, Debug)]
pub struct Quantized {
    /// `[rows, cols bits / 32]` words: each row is one little-endian stream of bits.
    pub words: Tensor,
    /// `[rows, cols / group]` f32. One that is NaN stands for a group that holds what is no finite number.
    pub scales: Tensor,
    /// `[rows, cols / group]` f32.
    pub biases: Tensor,
}

/// Quantizes the rows of `x` (`[rows, cols]`) to `bits` bits in groups of `group` weights, as `mx.quantize` does it in f32
/// (`mlx/backend/cpu/quantized.cpp`): w ≈ scale · q + bias.
///
/// # Panics
/// For bits outside [`BITS`], groups outside [`GROUPS`], and columns that are no multiple of the group.
pub fn quantize(r: &mut Recorder, x: Tensor, bits: u32, group: u32) -> Quantized {
    assert!(BITS.contains(&bits) && GROUPS.contains(&group), "quantize: {bits} bits in groups of {group}");
    assert_eq!(x.cols % group, 0, "quantize: {} columns are no multiple of the group of {group}", x.cols);
    let words = r.tensor(x.rows, x.cols / 32 * bits);
    let scales = r.tensor(x.rows, x.cols / group);
    let biases = r.tensor(x.rows, x.cols / group);
    let elements = u64::from(x.rows) * u64::from(x.cols);
    r.push(Dispatch {
        kernel: &KERNEL,
        format: None,
        constants: Constants::new()
            .u32("BITS", bits)
            .u32("GROUP", group)
            .f32("EPS", EPS)
            .bool("EXACT", r.target().software),
        operands: &[x.into(), words.into(), scales.into(), biases.into()],
        workgroups: spread((elements / 32).div_ceil(64) as u32, r.target().max_workgroups),
        cost: Cost {
            activation_bytes: x.bytes() + words.bytes() + scales.bytes() + biases.bytes(),
            flops: 7 * elements,
            ..Cost::default()
        },
    });
    Quantized { words, scales, biases }
}

/// In f32 step by step as MLX does it, not in f64: which of two words is right hangs on the rounding of each step.
fn cpu(t: &mut Twin<'_>) {
    let (bits, group, eps) = (t.u32("BITS"), t.u32("GROUP"), t.f32("EPS") as f32);
    let largest = ((1 << bits) - 1) as f32;
    let x = t.floats(0);
    let (words, scales, biases) = (t.take_words(1), t.take_floats(2), t.take_floats(3));
    let outputs = words.par_chunks_exact_mut(group / 32 * bits).zip(scales).zip(biases);
    outputs.zip(x.par_chunks_exact(group)).for_each(|(((words, scale), bias), x)| {
        let least = x.iter().copied().fold(f32::INFINITY, f32::min);
        let most = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let negative = least.abs() > most.abs();
        let step = ((most - least) / largest).max(eps);
        let edge = if negative { least } else { most };
        *scale = if negative { step } else { -step };
        *bias = 0.0;
        let steps = (edge / *scale).round_ties_even();
        if steps != 0.0 {
            *scale = edge / steps;
            *bias = edge;
        }
        words.fill(0);
        for (index, &weight) in x.iter().enumerate() {
            let q = ((weight - *bias) / *scale).round_ties_even().clamp(0.0, largest) as u32;
            let (word, shift) = (index * bits / 32, index * bits % 32);
            words[word] |= q << shift;
            if shift + bits > 32 {
                words[word + 1] |= q >> (32 - shift);
            }
        }
        if !x.iter().all(|weight| weight.is_finite()) {
            *scale = f32::NAN;
        }
    });
}

/// What weights look like, and what they seldom are: groups of one value, of one sign, symmetric ones whose middle lies on a
/// border, tiny ones, and one far from the others.
fn cases(cases: &mut Cases) {
    let shapes = [(1, 128), (3, 384), (37, 256)];
    for (b, bits) in BITS.into_iter().enumerate() {
        for (g, group) in GROUPS.into_iter().enumerate() {
            for (s, (rows, cols)) in shapes.into_iter().enumerate() {
                if cases.full() || (b + g) % 3 == s {
                    cases.case(format!("{rows}x{cols} to {bits} bits in groups of {group}"), |c| {
                        let mut values: Vec<f32> = (0..rows * cols).map(|_| c.rng.normal() * 0.05).collect();
                        seldom(&mut values, group as usize);
                        let x = c.input(rows, cols, &values);
                        let quantized = quantize(&mut c.recorder, x, bits, group);
                        c.check(quantized.words, Element::U32);
                        c.check(quantized.scales, Element::F32);
                        c.check(quantized.biases, Element::F32);
                    });
                }
            }
        }
    }
    damaged(cases);
}

/// A group that holds what is no finite number says so, and its neighbours do not.
fn damaged(cases: &mut Cases) {
    cases.case("groups with numbers that are not finite", |c| {
        let mut values = vec![0.5; 2 * 384];
        (values[3], values[200], values[600]) = (f32::NAN, f32::INFINITY, f32::NEG_INFINITY);
        let x = c.input(2, 384, &values);
        let quantized = quantize(&mut c.recorder, x, 4, 64);
        c.check(quantized.scales, Element::U32);
    });
}

/// Replaces every second group, beginning with the second.
fn seldom(values: &mut [f32], group: usize) {
    for (index, values) in values.chunks_exact_mut(group).skip(1).step_by(2).enumerate() {
        let last = values.len() - 1;
        match index % 6 {
            0 => values.fill([-0.75, 0.0][index / 6 % 2]),
            1 => values.iter_mut().for_each(|value| *value = value.abs() + 1.0),
            2 => values.iter_mut().for_each(|value| *value = -value.abs()),
            3 => values.iter_mut().enumerate().for_each(|(at, value)| *value = [-0.7, 0.7, 0.2][at % 3]),
            4 => values.iter_mut().for_each(|value| *value *= 1e-7),
            _ => values[last] = -300.0,
        }
    }
}
