//! Root-mean-square normalisation of each row.

use super::{input, output, weight};
use crate::graph::{Cases, Constants, Cost, Dispatch, Element, Kernel, Metal, Recorder, Slice, Tensor, Tolerance, Twin};

pub(super) static KERNEL: Kernel = Kernel {
    name: "rms_norm",
    about: "root-mean-square norm of each row, residual folded in",
    algorithm: None,
    wgsl: &[include_str!("../../wgsl/rms_norm.wgsl")],
    metal: Some(Metal {
        pieces: &[
            include_str!("../../msl/lib/total.metal"),
            include_str!("../../msl/rms_norm.metal"),
        ],
        takes: |_| true,
        tolerance: Tolerance { nmse: 5e-14, worst: 1e-5 },
    }),
    bindings: &[weight("gain"), input("x"), input("residual"), output("y")],
    cpu,
    cases,
    tolerance: Tolerance { nmse: 5e-14, worst: 1e-5 },
};

/// Normalises each row of `x` (`[rows, cols]`) by its root mean square, scales it by `gain` (`[cols]` f32) and adds `residual`
/// (`[rows, cols]`).
pub fn rms_norm(r: &mut Recorder, x: Tensor, gain: Slice, eps: f32, residual: Option<Tensor>) -> Tensor {
    assert_eq!(gain.bytes, u64::from(x.cols) * 4, "rms_norm: one gain per column of {} columns", x.cols);
    assert_eq!(x.cols % 4, 0, "rms_norm: {} columns are no multiple of 4", x.cols);
    if let Some(residual) = residual {
        assert_eq!((residual.rows, residual.cols), (x.rows, x.cols), "rms_norm: shape of the residual");
    }
    let y = r.tensor(x.rows, x.cols);
    let elements = u64::from(x.rows) * u64::from(x.cols);
    let workgroup = 32u32.next_multiple_of(r.target().subgroup);
    let subgroups = workgroup / r.target().subgroup;
    let workgroups = [x.rows.div_ceil(subgroups).min(r.target().max_workgroups), 1, 1];
    let op = r.push(Dispatch {
        kernel: &KERNEL,
        format: None,
        constants: Constants::new()
            .u32("WORKGROUP", workgroup)
            .u32("VECTORS", x.cols / 4)
            .bool("RESIDUAL", residual.is_some())
            .f32("EPS", eps),
        operands: &[gain.into(), x.into(), residual.unwrap_or(x).into(), y.into()],
        workgroups,
        cost: Cost { activation_bytes: 8 * elements, flops: 4 * elements, ..Cost::default() },
    });
    if residual.is_some() {
        op.name = "rms_norm+add";
    }
    y
}

fn cpu(t: &mut Twin<'_>) {
    let (cols, eps) = (t.u32("VECTORS") * 4, t.f32("EPS"));
    let residual = t.bool("RESIDUAL");
    let (gain, x, added) = (t.floats(0), t.floats(1), t.floats(2));
    let y = t.take_floats(3);
    for ((x, added), y) in x.chunks_exact(cols).zip(added.chunks_exact(cols)).zip(y.chunks_exact_mut(cols)) {
        let mean = x.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / cols as f64;
        let scale = (mean + eps).sqrt().recip();
        for (((y, &x), &gain), &added) in y.iter_mut().zip(x).zip(gain).zip(added) {
            let extra = if residual { f64::from(added) } else { 0.0 };
            *y = (f64::from(x) * scale * f64::from(gain) + extra) as f32;
        }
    }
}

/// The small deviation makes the epsilon weigh as much as the mean square.
fn cases(cases: &mut Cases) {
    for (rows, cols, deviation) in [(1, 4, 1.0), (3, 100, 0.003), (9, 576, 1.0), (2, 2048, 0.003), (70, 96, 1.0)] {
        cases.case(format!("{rows}x{cols} deviation {deviation}"), |c| {
            let x = c.normal(rows, cols, deviation);
            let gain = c.normal_buffer(cols, 1.0, 0.3);
            let residual = (rows % 3 == 0).then(|| c.normal(rows, cols, 1.0));
            let y = rms_norm(&mut c.recorder, x, gain, 1e-5, residual);
            c.check(y, Element::F32);
        });
    }
}
