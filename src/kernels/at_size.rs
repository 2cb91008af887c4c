//! Ops without weights at a model's size, where variants of their kernels are timed against each other.

use super::paged::{Heads, Scores};
use super::{attend_decode, attend_prefill, rms_norm, sample_scan, sampling};
use crate::graph::{Case, Cases, Element, Target};

/// Kernels that belong together, and a plan that runs them.
pub struct AtSize {
    /// What they do together.
    pub op: &'static str,
    /// Which kernels these are.
    pub kernels: &'static [&'static str],
    /// The plan, with its inputs.
    pub case: Case,
}

/// Attention, the norm and sampling as a model of eight billion parameters has them; smaller ones for software drivers.
pub fn at_size(target: &Target) -> Vec<AtSize> {
    let small = target.software;
    let element = if target.f16 { Element::F16 } else { Element::F32 };
    let heads = Heads { heads: 32, kv_heads: 8, head_dim: 128 };
    let scores = Scores::plain(heads.head_dim);
    let mut cases = Cases::new(target, &[], 0x512E, false);
    let keys = if small { 512 } else { 4096 };
    cases.case(format!("32/8 heads of 128, 1 row, {keys} keys"), |c| {
        attend_decode::record(c, &heads, &scores, element, &[keys]);
    });
    let rows: u32 = if small { 32 } else { 512 };
    cases.case(format!("32/8 heads of 128, {rows} rows, {} keys", 4 * rows), |c| {
        attend_prefill::record(c, &heads, &scores, element, 3 * rows..4 * rows);
    });
    cases.case(format!("{rows} × 4096"), |c| {
        let (x, residual) = (c.normal(rows, 4096, 1.0), c.normal(rows, 4096, 1.0));
        let gain = c.normal_buffer(4096, 1.0, 0.3);
        let y = rms_norm::rms_norm(&mut c.recorder, x, gain, 1e-5, Some(residual));
        c.check(y, Element::F32);
    });
    let vocab = if small { 32_000 } else { 128_256 };
    cases.case(format!("1 of {vocab}, top-k, top-p, penalties"), |c| {
        let state = sample_scan::case_state(c, 1, vocab);
        let logits = c.normal(1, vocab, 2.0);
        let all = sampling::Sampling { draw: true, top_k: true, top_p: true, penalties: true };
        sampling::sample(&mut c.recorder, logits, all, &state);
        c.check(state.rows, Element::U32);
    });
    let kinds: [(&str, &[&str]); 4] = [
        ("attention, decoding", &["attend_decode", "attend_reduce"]),
        ("attention, prompt", &["attend_prefill"]),
        ("norm", &["rms_norm"]),
        (
            "sampling",
            &["sample_scan", "sample_best", "sample_histogram", "sample_narrow", "sample_mass", "sample_draw"],
        ),
    ];
    kinds.into_iter().zip(cases.cases).map(|((op, kernels), case)| AtSize { op, kernels, case }).collect()
}
