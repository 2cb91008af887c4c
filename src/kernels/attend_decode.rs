//! Attention of single rows: the first of two passes when the keys are split.

use super::attend_decode_online as online;
use super::attend_reduce::attend_reduce;
use super::paged::{self, Heads, Pages, Scores};
use super::variants::pick;
use super::{THREADGROUP_MEMORY, input, output, weight};
use crate::graph::{Algorithm, Binding, Cases, Constants, Cost, Dispatch, Element, Kernel, KeyBucket, Metal, Op, Recorder, Slice, Tensor, Tolerance, Twin, Value};

/// Keys per split. Fixed, so that a sequence is summed in the same order whatever stands beside it.
pub const SPLIT: u32 = 128;

pub(super) static KERNEL: Kernel = Kernel {
    name: "attend_decode",
    about: "attention of single rows over pages, split over keys, whose scores are kept",
    algorithm: Some(Algorithm { of: "attend_decode", name: "two-pass" }),
    wgsl: &[
        include_str!("../../wgsl/lib/kv.wgsl"),
        include_str!("../../wgsl/lib/total.wgsl"),
        include_str!("../../wgsl/lib/softcap.wgsl"),
        include_str!("../../wgsl/lib/attend_row.wgsl"),
        include_str!("../../wgsl/attend_decode.wgsl"),
    ],
    metal: Some(Metal {
        pieces: &[
            include_str!("../../msl/lib/kv.metal"),
            include_str!("../../msl/lib/total.metal"),
            include_str!("../../msl/lib/softcap.metal"),
            include_str!("../../msl/attend_decode.metal"),
        ],
        takes: fits,
        tolerance: Tolerance { nmse: 1e-12, worst: 2e-5 },
    }),
    bindings: BINDINGS,
    cpu,
    cases: |c| cases(c, &KERNEL),
    tolerance: Tolerance { nmse: 1e-12, worst: 2e-5 },
};

pub(super) const BINDINGS: &[Binding] = &[
    input("rows"),
    weight("pages"),
    input("q"),
    input("keys"),
    input("values"),
    output("parts"),
    output("peaks"),
];

/// Whether the override's memory of a threadgroup holds the op.
fn fits(op: &Op) -> bool {
    let [group, head_dim, streams] = ["GROUP", "HEAD_DIM", "STREAMS"].map(|name| match op.constants.get(name) {
        Value::U32(value) => value,
        other => panic!("{name} is {other:?}"),
    });
    let (queries, partial, scores) = (group * head_dim, streams * group * head_dim, group * SPLIT);
    4 * (queries + partial + scores + 2 * group) <= THREADGROUP_MEMORY
}

/// Attention of each row of `q` (`[tokens, heads head_dim]`) over its sequence's keys up to its own position.
///
/// `rows` holds 16 bytes per row: token, position, sequence, nothing. `splits` bounds the positions: all lie below
/// `splits * SPLIT`. The result has the shape of `q`.
pub fn attend_decode(
    r: &mut Recorder,
    q: Tensor,
    rows: Slice,
    heads: &Heads,
    scores: &Scores,
    pages: &Pages,
    splits: u32,
) -> Tensor {
    // A window touches one split more than it fills, because splits begin where they begin.
    let splits = scores.window.map_or(splits, |window| splits.min(window.div_ceil(SPLIT) + 1));
    assert_eq!((u64::from(q.rows) * 16, q.cols), (rows.bytes, heads.query_cols()), "attend_decode: shape of q");
    let parts = r.tensor(q.rows, q.cols * splits);
    let peaks = r.tensor(q.rows, heads.heads * splits * 2);
    let streams = if r.target().software { 1 } else { (64 / (heads.head_dim / 4)).max(1) };
    // Whole subgroups: a driver was seen to count a partly filled one as none (lavapipe, Mesa 22.3).
    let constants = Constants::new()
        .u32("KV_HEADS", heads.kv_heads)
        .u32("GROUP", heads.group())
        .u32("HEAD_DIM", heads.head_dim)
        .u32("SPLIT", SPLIT)
        .bool("SHARED", splits > 1)
        .u32("STREAMS", streams)
        .u32("WORKGROUP", (heads.head_dim / 4 * streams).next_multiple_of(r.target().subgroup));
    let kernel = pick(r.target(), &KERNEL, None);
    let constants = if kernel.name == KERNEL.name { constants } else { online::constants(constants) };
    let constants = scores.constants(constants);
    let keys = u64::from(q.rows) * u64::from(splits * SPLIT);
    let op = r.push(Dispatch {
        kernel,
        format: None,
        constants: pages.constants(constants),
        operands: &[
            rows.into(),
            pages.table.into(),
            q.into(),
            pages.keys.into(),
            pages.values.into(),
            parts.into(),
            peaks.into(),
        ],
        workgroups: [heads.kv_heads, splits, q.rows],
        cost: Cost {
            kv_bytes: 2 * keys * heads.key_bytes(pages.element),
            activation_bytes: q.bytes() + parts.bytes(),
            flops: 4 * keys * u64::from(heads.query_cols()),
            weight_bytes: 0,
        },
    });
    op.keys = Some(KeyBucket { positions: splits * SPLIT, window: scores.window });
    if splits == 1 { parts } else { attend_reduce(r, parts, peaks, rows, heads, scores) }
}

