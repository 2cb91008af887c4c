//! Attention of single rows with a running maximum: the other way to do what [`attend_decode`] does.

use super::attend_decode::{self, BINDINGS};
use crate::graph::{Algorithm, Constants, Kernel, Tolerance};

pub(super) static KERNEL: Kernel = Kernel {
    name: "attend_decode_online",
    about: "attention of single rows over pages, split over keys, in tiles with a running maximum",
    algorithm: Some(Algorithm { of: "attend_decode", name: "online" }),
    wgsl: &[
        include_str!("../../wgsl/lib/kv.wgsl"),
        include_str!("../../wgsl/lib/total.wgsl"),
        include_str!("../../wgsl/lib/softcap.wgsl"),
        include_str!("../../wgsl/lib/attend_row.wgsl"),
        include_str!("../../wgsl/attend_decode_online.wgsl"),
    ],
    metal: None,
    bindings: BINDINGS,
    cpu: attend_decode::cpu,
    cases: |c| attend_decode::cases(c, &KERNEL),
    tolerance: Tolerance { nmse: 1e-12, worst: 2e-5 },
};

/// What tiles add to the constants: each has a key for every thread of a card's workgroup.
pub(super) fn constants(constants: Constants) -> Constants {
    constants.u32("TILE", 64)
}
