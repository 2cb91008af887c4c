//! The gate of a gated feed-forward layer, where it is not folded into the product.

use super::{input, output, spread};
use crate::graph::{Cases, Constants, Cost, Dispatch, Element, Kernel, Recorder, Tensor, Tolerance, Twin};

pub(super) static KERNEL: Kernel = Kernel {
    name: "silu_mul",
    about: "silu(gate) × up, gate and up side by side",
    wgsl: &[include_str!("../../wgsl/silu_mul.wgsl")],
    bindings: &[input("x"), output("y")],
    cpu,
    cases,
    tolerance: Tolerance { nmse: 1e-13, worst: 1e-5 },
};

/// `silu(x[:, :cols]) * x[:, cols:]` of `x` (`[rows, 2 cols]`): `[rows, cols]`.
pub fn silu_mul(r: &mut Recorder, x: Tensor) -> Tensor {
    let cols = x.cols / 2;
    let y = r.tensor(x.rows, cols);
    let elements = u64::from(x.rows) * u64::from(cols);
    let workgroups = spread((x.rows * cols).div_ceil(64), r.target().max_workgroups);
    r.push(Dispatch {
        kernel: &KERNEL,
        format: None,
        constants: Constants::new().u32("COLS", cols),
        operands: &[x.into(), y.into()],
        workgroups,
        cost: Cost { activation_bytes: 12 * elements, flops: 5 * elements, ..Cost::default() },
    });
    y
}

fn cpu(t: &mut Twin<'_>) {
    let cols = t.u32("COLS");
    let x = t.floats(0);
    let y = t.take_floats(1);
    for (x, y) in x.chunks_exact(2 * cols).zip(y.chunks_exact_mut(cols)) {
        let (gate, up) = x.split_at(cols);
        for ((y, &gate), &up) in y.iter_mut().zip(gate).zip(up) {
            let gate = f64::from(gate);
            *y = (gate / (1.0 + (-gate).exp()) * f64::from(up)) as f32;
        }
    }
}

fn cases(cases: &mut Cases) {
    for (rows, cols) in [(1, 1), (3, 96), (17, 100), (2, 1536)] {
        cases.case(format!("{rows}x{cols}"), |c| {
            let x = c.normal(rows, 2 * cols, 4.0);
            let y = silu_mul(&mut c.recorder, x);
            c.check(y, Element::F32);
        });
    }
}
