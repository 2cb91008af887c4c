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

/// Whether a GGUF file whose name says `label`, such as `Q4_K_M`, holds formats of this build alone, as far as a name can tell.
/// Mixtures of a maker's own, such as `UD-Q2_K_XL`, may hold any.
pub(crate) fn reads(label: &str) -> bool {
    let label = label.to_ascii_lowercase();
    let mixture = ["_s", "_m", "_l", "_xl"].iter().find_map(|size| label.strip_suffix(size));
    named(mixture.filter(|plain| plain.ends_with("_k")).unwrap_or(&label)).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_tell_whether_their_formats_are_known() {
        for label in ["Q4_K_M", "q8_0", "BF16", "Q6_K", "Q3_K_XL", "IQ4_XS"] {
            assert!(reads(label), "{label}");
        }
        for label in ["IQ2_M", "IQ3_XXS", "UD-Q2_K_XL", "MXFP4", "TQ1_0", "Q4_0_4_4", "Q8_0_L", ""] {
            assert!(!reads(label), "{label}");
        }
    }
}
