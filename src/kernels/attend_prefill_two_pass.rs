//! Attention of a chunk in two walks over its keys: the other way to do what [`attend_prefill`] does.

use super::attend_prefill::{self, BINDINGS};
use crate::graph::{Algorithm, Kernel, Tolerance};

pub(super) static KERNEL: Kernel = Kernel {
    name: "attend_prefill_two_pass",
    about: "causal attention of a chunk over pages, in tiles that are walked twice: for maxima, then for weights",
    algorithm: Some(Algorithm { of: "attend_prefill", name: "two-pass" }),
    wgsl: &[
        include_str!("../../wgsl/lib/kv.wgsl"),
        include_str!("../../wgsl/lib/total.wgsl"),
        include_str!("../../wgsl/lib/softcap.wgsl"),
        include_str!("../../wgsl/lib/attend_chunk.wgsl"),
        include_str!("../../wgsl/attend_prefill_two_pass.wgsl"),
    ],
    metal: None,
    bindings: BINDINGS,
    cpu: attend_prefill::cpu,
    cases: |c| attend_prefill::cases(c, &KERNEL),
    tolerance: Tolerance { nmse: 1e-12, worst: 2e-5 },
};
