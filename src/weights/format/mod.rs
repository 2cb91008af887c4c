//! Weight formats: one file each, and the table that lists them.

mod block;

use crate::graph::Format;

macro_rules! formats {
    ($($name:ident),* $(,)?) => {
        $(mod $name;)*
        /// Every format that `matvec`, `matmul` and the embedding read.
        pub static FORMATS: &[&Format] = &[$(&$name::FORMAT),*];
    };
}
formats! { f32, f16, bf16, q4_0, q4_1, q5_0, q5_1, q8_0 }

/// The format called `name`, if this build has it.
pub fn named(name: &str) -> Option<&'static Format> {
    FORMATS.iter().copied().find(|format| format.name == name)
}
