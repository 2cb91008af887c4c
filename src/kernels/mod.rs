//! Every kernel the engine can dispatch: one file each with its declaration, op function, CPU twin and cases.

/// One word per kernel: declares its module and puts it in [`CATALOGUE`].
macro_rules! catalogue {
    ($($name:ident),* $(,)?) => {
        $(pub mod $name;)*
        /// Every kernel, in alphabetical order.
        pub static CATALOGUE: &[&crate::graph::Kernel] = &[$(&$name::KERNEL),*];
    };
}
catalogue! {
    attend_decode, attend_decode_online, attend_prefill, attend_prefill_two_pass, attend_reduce, embed, gate_mul, gather_rows, log_prob, matmul, matmul_tiled, matvec, quantize, rms_norm,
    rope_store, sample_best, sample_draw, sample_histogram, sample_mass, sample_narrow, sample_scan, softcap,
}

mod at_size;
pub mod paged;
pub mod sampling;
mod variants;

pub use at_size::{AT_SIZE, AtSize};
pub use variants::{forced, forced_by_environment, sources, ways};

use crate::graph::{Access, Binding};

/// Bytes of memory that a threadgroup of Apple's GPUs may have (Metal feature set tables, Apple4 and later).
const THREADGROUP_MEMORY: u32 = 32 << 10;

const fn weight(name: &'static str) -> Binding {
    Binding { name, access: Access::Weight }
}

const fn input(name: &'static str) -> Binding {
    Binding { name, access: Access::Input }
}

const fn output(name: &'static str) -> Binding {
    Binding { name, access: Access::Output }
}

const fn update(name: &'static str) -> Binding {
    Binding { name, access: Access::Update }
}

/// Spreads `count` workgroups over x and y where one axis does not hold them. Kernels skip what lies past the end.
fn spread(count: u32, max: u32) -> [u32; 3] {
    if count <= max {
        return [count, 1, 1];
    }
    let y = count.div_ceil(max);
    [count.div_ceil(y), y, 1]
}
