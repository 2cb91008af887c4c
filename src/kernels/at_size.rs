//! Ops without weights at a model's size, where variants of their kernels are timed against each other.

use super::paged::{Heads, Scores};
use super::{attend_decode, attend_prefill, rms_norm, sample_scan, sampling};
use crate::graph::{Case, Cases, Element, Target};

/// What belongs together, and how plans that run it are recorded.
pub struct AtSize {
    /// What its kernels do together.
    pub op: &'static str,
    /// What these compute, by [`Kernel::op`](crate::graph::Kernel::op).
    pub kernels: &'static [&'static str],
    record: fn(&mut Cases, &Size),
}

impl AtSize {
    /// A plan with its inputs, for what the target chooses.
    pub fn case(&self, target: &Target) -> Case {
        let mut cases = Cases::new(target, &[], 0x512E, false);
        (self.record)(&mut cases, &Size::of(target));
        match cases.cases.pop() {
            Some(case) => case,
            None => panic!("{} records no case", self.op),
        }
    }
}

/// Sizes of a model of eight billion parameters; smaller ones for software drivers.
struct Size {
    heads: Heads,
    element: Element,
    /// Keys of a row that is decoded.
    keys: usize,
    /// Rows of a chunk.
    rows: u32,
    vocab: u32,
}

impl Size {
    fn of(target: &Target) -> Self {
        let heads = Heads { heads: 32, kv_heads: 8, head_dim: 128 };
        let element = if target.f16 { Element::F16 } else { Element::F32 };
        match target.software {
            true => Self { heads, element, keys: 512, rows: 32, vocab: 32_000 },
            false => Self { heads, element, keys: 4096, rows: 512, vocab: 128_256 },
        }
    }
}

/// Attention, the norm and sampling.
pub const AT_SIZE: &[AtSize] = &[
    AtSize { op: "attention, decoding", kernels: &["attend_decode", "attend_reduce"], record: decoding },
    AtSize { op: "attention, prompt", kernels: &["attend_prefill"], record: prompt },
    AtSize { op: "norm", kernels: &["rms_norm"], record: norm },
    AtSize {
        op: "sampling",
        kernels: &["sample_scan", "sample_best", "sample_histogram", "sample_narrow", "sample_mass", "sample_draw"],
        record: sampled,
    },
];

fn decoding(cases: &mut Cases, &Size { heads, element, keys, .. }: &Size) {
    cases.case(format!("32/8 heads of 128, 1 row, {keys} keys"), |c| {
        attend_decode::record(c, &heads, &Scores::plain(heads.head_dim), element, &[keys]);
    });
}

fn prompt(cases: &mut Cases, &Size { heads, element, rows, .. }: &Size) {
    cases.case(format!("32/8 heads of 128, {rows} rows, {} keys", 4 * rows), |c| {
        attend_prefill::record(c, &heads, &Scores::plain(heads.head_dim), element, 3 * rows..4 * rows);
    });
}

fn norm(cases: &mut Cases, &Size { rows, .. }: &Size) {
    cases.case(format!("{rows} × 4096"), |c| {
        let (x, residual) = (c.normal(rows, 4096, 1.0), c.normal(rows, 4096, 1.0));
        let gain = c.normal_buffer(4096, 1.0, 0.3);
        let y = rms_norm::rms_norm(&mut c.recorder, x, gain, 1e-5, Some(residual));
        c.check(y, Element::F32);
    });
}

fn sampled(cases: &mut Cases, &Size { vocab, .. }: &Size) {
    cases.case(format!("1 of {vocab}, top-k, top-p, penalties"), |c| {
        let state = sample_scan::case_state(c, 1, vocab);
        let logits = c.normal(1, vocab, 2.0);
        let all = sampling::Sampling { draw: true, top_k: true, top_p: true, penalties: true };
        sampling::sample(&mut c.recorder, logits, all, &state);
        c.check(state.rows, Element::U32);
    });
}
