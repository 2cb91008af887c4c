//! Causal attention of a chunk of rows, in stretches of one sequence each.

use super::paged::{self, Heads, Pages, Scores};
use super::variants::pick;
use super::{THREADGROUP_MEMORY, input, output, weight};
use crate::graph::{Algorithm, Binding, Cases, Constants, Cost, Dispatch, Element, Kernel, Metal, Op, Recorder, Slice, Tensor, Tolerance, Twin, Value};
use rayon::prelude::*;

/// Rows of a tile, all of one sequence.
pub const QUERIES: u32 = 16;
/// Keys of a tile, and threads that share it.
const KEYS: u32 = 64;
const WORKGROUP: u32 = 64;

pub(super) static KERNEL: Kernel = Kernel {
    name: "attend_prefill",
    about: "causal attention of a chunk over pages, in tiles with a running maximum",
    algorithm: Some(Algorithm { of: "attend_prefill", name: "online" }),
    wgsl: &[
        include_str!("../../wgsl/lib/kv.wgsl"),
        include_str!("../../wgsl/lib/total.wgsl"),
        include_str!("../../wgsl/lib/softcap.wgsl"),
        include_str!("../../wgsl/lib/attend_chunk.wgsl"),
        include_str!("../../wgsl/attend_prefill.wgsl"),
    ],
    metal: Some(Metal {
        pieces: &[
            include_str!("../../msl/lib/softcap.metal"),
            include_str!("../../msl/attend_prefill.metal"),
        ],
        takes: fits,
        tolerance: Tolerance { nmse: 1e-12, worst: 2e-5 },
    }),
    bindings: BINDINGS,
    cpu,
    cases: |c| cases(c, &KERNEL),
    tolerance: Tolerance { nmse: 1e-12, worst: 2e-5 },
};

pub(super) const BINDINGS: &[Binding] =
    &[input("rows"), weight("pages"), input("q"), input("keys"), input("values"), output("y")];

/// Whether the override can: heads of whole eights, and what its threadgroup keeps fits.
fn fits(op: &Op) -> bool {
    let Value::U32(head_dim) = op.constants.get("HEAD_DIM") else { return false };
    let (queries, tail) = (QUERIES * head_dim, 8 * head_dim);
    head_dim.is_multiple_of(8) && 4 * (queries + tail + QUERIES * KEYS + 128) <= THREADGROUP_MEMORY
}

/// Attention of each row of `q` (`[tokens, heads head_dim]`) over its sequence's keys up to its own position.
///
/// `rows` holds 16 bytes per row: token, position, sequence, nothing. Each [`QUERIES`] rows, counted from the first, belong to one
/// sequence, and their positions ascend.
pub fn attend_prefill(
    r: &mut Recorder,
    q: Tensor,
    rows: Slice,
    heads: &Heads,
    scores: &Scores,
    pages: &Pages,
) -> Tensor {
    assert_eq!((u64::from(q.rows) * 16, q.cols), (rows.bytes, heads.query_cols()), "attend_prefill: shape of q");
    let y = r.tensor(q.rows, q.cols);
    let constants = Constants::new()
        .u32("WORKGROUP", WORKGROUP)
        .u32("QUERIES", QUERIES)
        .u32("KEYS", KEYS)
        .u32("HEADS", heads.heads)
        .u32("GROUP", heads.group())
        .u32("HEAD_DIM", heads.head_dim);
    let constants = scores.constants(constants);
    let pairs = u64::from(q.rows) * (u64::from(q.rows) + 1) / 2;
    r.push(Dispatch {
        kernel: pick(r.target(), &KERNEL, None),
        format: None,
        constants: pages.constants(constants),
        operands: &[rows.into(), pages.table.into(), q.into(), pages.keys.into(), pages.values.into(), y.into()],
        workgroups: [heads.heads, q.rows.div_ceil(QUERIES), 1],
        cost: Cost {
            kv_bytes: 2 * u64::from(q.rows) * heads.key_bytes(pages.element),
            activation_bytes: q.bytes() + y.bytes(),
            // The chunk against itself; what lies before it is not known when the plan is made.
            flops: 4 * pairs * u64::from(heads.query_cols()),
            weight_bytes: 0,
        },
    });
    y
}

