//! Root-mean-square normalisation of each row.

use super::{input, output, weight};
use crate::graph::{Cases, Constants, Cost, Dispatch, Element, Kernel, Recorder, Slice, Tensor, Tolerance, Twin};

pub(super) static KERNEL: Kernel = Kernel {
    name: "rms_norm",
    about: "root-mean-square norm of each row",
    wgsl: &[include_str!("../../wgsl/rms_norm.wgsl")],
    bindings: &[weight("gain"), input("x"), output("y")],
    cpu,
    cases,
    tolerance: Tolerance { nmse: 5e-14, worst: 1e-5 },
};

/// Normalises each row of `x` (`[rows, cols]`) by its root mean square and scales it by `gain` (`[cols]` f32).
pub fn rms_norm(r: &mut Recorder, x: Tensor, gain: Slice, eps: f32) -> Tensor {
    assert_eq!(gain.bytes, u64::from(x.cols) * 4, "rms_norm: one gain per column of {} columns", x.cols);
    assert_eq!(x.cols % 4, 0, "rms_norm: {} columns are no multiple of 4", x.cols);
    let y = r.tensor(x.rows, x.cols);
    let elements = u64::from(x.rows) * u64::from(x.cols);
    let workgroup = 32u32.next_multiple_of(r.target().subgroup);
    let subgroups = workgroup / r.target().subgroup;
    let workgroups = [x.rows.div_ceil(subgroups).min(r.target().max_workgroups), 1, 1];
    r.push(Dispatch {
        kernel: &KERNEL,
        format: None,
        constants: Constants::new().u32("WORKGROUP", workgroup).u32("VECTORS", x.cols / 4).f32("EPS", eps),
        operands: &[gain.into(), x.into(), y.into()],
        workgroups,
        cost: Cost { activation_bytes: 8 * elements, flops: 4 * elements, ..Cost::default() },
    });
    y
}

fn cpu(t: &mut Twin<'_>) {
    let (cols, eps) = (t.u32("VECTORS") * 4, t.f32("EPS"));
    let (gain, x) = (t.floats(0), t.floats(1));
    let y = t.take_floats(2);
    for (x, y) in x.chunks_exact(cols).zip(y.chunks_exact_mut(cols)) {
        let mean = x.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / cols as f64;
        let scale = (mean + eps).sqrt().recip();
        for ((y, &x), &gain) in y.iter_mut().zip(x).zip(gain) {
            *y = (f64::from(x) * scale * f64::from(gain)) as f32;
        }
    }
}

/// The small deviation makes the epsilon weigh as much as the mean square.
fn cases(cases: &mut Cases) {
    for (rows, cols, deviation) in [(1, 4, 1.0), (3, 100, 0.003), (9, 576, 1.0), (2, 2048, 0.003), (70, 96, 1.0)] {
        cases.case(format!("{rows}x{cols} deviation {deviation}"), |c| {
            let x = c.normal(rows, cols, deviation);
            let gain = c.normal_buffer(cols, 1.0, 0.3);
            let y = rms_norm(&mut c.recorder, x, gain, 1e-5);
            c.check(y, Element::F32);
        });
    }
}
