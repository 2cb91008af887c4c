//! Matrix × vector for 1 to 8 columns: what decoding spends its time on.

use super::gate_mul::Activation;
use super::{input, output, spread, weight};
use crate::graph::{
    Cases, Constants, Cost, Dispatch, Element, Format, Kernel, Matrix, MatrixBlock, Metal, Operand, Recorder, Slice, Tensor,
    Tolerance, Twin,
};
use rayon::prelude::*;

/// Most columns of one dispatch.
pub const MAX_WIDTH: u32 = 8;

/// What is folded into the product.
#[derive(Clone, Copy, Debug, Default)]
pub struct Around {
    /// RMS-normalises `x` first: gain `[cols]` f32 and the epsilon added to the mean square.
    pub norm: Option<(Slice, f32)>,
    /// Adds `[tokens, rows]` to the result.
    pub residual: Option<Tensor>,
    /// The upper half of the rows is a gate, the lower half what it opens: `activation(gate) * up`.
    pub gate: Option<Activation>,
}

pub(super) static KERNEL: Kernel = Kernel {
    name: "matvec",
    about: "matrix × 1–8 columns, with norm, gate and residual folded in",
    algorithm: None,
    wgsl: &[
        include_str!("../../wgsl/lib/total.wgsl"),
        include_str!("../../wgsl/lib/activation.wgsl"),
        include_str!("../../wgsl/matvec.wgsl"),
    ],
    metal: Some(Metal {
        pieces: &[
            include_str!("../../msl/lib/total.metal"),
            include_str!("../../msl/lib/activation.metal"),
            include_str!("../../msl/matvec.metal"),
        ],
        takes: |_| true,
        tolerance: Tolerance { nmse: 1e-12, worst: 2e-5 },
    }),
    bindings: &[weight("quants"), weight("scales"), weight("gain"), input("x"), input("residual"), output("y")],
    cpu,
    cases,
    tolerance: Tolerance { nmse: 1e-12, worst: 2e-5 },
};

/// Multiplies `x` (`[tokens, cols]`, at most 8 tokens) by `w` (`[rows, cols]`): `[tokens, rows]`, or half the rows when gated.
pub fn matvec(r: &mut Recorder, w: &Matrix, x: Tensor, around: Around) -> Tensor {
    assert!(x.rows <= MAX_WIDTH, "matvec takes at most {MAX_WIDTH} columns, not {}", x.rows);
    assert_eq!(x.cols, w.cols, "matvec: x has {} columns, the matrix {}", x.cols, w.cols);
    assert!(around.gate.is_none() || w.blocks.len() == 1, "matvec: gate and up must share a block");
    let rows = if around.gate.is_some() { w.rows() / 2 } else { w.rows() };
    if let Some(residual) = around.residual {
        assert_eq!((residual.rows, residual.cols), (x.rows, rows), "matvec: shape of the residual");
    }
    let y = r.tensor(x.rows, rows);
    let mut first = 0;
    for block in &w.blocks {
        record(r, block, x, y, first, around);
        first += block.rows;
    }
    y
}

fn record(r: &mut Recorder, block: &MatrixBlock, x: Tensor, y: Tensor, first: u32, around: Around) {
    let (rows, owned) = if around.gate.is_some() { (block.rows / 2, 4) } else { (block.rows, 8) };
    let subgroups = if r.target().software { 4 } else { 64 / r.target().subgroup.min(64) };
    let workgroup = subgroups * r.target().subgroup;
    let per_workgroup = subgroups * owned;
    let constants = Constants::new()
        .u32("WORKGROUP", workgroup)
        .u32("ROWS_PER_WORKGROUP", per_workgroup)
        .u32("OWNED", owned)
        .u32("WIDTH", x.rows)
        .u32("BLOCKS", x.cols / Format::BLOCK as u32)
        .u32("ROWS", rows)
        .u32("FIRST", first)
        .u32("STRIDE", y.cols)
        .bool("NORM", around.norm.is_some())
        .bool("RESIDUAL", around.residual.is_some())
        .bool("GATED", around.gate.is_some())
        .bool("GELU", around.gate == Some(Activation::Gelu))
        .f32("EPS", around.norm.map_or(0.0, |(_, eps)| eps));
    let gain = around.norm.map_or(block.quants, |(gain, _)| gain);
    let activations = 4 * u64::from(x.rows) * u64::from(x.cols + rows);
    let operands: [Operand; 6] = [
        block.quants.into(),
        block.scales.into(),
        gain.into(),
        x.into(),
        around.residual.unwrap_or(x).into(),
        y.into(),
    ];
    let max = r.target().max_workgroups;
    let op = r.push(Dispatch {
        kernel: &KERNEL,
        format: Some(block.format),
        constants,
        operands: &operands,
        workgroups: spread(rows.div_ceil(per_workgroup), max),
        cost: Cost {
            weight_bytes: block.bytes(),
            activation_bytes: activations,
            flops: 2 * u64::from(x.rows) * u64::from(block.rows) * u64::from(x.cols),
            kv_bytes: 0,
        },
    });
    op.name = name(around);
}

