//! What the log-probability of one token per row is made of.

use super::{input, output, spread, weight};
use crate::graph::{Cases, Constants, Cost, Dispatch, Element, Kernel, Recorder, Slice, Tensor, Tolerance, Twin};

/// Threads that share a row.
const WORKGROUP: u32 = 256;

pub(super) static KERNEL: Kernel = Kernel {
    name: "log_prob",
    about: "logit of one token per row, with the largest and the sum of exponentials",
    algorithm: None,
    wgsl: &[include_str!("../../wgsl/log_prob.wgsl")],
    metal: None,
    bindings: &[weight("wanted"), input("logits"), output("y"), output("best")],
    cpu,
    cases,
    tolerance: Tolerance { nmse: 9e-15, worst: 1e-6 },
};

/// For each row of `logits` (`[rows, vocab]`) and the token that `wanted` (one u32 per row) names: `[rows, 3]` of its logit, the
/// largest logit and the sum of `exp(logit - largest)`; and `[rows, 1]` u32, the lowest token that has the largest logit.
///
/// log p is logit − largest − ln(sum), which whoever reads it computes in f64. Where a logit is not a number, or none is finite, the
/// sum is not a positive number.
pub fn log_prob(r: &mut Recorder, logits: Tensor, wanted: Slice) -> (Tensor, Tensor) {
    assert_eq!(wanted.bytes, u64::from(logits.rows) * 4, "log_prob: one token for each of {} rows", logits.rows);
    let (y, best) = (r.tensor(logits.rows, 3), r.tensor(logits.rows, 1));
    let elements = u64::from(logits.rows) * u64::from(logits.cols);
    let workgroups = spread(logits.rows, r.target().max_workgroups);
    r.push(Dispatch {
        kernel: &KERNEL,
        format: None,
        constants: Constants::new().u32("WORKGROUP", WORKGROUP).u32("VOCAB", logits.cols),
        operands: &[wanted.into(), logits.into(), y.into(), best.into()],
        workgroups,
        cost: Cost { activation_bytes: 4 * elements, flops: 3 * elements, ..Cost::default() },
    });
    (y, best)
}

fn cpu(t: &mut Twin<'_>) {
    let vocab = t.u32("VOCAB");
    let (wanted, logits) = (t.words(0), t.floats(1));
    let (y, tokens) = (t.take_floats(2), t.take_words(3));
    let rows = wanted.iter().zip(logits.chunks_exact(vocab));
    for (((&token, row), y), chosen) in rows.zip(y.chunks_exact_mut(3)).zip(tokens) {
        let mut best = (f32::MIN, u32::MAX);
        for (&x, index) in row.iter().zip(0..) {
            if x > best.0 {
                best = (x, index);
            }
        }
        let sum: f64 = row.iter().map(|&x| (f64::from(x) - f64::from(best.0)).exp()).sum();
        y.copy_from_slice(&[row[token as usize], best.0, sum as f32]);
        *chosen = best.1;
    }
}

/// Rows shorter than a workgroup, longer, and no multiple of one; logits far from zero; equal best ones.
fn cases(cases: &mut Cases) {
    for (rows, vocab, mean, ties) in [(1, 5, 0.0, false), (3, 256, 80.0, true), (70, 1000, -200.0, false), (2, 49_153, 3.0, true)] {
        cases.case(format!("{rows} of {vocab} around {mean}, ties {ties}"), |c| {
            let mut values: Vec<f32> = (0..rows * vocab).map(|_| mean + 4.0 * c.rng.normal()).collect();
            let wanted: Vec<u32> = (0..rows).map(|_| c.rng.below(vocab)).collect();
            if ties {
                for row in values.chunks_exact_mut(vocab as usize) {
                    let peak = row.iter().copied().fold(f32::MIN, f32::max) + 0.5;
                    // One after the other in a thread, and in different threads: the first one counts.
                    for at in [vocab - 1, vocab / 2, vocab / 3] {
                        row[at as usize] = peak;
                    }
                }
            }
            let logits = c.input(rows, vocab, &values);
            let wanted = c.buffer(&wanted);
            let (y, best) = log_prob(&mut c.recorder, logits, wanted);
            c.check(y, Element::F32);
            c.check(best, Element::U32);
        });
    }
}
