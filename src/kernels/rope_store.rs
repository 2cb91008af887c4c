//! Rotary positions for queries and keys, and keys and values into their pages.

use super::paged::{self, Heads, PAGE, Pages};
use super::{input, output, spread, update, weight};
use crate::graph::{Cases, Constants, Cost, Dispatch, Element, Kernel, Recorder, Slice, Tensor, Tolerance, Twin};

pub(super) static KERNEL: Kernel = Kernel {
    name: "rope_store",
    about: "rotary positions; keys and values into their pages",
    wgsl: &[include_str!("../../wgsl/lib/rotary.wgsl"), include_str!("../../wgsl/rope_store.wgsl")],
    bindings: &[
        weight("frequencies"),
        input("rows"),
        weight("pages"),
        input("qkv"),
        output("q"),
        update("keys"),
        update("values"),
    ],
    cpu,
    cases,
    tolerance: Tolerance { nmse: 1e-12, worst: 1e-5 },
};

/// How heads are rotated.
#[derive(Clone, Copy, Debug)]
pub struct Rotary {
    /// Radians per position of each pair: f32, one per pair.
    pub frequencies: Slice,
    /// Pairs are neighbours (2i, 2i + 1) instead of halves (i, i + n / 2).
    pub interleaved: bool,
}

/// Rotates queries and keys of `qkv` (`[tokens, (heads + 2 kv_heads) head_dim]`) by the positions in `rows` (16 bytes per row:
/// token, position, sequence, nothing) and stores keys and values: the rotated queries `[tokens, heads head_dim]`.
pub fn rope_store(r: &mut Recorder, qkv: Tensor, rows: Slice, rotary: Rotary, heads: &Heads, pages: &Pages) -> Tensor {
    let tokens = (rows.bytes / 16) as u32;
    assert_eq!((qkv.rows, qkv.cols), (tokens, heads.qkv_cols()), "rope_store: shape of qkv");
    let q = r.tensor(tokens, heads.query_cols());
    let constants = Constants::new()
        .u32("HEADS", heads.heads)
        .u32("KV_HEADS", heads.kv_heads)
        .u32("HEAD_DIM", heads.head_dim)
        .u32("ROTARY", (rotary.frequencies.bytes / 2) as u32)
        .bool("INTERLEAVED", rotary.interleaved)
        .u32("PAGE", PAGE)
        .u32("MAX_PAGES", pages.max_pages)
        .element("KV", pages.element);
    let threads = tokens * heads.qkv_cols() / 2;
    let stored = 2 * u64::from(tokens) * heads.key_bytes(pages.element);
    let workgroups = spread(threads.div_ceil(64), r.target().max_workgroups);
    r.push(Dispatch {
        kernel: &KERNEL,
        format: None,
        constants,
        operands: &[
            rotary.frequencies.into(),
            rows.into(),
            pages.table.into(),
            qkv.into(),
            q.into(),
            pages.keys.into(),
            pages.values.into(),
        ],
        workgroups,
        cost: Cost {
            activation_bytes: qkv.bytes() + q.bytes(),
            kv_bytes: stored,
            flops: 6 * u64::from(threads),
            weight_bytes: 0,
        },
    });
    q
}

fn cpu(t: &mut Twin<'_>) {
    let (heads, kv_heads, head_dim) = (t.u32("HEADS"), t.u32("KV_HEADS"), t.u32("HEAD_DIM"));
    let shape = Heads { heads: heads as u32, kv_heads: kv_heads as u32, head_dim: head_dim as u32 };
    let (rotary, interleaved, half) = (t.u32("ROTARY"), t.bool("INTERLEAVED"), t.is_f16("KV"));
    let max_pages = t.u32("MAX_PAGES");
    let (frequencies, rows, table, qkv) = (t.floats(0), t.words(1), t.words(2), t.floats(3));
    let (q, keys, values) = (t.take_floats(4), t.take_bytes(5), t.take_bytes(6));
    let all = heads + 2 * kv_heads;
    for (token, row) in rows.chunks_exact(4).enumerate() {
        let (position, sequence) = (row[1], row[2]);
        for head in 0..all {
            let source = &qkv[(token * all + head) * head_dim..][..head_dim];
            let mut out: Vec<f64> = source.iter().map(|&v| f64::from(v)).collect();
            if head < heads + kv_heads {
                for (pair, frequency) in frequencies.iter().enumerate() {
                    let (a, b) = if interleaved { (2 * pair, 2 * pair + 1) } else { (pair, pair + rotary / 2) };
                    // The angle is a single-precision product in every engine; only what follows is exact here.
                    let angle = f64::from(position as f32 * frequency);
                    let (x, y) = (f64::from(source[a]), f64::from(source[b]));
                    out[a] = x * angle.cos() - y * angle.sin();
                    out[b] = y * angle.cos() + x * angle.sin();
                }
            }
            if head < heads {
                for (i, value) in out.iter().enumerate() {
                    q[(token * heads + head) * head_dim + i] = *value as f32;
                }
                continue;
            }
            let at = paged::place(table, max_pages, sequence, position as usize, (head - heads) % kv_heads, &shape);
            let plane = if head < heads + kv_heads { &mut *keys } else { &mut *values };
            for (i, value) in out.iter().enumerate() {
                paged::save(plane, half, at + i, *value);
            }
        }
    }
}

/// Positions reach past the point where a sine without range reduction fails; frequencies past 1 stand for scaled ones.
fn cases(cases: &mut Cases) {
    let shapes = [(1, 1, 4, 4), (4, 2, 16, 16), (9, 3, 64, 64), (2, 1, 32, 16), (8, 8, 80, 80)];
    for (s, &(heads, kv_heads, head_dim, rotary)) in shapes.iter().enumerate() {
        for (e, element) in [Element::F32, Element::F16].into_iter().enumerate() {
            let interleaved = (s + e) % 2 == 0;
            let label = format!("{heads}/{kv_heads} heads of {head_dim}, {rotary} rotated, {element:?}, interleaved {interleaved}");
            cases.case(label, |c| {
                let heads = Heads { heads, kv_heads, head_dim };
                let pages = paged::case_pages(c, &heads, element, &[5, 70]);
                let far = PAGE * pages.max_pages - 1;
                let rows = [0, 0, 0, 0, 0, 5, 0, 0, 0, 69, 1, 0, 0, far, 1, 0];
                let rows = c.buffer::<u32>(&rows);
                let frequencies: Vec<f32> =
                    (0..rotary / 2).map(|i| 900.0 * 10000f32.powf(-2.0 * i as f32 / rotary as f32)).collect();
                let frequencies = c.buffer(&frequencies);
                let qkv = c.normal(4, heads.qkv_cols(), 1.0);
                let q = rope_store(&mut c.recorder, qkv, rows, Rotary { frequencies, interleaved }, &heads, &pages);
                c.check(q, Element::F32);
                c.check(pages.keys, element);
                c.check(pages.values, element);
            });
        }
    }
}
