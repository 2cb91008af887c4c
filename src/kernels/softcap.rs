//! Bends logits so that none passes a cap.

use super::{input, output, spread};
use crate::graph::{Cases, Constants, Cost, Dispatch, Element, Kernel, Recorder, Tensor, Tolerance, Twin};

pub(super) static KERNEL: Kernel = Kernel {
    name: "softcap",
    about: "cap × tanh(x / cap), element by element",
    algorithm: None,
    wgsl: &[include_str!("../../wgsl/lib/softcap.wgsl"), include_str!("../../wgsl/softcap.wgsl")],
    metal: None,
    bindings: &[input("x"), output("y")],
    cpu,
    cases,
    tolerance: Tolerance { nmse: 1e-13, worst: 2e-6 },
};

/// `cap · tanh(x / cap)` of each element of `x` (`[rows, cols]`).
pub fn softcap(r: &mut Recorder, x: Tensor, cap: f32) -> Tensor {
    let y = r.tensor(x.rows, x.cols);
    let elements = x.rows * x.cols;
    r.push(Dispatch {
        kernel: &KERNEL,
        format: None,
        constants: Constants::new().f32("CAP", cap),
        operands: &[x.into(), y.into()],
        workgroups: spread(elements.div_ceil(64), r.target().max_workgroups),
        cost: Cost { activation_bytes: 2 * x.bytes(), flops: 10 * u64::from(elements), ..Cost::default() },
    });
    y
}

fn cpu(t: &mut Twin<'_>) {
    let cap = t.f32("CAP");
    let x = t.floats(0);
    for (y, &x) in t.take_floats(1).iter_mut().zip(x) {
        *y = (cap * (f64::from(x) / cap).tanh()) as f32;
    }
}

/// Values near zero, where the cap bends, and far past it.
fn cases(cases: &mut Cases) {
    for (rows, cols, cap, deviation) in [(1, 3, 30.0, 1000.0), (3, 100, 30.0, 20.0), (2, 1024, 50.0, 0.01), (70, 96, 5.0, 5.0)] {
        cases.case(format!("{rows}x{cols}, cap {cap}, deviation {deviation}"), |c| {
            let x = c.normal(rows, cols, deviation);
            let y = softcap(&mut c.recorder, x, cap);
            c.check(y, Element::F32);
        });
    }
}
