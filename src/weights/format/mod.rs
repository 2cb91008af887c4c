//! Weight formats: one file each, and the table that lists them.

mod block;
mod scales_k;

use crate::graph::Format;

/// One word per file; a file declares one format, or all numbers of bits and sizes of groups of one kind.
macro_rules! formats {
    ($($name:ident),* $(,)?; $($kind:ident),*) => {
        $(mod $name;)*
        $(pub(crate) mod $kind;)*
        /// Every format that `matvec`, `matmul` and the embedding read.
        pub static FORMATS: std::sync::LazyLock<Vec<&'static Format>> = std::sync::LazyLock::new(|| {
            let mut all: Vec<&'static Format> = vec![$(&$name::FORMAT),*];
            $(all.extend($kind::FORMATS);)*
            all
        });
    };
}
formats! {
    f32, f16, bf16, q4_0, q4_1, q5_0, q5_1, q8_0, q2_k, q3_k, q4_k, q5_k, q6_k, iq4_nl, iq4_xs;
    mlx
}

/// The format called `name`, if this build has it.
pub fn named(name: &str) -> Option<&'static Format> {
    FORMATS.iter().copied().find(|format| format.name == name)
}

/// The formats as messages list them. MLX's are one family to their users.
pub(crate) fn known() -> String {
    let names: Vec<String> =
        FORMATS.iter().filter(|format| format.unit.bytes[1] == 0).map(|format| format.name.to_uppercase()).collect();
    format!("one of {} or MLX affine of 2, 3, 4, 5, 6 or 8 bits in groups of 32, 64 or 128", names.join(", "))
}