pub(super) fn cpu(t: &mut Twin<'_>) {
    let (heads, group, head_dim, scores) = (t.u32("HEADS"), t.u32("GROUP"), t.u32("HEAD_DIM"), Scores::of(t));
    let (half, max_pages) = (t.bool("HALF_KV"), t.u32("MAX_PAGES"));
    let shape = Heads { heads: heads as u32, kv_heads: (heads / group) as u32, head_dim: head_dim as u32 };
    let (rows, table, q, keys, values) = (t.words(0), t.words(1), t.floats(2), t.bytes(3), t.bytes(4));
    let y = t.take_floats(5);
    y.par_chunks_exact_mut(head_dim).enumerate().for_each(|(index, y)| {
        let (token, head) = (index / heads, index % heads);
        let row = &rows[token * 4..][..4];
        let query = &q[index * head_dim..][..head_dim];
        let at = |position| paged::place(table, max_pages, row[2], position, head / group, &shape);
        let seen = scores.first(row[1] as usize)..row[1] as usize + 1;
        let found: Vec<f64> = seen
            .clone()
            .map(|position| {
                let start = at(position);
                let dot: f64 =
                    query.iter().enumerate().map(|(i, &q)| f64::from(q) * paged::load(keys, half, start + i)).sum();
                scores.score(dot)
            })
            .collect();
        let peak = found.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = found.iter().map(|s| (s - peak).exp()).sum();
        let mut out = vec![0.0; head_dim];
        for (position, score) in seen.zip(&found) {
            let (start, weight) = (at(position), (score - peak).exp() / sum);
            for (i, out) in out.iter_mut().enumerate() {
                *out += weight * paged::load(values, half, start + i);
            }
        }
        for (y, value) in y.iter_mut().zip(out) {
            *y = value as f32;
        }
    });
}

/// Chunks that start a sequence and chunks that go on with one; tails of tiles, pages and tiles of keys.
pub(super) fn cases(cases: &mut Cases, kernel: &'static Kernel) {
    let shapes = [(1, 1, 4), (4, 2, 16), (9, 3, 64), (4, 1, 32), (2, 2, 80), (4, 2, 128)];
    for (s, &(heads, kv_heads, head_dim)) in shapes.iter().enumerate() {
        for (e, element) in [Element::F32, Element::F16].into_iter().enumerate() {
            for (l, (start, tokens)) in [(0u32, 9u32), (50, 21), (63, 70), (130, 16)].into_iter().enumerate() {
                if !cases.full() && (s + e + l) % 2 == 1 {
                    continue;
                }
                let label = format!("{heads}/{kv_heads} heads of {head_dim}, {element:?}, {tokens} rows from {start}");
                let heads = Heads { heads, kv_heads, head_dim };
                cases.case(label, |c| {
                    c.recorder.choose(kernel);
                    record(c, &heads, &Scores::plain(head_dim), element, start..start + tokens);
                });
            }
        }
    }
    let heads = Heads { heads: 4, kv_heads: 2, head_dim: 16 };
    cases.case("stretches of two sequences", |c| {
        c.recorder.choose(kernel);
        stretches(c, &heads);
    });
    for (window, cap) in [(Some(1), None), (Some(20), None), (Some(70), Some(2.0)), (None, Some(5.0))] {
        let scores = Scores { scale: 0.3, cap, window };
        cases.case(format!("{scores:?}"), |c| {
            c.recorder.choose(kernel);
            record(c, &heads, &scores, Element::F32, 100..170);
        });
    }
}

/// Two sequences in one chunk. The first does not fill its tile: its last row stands there again and again.
fn stretches(c: &mut crate::graph::CaseRecorder, heads: &Heads) {
    let pages = paged::case_pages(c, heads, Element::F16, &[45, 90]);
    let first = (30..41).chain(std::iter::repeat_n(40, 5)).map(|position| [0, position, 0, 0]);
    let second = (60..81).map(|position| [0, position, 1, 0]);
    let rows: Vec<[u32; 4]> = first.chain(second).collect();
    let q = c.normal(rows.len() as u32, heads.query_cols(), 2.0);
    let rows = c.buffer(rows.as_flattened());
    let y = attend_prefill(&mut c.recorder, q, rows, heads, &Scores::plain(heads.head_dim), &pages);
    c.check(y, Element::F32);
}

pub(super) fn record(
    c: &mut crate::graph::CaseRecorder,
    heads: &Heads,
    scores: &Scores,
    element: Element,
    positions: std::ops::Range<u32>,
) {
    let pages = paged::case_pages(c, heads, element, &[3, positions.end as usize]);
    let rows: Vec<u32> = positions.clone().flat_map(|position| [0, position, 1, 0]).collect();
    let rows = c.buffer(&rows);
    let q = c.normal(positions.len() as u32, heads.query_cols(), 2.0);
    let y = attend_prefill(&mut c.recorder, q, rows, heads, scores, &pages);
    c.check(y, Element::F32);
}
