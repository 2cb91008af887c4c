//! Matrix × matrix: what prefilling spends its time on.

use super::variants::pick;
use super::{input, matmul_tiled, output, weight};
use crate::graph::{
    Algorithm, Binding, Cases, Constants, Cost, Dispatch, Element, Format, Kernel, Matrix, Operand, Recorder, Tensor, Tolerance, Twin,
};
use rayon::prelude::*;

pub(super) static KERNEL: Kernel = Kernel {
    name: "matmul",
    about: "matrix × many columns in register tiles, residual folded in",
    algorithm: Some(Algorithm { of: "matmul", name: "registers" }),
    wgsl: &[include_str!("../../wgsl/lib/dequantize.wgsl"), include_str!("../../wgsl/matmul.wgsl")],
    metal: None,
    bindings: BINDINGS,
    cpu,
    cases: |c| cases(c, &KERNEL),
    tolerance: Tolerance { nmse: 5e-12, worst: 5e-5 },
};

pub(super) const BINDINGS: &[Binding] =
    &[weight("quants"), weight("scales"), input("x"), input("residual"), output("y")];

/// Rows and tokens of a thread's tile in registers, and threads of a workgroup; as in the shader.
const TILE: u32 = 8;
const WORKGROUP: u32 = 32;

/// Multiplies `x` (`[tokens, cols]`) by `w` (`[rows, cols]`) and adds `residual` (`[tokens, rows]`): `[tokens, rows]`.
pub fn matmul(r: &mut Recorder, w: &Matrix, x: Tensor, residual: Option<Tensor>) -> Tensor {
    assert_eq!(x.cols, w.cols, "matmul: x has {} columns, the matrix {}", x.cols, w.cols);
    let y = r.tensor(x.rows, w.rows());
    if let Some(residual) = residual {
        assert_eq!((residual.rows, residual.cols), (y.rows, y.cols), "matmul: shape of the residual");
    }
    let mut first = 0;
    for block in &w.blocks {
        let constants = Constants::new()
            .u32("BLOCKS", x.cols / Format::BLOCK as u32)
            .u32("ROWS", block.rows)
            .u32("FIRST", first)
            .u32("STRIDE", y.cols)
            .bool("RESIDUAL", residual.is_some());
        // Registers need no barrier, which is what software drivers are fast at; cards unpack weights once for many tokens.
        let usual = if r.target().software { &KERNEL } else { &matmul_tiled::KERNEL };
        let kernel = pick(r.target(), usual, Some(block.format.name));
        let (constants, [rows, tokens]) = match kernel.name == KERNEL.name {
            true => (constants, [TILE * WORKGROUP, TILE]),
            false => (matmul_tiled::constants(constants), matmul_tiled::TILE),
        };
        let operands: [Operand; 5] =
            [block.quants.into(), block.scales.into(), x.into(), residual.unwrap_or(x).into(), y.into()];
        let op = r.push(Dispatch {
            kernel,
            format: Some(block.format),
            constants,
            operands: &operands,
            workgroups: [block.rows.div_ceil(rows), x.rows.div_ceil(tokens), 1],
            cost: Cost {
                weight_bytes: block.bytes(),
                activation_bytes: x.bytes() + 4 * u64::from(x.rows) * u64::from(block.rows),
                flops: 2 * u64::from(x.rows) * u64::from(block.rows) * u64::from(x.cols),
                kv_bytes: 0,
            },
        });
        if residual.is_some() {
            op.name = "matmul+add";
        }
        first += block.rows;
    }
    y
}

pub(super) fn cpu(t: &mut Twin<'_>) {
    let (cols, rows) = (t.u32("BLOCKS") * Format::BLOCK, t.u32("ROWS"));
    let (first, stride, residual) = (t.u32("FIRST"), t.u32("STRIDE"), t.bool("RESIDUAL"));
    let (format, quants, scales, x, added) = (t.format(), t.bytes(0), t.bytes(1), t.floats(2), t.floats(3));
    let results: Vec<Vec<f64>> = (0..rows)
        .into_par_iter()
        .map(|row| {
            let mut weights = vec![0.0; cols];
            format.row(quants, scales, row, &mut weights);
            let weights: Vec<f64> = weights.iter().map(|&w| f64::from(w)).collect();
            x.chunks_exact(cols).map(|x| x.iter().zip(&weights).map(|(&x, w)| f64::from(x) * w).sum()).collect()
        })
        .collect();
    let y = t.take_floats(4);
    for (row, values) in results.iter().enumerate() {
        for (token, &value) in values.iter().enumerate() {
            let at = token * stride + first + row;
            let extra = if residual { f64::from(added[at]) } else { 0.0 };
            y[at] = (value + extra) as f32;
        }
    }
}

pub(super) fn cases(cases: &mut Cases, kernel: &'static Kernel) {
    let shapes = [(9, 13, 96u32), (17, 8, 32), (40, 300, 64), (1, 7, 320), (12, 33, 1536)];
    for (f, &format) in cases.formats().to_vec().iter().enumerate() {
        for (s, &(tokens, rows, cols)) in shapes.iter().enumerate() {
            let cols = cols.next_multiple_of(format.granule() as u32);
            if !cases.full() && (f + s) % 3 != 0 {
                continue;
            }
            let with_residual = (f / 2 + s) % 2 == 0;
            let label = format!("{} {rows}x{cols}, {tokens} tokens, residual {with_residual}", format.name);
            cases.case(label, |c| {
                c.recorder.choose(kernel);
                let w = c.matrix(&[(format, rows)], cols);
                let x = c.normal(tokens, cols, 1.0);
                let residual = with_residual.then(|| c.normal(tokens, rows, 1.0));
                let y = matmul(&mut c.recorder, &w, x, residual);
                c.check(y, Element::F32);
            });
        }
    }
    let (first, second) = (cases.formats()[1], cases.formats()[4]);
    cases.case("two formats in one matrix", |c| {
        c.recorder.choose(kernel);
        let w = c.matrix(&[(first, 20), (second, 9)], 64);
        let x = c.normal(11, 64, 1.0);
        let residual = c.normal(11, 29, 1.0);
        let y = matmul(&mut c.recorder, &w, x, Some(residual));
        c.check(y, Element::F32);
    });
}
