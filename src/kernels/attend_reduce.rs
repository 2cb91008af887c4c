//! The second pass of decode attention: joins the splits.

use super::paged::{Heads, Scores};
use super::{attend_decode, input, output};
use crate::graph::{Cases, Constants, Cost, Dispatch, Element, Kernel, Metal, Recorder, Slice, Tensor, Tolerance, Twin};

pub(super) static KERNEL: Kernel = Kernel {
    name: "attend_reduce",
    about: "joins the splits of decode attention",
    algorithm: None,
    wgsl: &[include_str!("../../wgsl/attend_reduce.wgsl")],
    metal: Some(Metal {
        pieces: &[
            include_str!("../../msl/attend_reduce.metal"),
        ],
        takes: |_| true,
        tolerance: Tolerance { nmse: 4e-14, worst: 2e-5 },
    }),
    bindings: &[input("rows"), input("parts"), input("peaks"), output("y")],
    cpu,
    cases,
    tolerance: Tolerance { nmse: 4e-14, worst: 2e-5 },
};

/// Joins `parts` (`[tokens, heads splits head_dim]`), whose maxima and sums are `peaks` (`[tokens, heads splits 2]`), into
/// `[tokens, heads head_dim]`.
pub(super) fn attend_reduce(
    r: &mut Recorder,
    parts: Tensor,
    peaks: Tensor,
    rows: Slice,
    heads: &Heads,
    scores: &Scores,
) -> Tensor {
    let y = r.tensor(parts.rows, heads.query_cols());
    r.push(Dispatch {
        kernel: &KERNEL,
        format: None,
        constants: Constants::new()
            .u32("WORKGROUP", heads.head_dim / 4)
            .u32("HEADS", heads.heads)
            .u32("HEAD_DIM", heads.head_dim)
            .u32("SPLIT", attend_decode::SPLIT)
            .u32("WINDOW", scores.reach()),
        operands: &[rows.into(), parts.into(), peaks.into(), y.into()],
        workgroups: [heads.heads, parts.rows, 1],
        cost: Cost {
            activation_bytes: parts.bytes() + peaks.bytes() + y.bytes(),
            flops: 2 * u64::from(parts.rows) * u64::from(parts.cols),
            ..Cost::default()
        },
    });
    y
}

fn cpu(t: &mut Twin<'_>) {
    let (heads, head_dim, split) = (t.u32("HEADS"), t.u32("HEAD_DIM"), t.u32("SPLIT"));
    let window = t.u32("WINDOW");
    let (rows, parts, peaks) = (t.words(0), t.floats(1), t.floats(2));
    let y = t.take_floats(3);
    let splits = peaks.len() / 2 / heads / (rows.len() / 4);
    for (token, row) in rows.chunks_exact(4).enumerate() {
        let seen = (row[1] as usize + 1).saturating_sub(window);
        let live = row[1] as usize / split + 1 - seen / split;
        for head in 0..heads {
            let slot = (token * heads + head) * splits;
            let peak = (0..live).map(|s| f64::from(peaks[(slot + s) * 2])).fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = (0..live).map(|s| (f64::from(peaks[(slot + s) * 2]) - peak).exp()).collect();
            let sum: f64 = weights.iter().enumerate().map(|(s, w)| w * f64::from(peaks[(slot + s) * 2 + 1])).sum();
            for i in 0..head_dim {
                let total: f64 =
                    weights.iter().enumerate().map(|(s, w)| w * f64::from(parts[(slot + s) * head_dim + i])).sum();
                y[(token * heads + head) * head_dim + i] = (total / sum) as f32;
            }
        }
    }
}

fn cases(cases: &mut Cases) {
    let shapes = [(4, 16, vec![129], 2, None), (3, 64, vec![700, 5, 512], 8, None), (3, 64, vec![700, 5, 512], 3, Some(130))];
    for (heads, head_dim, lengths, splits, window) in shapes {
        cases.case(format!("{heads} heads of {head_dim}, lengths {lengths:?}, window {window:?}"), |c| {
            let shape = Heads { heads, kv_heads: heads, head_dim };
            let rows: Vec<u32> = lengths.iter().flat_map(|&length: &u32| [0, length - 1, 0, 0]).collect();
            let rows = c.buffer(&rows);
            let tokens = lengths.len() as u32;
            let parts = c.normal(tokens, heads * splits * head_dim, 3.0);
            // Sums of at least one, as a softmax has them; maxima so far apart that only the largest may be subtracted.
            let pairs: Vec<f32> = (0..tokens * heads * splits)
                .flat_map(|_| [c.rng.normal() * if splits == 2 { 3.0 } else { 60.0 }, 1.0 + c.rng.normal().abs() * 9.0])
                .collect();
            let peaks = c.input(tokens, heads * splits * 2, &pairs);
            let y = attend_reduce(&mut c.recorder, parts, peaks, rows, &shape, &Scores { window, ..Scores::plain(head_dim) });
            c.check(y, Element::F32);
        });
    }
}