pub(super) fn cpu(t: &mut Twin<'_>) {
    let (kv_heads, group, head_dim) = (t.u32("KV_HEADS"), t.u32("GROUP"), t.u32("HEAD_DIM"));
    let (split, shared, scores) = (t.u32("SPLIT"), t.bool("SHARED"), Scores::of(t));
    let splits = t.workgroups()[1] as usize;
    let (half, max_pages) = (t.bool("HALF_KV"), t.u32("MAX_PAGES"));
    let shape = Heads { heads: (kv_heads * group) as u32, kv_heads: kv_heads as u32, head_dim: head_dim as u32 };
    let (rows, table, q, keys, values) = (t.words(0), t.words(1), t.floats(2), t.bytes(3), t.bytes(4));
    let (parts, peaks) = (t.take_floats(5), t.take_floats(6));
    for (token, row) in rows.chunks_exact(4).enumerate() {
        let count = row[1] as usize + 1;
        let seen = scores.first(row[1] as usize);
        for head in 0..kv_heads * group {
            let at = |position| paged::place(table, max_pages, row[2], position, head / group, &shape);
            let query = &q[(token * kv_heads * group + head) * head_dim..][..head_dim];
            for part in seen / split..count.div_ceil(split) {
                let range = seen.max(part * split)..count.min((part + 1) * split);
                let score = |position| -> f64 {
                    let start = at(position);
                    let dot: f64 =
                        query.iter().enumerate().map(|(i, &q)| f64::from(q) * paged::load(keys, half, start + i)).sum();
                    scores.score(dot)
                };
                let found: Vec<f64> = range.clone().map(score).collect();
                let peak = found.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = found.iter().map(|s| (s - peak).exp()).sum();
                let mut out = vec![0.0; head_dim];
                for (position, score) in range.zip(&found) {
                    let (start, weight) = (at(position), (score - peak).exp());
                    for (i, out) in out.iter_mut().enumerate() {
                        *out += weight * paged::load(values, half, start + i);
                    }
                }
                let slot = (token * kv_heads * group + head) * splits + part - seen / split;
                let divisor = if shared { 1.0 } else { sum };
                for (i, value) in out.iter().enumerate() {
                    parts[slot * head_dim + i] = (value / divisor) as f32;
                }
                peaks[slot * 2] = peak as f32;
                peaks[slot * 2 + 1] = sum as f32;
            }
        }
    }
}

/// Lengths stand on and beside the borders of pages and splits; rows of one dispatch differ in length and sequence.
pub(super) fn cases(cases: &mut Cases, kernel: &'static Kernel) {
    let shapes = [(1, 1, 4), (4, 2, 16), (9, 3, 64), (6, 2, 20), (4, 1, 32), (8, 8, 80), (8, 2, 128)];
    for (s, &(heads, kv_heads, head_dim)) in shapes.iter().enumerate() {
        for (e, element) in [Element::F32, Element::F16].into_iter().enumerate() {
            for (l, lengths) in [vec![1], vec![128, 33], vec![129, 5, 300]].into_iter().enumerate() {
                if !cases.full() && (s + e + l) % 2 == 1 {
                    continue;
                }
                let label = format!("{heads}/{kv_heads} heads of {head_dim}, {element:?}, lengths {lengths:?}");
                let heads = Heads { heads, kv_heads, head_dim };
                cases.case(label, |c| {
                    c.recorder.choose(kernel);
                    record(c, &heads, &Scores::plain(head_dim), element, &lengths);
                });
            }
        }
    }
    let heads = Heads { heads: 4, kv_heads: 2, head_dim: 16 };
    for (window, cap) in [(Some(1), None), (Some(100), None), (Some(200), Some(2.0)), (None, Some(5.0))] {
        let scores = Scores { scale: 0.3, cap, window };
        cases.case(format!("{scores:?}"), |c| {
            c.recorder.choose(kernel);
            record(c, &heads, &scores, Element::F32, &[129, 5, 300, 128]);
        });
    }
}

pub(super) fn record(
    c: &mut crate::graph::CaseRecorder,
    heads: &Heads,
    scores: &Scores,
    element: Element,
    lengths: &[usize],
) {
    let pages = paged::case_pages(c, heads, element, lengths);
    let rows: Vec<u32> =
        lengths.iter().enumerate().flat_map(|(s, &length)| [0, length as u32 - 1, s as u32, 0]).collect();
    let rows = c.buffer(&rows);
    let q = c.normal(lengths.len() as u32, heads.query_cols(), 2.0);
    let longest = lengths.iter().copied().max().unwrap_or(1) as u32;
    let splits = longest.div_ceil(SPLIT).next_power_of_two();
    let y = attend_decode(&mut c.recorder, q, rows, heads, scores, &pages, splits);
    c.check(y, Element::F32);
}
