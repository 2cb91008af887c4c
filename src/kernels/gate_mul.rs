//! The gate of a gated feed-forward layer, where it is not folded into the product.

use super::{input, output, spread};
use crate::graph::{Cases, Constants, Cost, Dispatch, Element, Kernel, Recorder, Tensor, Tolerance, Twin};

pub(super) static KERNEL: Kernel = Kernel {
    name: "gate_mul",
    about: "silu or gelu of a gate × up, side by side",
    algorithm: None,
    wgsl: &[include_str!("../../wgsl/lib/activation.wgsl"), include_str!("../../wgsl/gate_mul.wgsl")],
    metal: None,
    bindings: &[input("x"), output("y")],
    cpu,
    cases,
    tolerance: Tolerance { nmse: 1e-13, worst: 1e-5 },
};

/// What opens a gated feed-forward layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `v · sigmoid(v)`.
    Silu,
    /// The tanh form of GELU: `v/2 · (1 + tanh(√(2/π) (v + 0.044715 v³)))`.
    Gelu,
}

impl Activation {
    /// Its name: `silu` or `gelu_tanh`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Silu => "silu",
            Self::Gelu => "gelu_tanh",
        }
    }

    /// Its value at `v`.
    pub(super) fn of(self, v: f64) -> f64 {
        match self {
            Self::Silu => v / (1.0 + (-v).exp()),
            Self::Gelu => {
                let inner = std::f64::consts::FRAC_2_PI.sqrt() * (v + 0.044715 * v * v * v);
                0.5 * v * (1.0 + inner.tanh())
            }
        }
    }
}

/// `activation(x[:, :cols]) * x[:, cols:]` of `x` (`[rows, 2 cols]`): `[rows, cols]`.
pub fn gate_mul(r: &mut Recorder, x: Tensor, activation: Activation) -> Tensor {
    let cols = x.cols / 2;
    let y = r.tensor(x.rows, cols);
    let elements = u64::from(x.rows) * u64::from(cols);
    let workgroups = spread((x.rows * cols).div_ceil(64), r.target().max_workgroups);
    r.push(Dispatch {
        kernel: &KERNEL,
        format: None,
        constants: Constants::new().u32("COLS", cols).bool("GELU", activation == Activation::Gelu),
        operands: &[x.into(), y.into()],
        workgroups,
        cost: Cost { activation_bytes: 12 * elements, flops: 5 * elements, ..Cost::default() },
    });
    y
}

fn cpu(t: &mut Twin<'_>) {
    let cols = t.u32("COLS");
    let activation = if t.bool("GELU") { Activation::Gelu } else { Activation::Silu };
    let x = t.floats(0);
    let y = t.take_floats(1);
    for (x, y) in x.chunks_exact(2 * cols).zip(y.chunks_exact_mut(cols)) {
        let (gate, up) = x.split_at(cols);
        for ((y, &gate), &up) in y.iter_mut().zip(gate).zip(up) {
            *y = (activation.of(f64::from(gate)) * f64::from(up)) as f32;
        }
    }
}

fn cases(cases: &mut Cases) {
    use Activation::{Gelu, Silu};
    for (rows, cols, activation) in [(1, 1, Silu), (3, 96, Gelu), (17, 100, Silu), (2, 1536, Gelu)] {
        cases.case(format!("{activation:?} {rows}x{cols}"), |c| {
            let x = c.normal(rows, 2 * cols, 4.0);
            let y = gate_mul(&mut c.recorder, x, activation);
            c.check(y, Element::F32);
        });
    }
}
