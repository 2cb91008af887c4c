//! Picks the rows whose logits are wanted.

use super::{input, output, spread};
use crate::graph::{Cases, Constants, Cost, Dispatch, Element, Kernel, Recorder, Slice, Tensor, Tolerance, Twin};

pub(super) static KERNEL: Kernel = Kernel {
    name: "gather_rows",
    about: "picks rows by index",
    algorithm: None,
    wgsl: &[include_str!("../../wgsl/gather_rows.wgsl")],
    metal: None,
    bindings: &[input("picks"), input("x"), output("y")],
    cpu,
    cases,
    tolerance: Tolerance { nmse: 0.0, worst: 0.0 },
};

/// `y[o, :] = x[picks[o], :]`; `picks` holds one u32 per output, each below the rows of `x`.
pub fn gather_rows(r: &mut Recorder, x: Tensor, picks: Slice) -> Tensor {
    let outputs = (picks.bytes / 4) as u32;
    let y = r.tensor(outputs, x.cols);
    let workgroups = spread((outputs * x.cols / 4).div_ceil(64), r.target().max_workgroups);
    r.push(Dispatch {
        kernel: &KERNEL,
        format: None,
        constants: Constants::new().u32("VECTORS", x.cols / 4),
        operands: &[picks.into(), x.into(), y.into()],
        workgroups,
        cost: Cost { activation_bytes: 2 * y.bytes(), ..Cost::default() },
    });
    y
}

fn cpu(t: &mut Twin<'_>) {
    let cols = t.u32("VECTORS") * 4;
    let (picks, x) = (t.words(0), t.floats(1));
    let y = t.take_floats(2);
    for (&pick, y) in picks.iter().zip(y.chunks_exact_mut(cols)) {
        y.copy_from_slice(&x[pick as usize * cols..][..cols]);
    }
}

fn cases(cases: &mut Cases) {
    for (rows, cols, picks) in [(5, 96, vec![4]), (9, 32, vec![0, 8, 8, 3]), (3, 1024, vec![2, 1, 0])] {
        cases.case(format!("{} of {rows}x{cols}", picks.len()), |c| {
            let x = c.normal(rows, cols, 1.0);
            let picks = c.buffer::<u32>(&picks);
            let y = gather_rows(&mut c.recorder, x, picks);
            c.check(y, Element::F32);
        });
    }
}
