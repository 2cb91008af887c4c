//! Rotary positions for queries and keys, and keys and values into their pages.

use super::paged::{self, Heads, PAGE, Pages};
use super::{input, output, spread, update, weight};
use crate::graph::{Cases, Constants, Cost, Dispatch, Element, Kernel, Recorder, Slice, Tensor, Tolerance, Twin};

pub(super) static KERNEL: Kernel = Kernel {
    name: "rope_store",
    about: "bias, norm and rotary positions of heads; keys and values into their pages",
    algorithm: None,
    wgsl: &[include_str!("../../wgsl/lib/rotary.wgsl"), include_str!("../../wgsl/rope_store.wgsl")],
    metal: None,
    bindings: &[
        weight("frequencies"),
        weight("bias"),
        weight("gains"),
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

/// What happens to heads before they are rotated.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadPrelude {
    /// Added to queries, keys and values: `[(heads + 2 kv_heads) head_dim]` f32.
    pub bias: Option<Slice>,
    /// RMS norm of each query and key head: the queries' gain over the keys', `[2 head_dim]` f32, and the epsilon.
    pub norm: Option<(Slice, f32)>,
}

/// Rotates queries and keys of `qkv` (`[tokens, (heads + 2 kv_heads) head_dim]`) by the positions in `rows` (16 bytes per row:
/// token, position, sequence, nothing), after what `prelude` says, and stores keys and values: the rotated queries
/// `[tokens, heads head_dim]`.
pub fn rope_store(
    r: &mut Recorder,
    qkv: Tensor,
    rows: Slice,
    prelude: HeadPrelude,
    rotary: Rotary,
    heads: &Heads,
    pages: &Pages,
) -> Tensor {
    let tokens = (rows.bytes / 16) as u32;
    assert_eq!((qkv.rows, qkv.cols), (tokens, heads.qkv_cols()), "rope_store: shape of qkv");
    let q = r.tensor(tokens, heads.query_cols());
    let pairs = heads.head_dim / 2;
    let all = tokens * (heads.heads + 2 * heads.kv_heads);
    // A norm needs a head's threads together; without one they are taken as they come.
    let workgroup = if prelude.norm.is_some() { pairs.next_multiple_of(r.target().subgroup) } else { 64 };
    let groups = if prelude.norm.is_some() { all } else { (all * pairs).div_ceil(64) };
    let constants = Constants::new()
        .u32("HEADS", heads.heads)
        .u32("KV_HEADS", heads.kv_heads)
        .u32("HEAD_DIM", heads.head_dim)
        .u32("ROTARY", (rotary.frequencies.bytes / 2) as u32)
        .bool("INTERLEAVED", rotary.interleaved)
        .bool("BIAS", prelude.bias.is_some())
        .bool("NORM", prelude.norm.is_some())
        .f32("EPS", prelude.norm.map_or(0.0, |(_, eps)| eps))
        .u32("WORKGROUP", workgroup)
        .u32("SUBGROUPS", workgroup.div_ceil(r.target().subgroup))
        .u32("PAGE", PAGE)
        .u32("MAX_PAGES", pages.max_pages)
        .element("KV", pages.element);
    let stored = 2 * u64::from(tokens) * heads.key_bytes(pages.element);
    let workgroups = spread(groups, r.target().max_workgroups);
    let bias = prelude.bias.unwrap_or(rotary.frequencies);
    let gains = prelude.norm.map_or(rotary.frequencies, |(gains, _)| gains);
    let op = r.push(Dispatch {
        kernel: &KERNEL,
        format: None,
        constants,
        operands: &[
            rotary.frequencies.into(),
            bias.into(),
            gains.into(),
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
            flops: 6 * u64::from(all * pairs),
            weight_bytes: 0,
        },
    });
    op.name = match (prelude.bias.is_some(), prelude.norm.is_some()) {
        (false, false) => "rope_store",
        (true, false) => "bias+rope_store",
        (false, true) => "rms_norm+rope_store",
        (true, true) => "bias+rms_norm+rope_store",
    };
    q
}

fn cpu(t: &mut Twin<'_>) {
    let (heads, kv_heads, head_dim) = (t.u32("HEADS"), t.u32("KV_HEADS"), t.u32("HEAD_DIM"));
    let shape = Heads { heads: heads as u32, kv_heads: kv_heads as u32, head_dim: head_dim as u32 };
    let (rotary, interleaved, half) = (t.u32("ROTARY"), t.bool("INTERLEAVED"), t.is_f16("KV"));
    let max_pages = t.u32("MAX_PAGES");
    let (biased, norm, eps) = (t.bool("BIAS"), t.bool("NORM"), t.f32("EPS"));
    let (frequencies, bias, gains) = (t.floats(0), t.floats(1), t.floats(2));
    let (rows, table, qkv) = (t.words(3), t.words(4), t.floats(5));
    let (q, keys, values) = (t.take_floats(6), t.take_bytes(7), t.take_bytes(8));
    let all = heads + 2 * kv_heads;
    for (token, row) in rows.chunks_exact(4).enumerate() {
        let (position, sequence) = (row[1], row[2]);
        for head in 0..all {
            let mut source: Vec<f64> =
                qkv[(token * all + head) * head_dim..][..head_dim].iter().map(|&v| f64::from(v)).collect();
            if biased {
                source.iter_mut().zip(&bias[head * head_dim..]).for_each(|(value, &bias)| *value += f64::from(bias));
            }
            if norm && head < heads + kv_heads {
                let mean = source.iter().map(|v| v * v).sum::<f64>() / head_dim as f64;
                let gains = if head < heads { &gains[..head_dim] } else { &gains[head_dim..2 * head_dim] };
                source.iter_mut().zip(gains).for_each(|(v, &gain)| *v *= f64::from(gain) / (mean + eps).sqrt());
            }
            let mut out = source.clone();
            if head < heads + kv_heads {
                for (pair, frequency) in frequencies.iter().enumerate() {
                    let (a, b) = if interleaved { (2 * pair, 2 * pair + 1) } else { (pair, pair + rotary / 2) };
                    // The angle is a single-precision product in every engine; only what follows is exact here.
                    let angle = f64::from(position as f32 * frequency);
                    let (x, y) = (source[a], source[b]);
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
            let (biased, norm) = (s % 2 == 1, (s + e) % 3 == 1);
            let label = format!(
                "{heads}/{kv_heads} heads of {head_dim}, {rotary} rotated, {element:?}, interleaved {interleaved}, bias \
                 {biased}, norm {norm}"
            );
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
                let prelude = HeadPrelude {
                    bias: biased.then(|| c.normal_buffer(heads.qkv_cols(), 0.0, 1.0)),
                    // The epsilon is of the size of the mean square, so that losing it shows.
                    norm: norm.then(|| (c.normal_buffer(2 * head_dim, 1.0, 0.3), 0.5)),
                };
                let rotary = Rotary { frequencies, interleaved };
                let q = rope_store(&mut c.recorder, qkv, rows, prelude, rotary, &heads, &pages);
                c.check(q, Element::F32);
                c.check(pages.keys, element);
                c.check(pages.values, element);
            });
        }
    }
}