/// The product and what is folded into it.
fn name(around: Around) -> &'static str {
    match (around.norm.is_some(), around.gate.is_some(), around.residual.is_some()) {
        (false, false, false) => "matvec",
        (true, false, false) => "rms_norm+matvec",
        (false, true, false) => "matvec+gate_mul",
        (true, true, false) => "rms_norm+matvec+gate_mul",
        (false, false, true) => "matvec+add",
        (true, false, true) => "rms_norm+matvec+add",
        (false, true, true) => "matvec+gate_mul+add",
        (true, true, true) => "rms_norm+matvec+gate_mul+add",
    }
}

fn cpu(t: &mut Twin<'_>) {
    let (width, cols, rows) = (t.u32("WIDTH"), t.u32("BLOCKS") * Format::BLOCK, t.u32("ROWS"));
    let (first, stride) = (t.u32("FIRST"), t.u32("STRIDE"));
    let (norm, residual, gated) = (t.bool("NORM"), t.bool("RESIDUAL"), t.bool("GATED"));
    let activation = if t.bool("GELU") { Activation::Gelu } else { Activation::Silu };
    let (format, eps) = (t.format(), t.f32("EPS"));
    let (quants, scales, gain, x) = (t.bytes(0), t.bytes(1), t.bytes(2), t.floats(3));
    let added = t.floats(4);
    let columns: Vec<Vec<f64>> = (0..width)
        .map(|c| {
            let x: Vec<f64> = x[c * cols..][..cols].iter().map(|&v| f64::from(v)).collect();
            if !norm {
                return x;
            }
            let gain: &[f32] = &bytemuck::cast_slice(gain)[..cols];
            let mean = x.iter().map(|v| v * v).sum::<f64>() / cols as f64;
            let scale = (mean + eps).sqrt().recip();
            x.iter().zip(gain).map(|(v, &g)| v * f64::from(g) * scale).collect()
        })
        .collect();
    let dot = |row: usize| -> Vec<f64> {
        let mut weights = vec![0.0; cols];
        format.row(quants, scales, row, &mut weights);
        columns.iter().map(|x| x.iter().zip(&weights).map(|(x, &w)| x * f64::from(w)).sum()).collect()
    };
    let results: Vec<Vec<f64>> = (0..rows)
        .into_par_iter()
        .map(|row| {
            if !gated {
                return dot(row);
            }
            dot(row).iter().zip(dot(rows + row)).map(|(&gate, up)| activation.of(gate) * up).collect()
        })
        .collect();
    let y = t.take_floats(5);
    for (row, values) in results.iter().enumerate() {
        for (c, &value) in values.iter().enumerate() {
            let at = c * stride + first + row;
            let extra = if residual { f64::from(added[at]) } else { 0.0 };
            y[at] = (value + extra) as f32;
        }
    }
}

/// Every format meets every option, tail and width in some case; the full product only when asked for.
fn cases(cases: &mut Cases) {
    let widths = [1, 2, 3, 8];
    let shapes = [(8, 32), (13, 96), (1, 320), (70, 608), (33, 1024)];
    let full = cases.full();
    for (f, &format) in cases.formats().to_vec().iter().enumerate() {
        for (s, &(rows, cols)) in shapes.iter().enumerate() {
            for (w, &width) in widths.iter().enumerate() {
                let mode = (f + s + w) % 4;
                let tried = (f + s) % 2 == 0 && (f + s) / 2 % 4 == w;
                if full || tried || (s == 3 && width == 1) {
                    for mode in if full { 0..4 } else { mode..mode + 1 } {
                        case(cases, format, rows, cols, width, mode);
                    }
                }
            }
        }
    }
    let (first, second) = (cases.formats()[0], cases.formats()[7]);
    cases.case("two formats in one matrix, 20+9 rows", |c| {
        let w = c.matrix(&[(first, 20), (second, 9)], 256);
        let x = c.normal(2, 256, 1.0);
        let residual = c.normal(2, 29, 1.0);
        let y = matvec(&mut c.recorder, &w, x, Around { residual: Some(residual), ..Around::default() });
        c.check(y, Element::F32);
    });
}

fn case(cases: &mut Cases, format: &'static Format, rows: u32, cols: u32, width: u32, mode: usize) {
    let cols = cols.next_multiple_of(format.granule() as u32);
    let label = format!("{} {rows}x{cols} width {width} {}", format.name, ["plain", "norm", "gated", "norm+residual"][mode]);
    cases.case(label, |c| {
        let activation = if rows.is_multiple_of(2) { Activation::Gelu } else { Activation::Silu };
        let gate = (mode == 2).then_some(activation);
        let w = c.matrix(&[(format, if gate.is_some() { 2 * rows } else { rows })], cols);
        // Gates stay where a sigmoid bends: far out its value is all rounding.
        let x = c.normal(width, cols, [1.0, 0.01, 0.05, 1.0][mode]);
        // The epsilon is of the size of the mean square, so that losing it shows.
        let norm = (mode == 1 || mode == 3).then(|| (c.normal_buffer(cols, 1.0, 0.3), 1e-4));
        let residual = (mode == 3).then(|| c.normal(width, rows, 1.0));
        let y = matvec(&mut c.recorder, &w, x, Around { norm, residual, gate });
        c.check(y, Element::F32);
    });
}
