//! The element types of ggml: their numbers, names and block sizes.

use std::fmt;

macro_rules! tensor_types {
    ($($variant:ident = $number:literal, $name:literal: $elements:literal in $bytes:literal;)*) => {
        /// How the elements of a tensor are stored.
        ///
        /// All types that ggml defines are here, whether or not there is a kernel for them, so
        /// that a file can be listed and an error can name the type.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum TensorType {
            $(
                #[doc = concat!(
                    "`", $name, "`, number ", $number, ": ",
                    $elements, " element(s) in ", $bytes, " byte(s)."
                )]
                $variant,
            )*
        }

        impl TensorType {
            /// Every type, by ascending number.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The type that ggml numbers so. The gaps are types it has dropped.
            pub fn from_number(number: u32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// Its number in files.
            pub fn number(self) -> u32 {
                match self { $(Self::$variant => $number),* }
            }

            /// Its name in ggml, such as `Q4_0`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Elements per block; blocks never span rows.
            pub fn block_elements(self) -> u64 {
                match self { $(Self::$variant => $elements),* }
            }

            /// Bytes per block.
            pub fn block_bytes(self) -> u64 {
                match self { $(Self::$variant => $bytes),* }
            }
        }
    };
}

// Numbers from `enum ggml_type` in ggml.h, sizes from the static assertions in ggml-common.h.
tensor_types! {
    F32 = 0, "F32": 1 in 4;
    F16 = 1, "F16": 1 in 2;
    Q4_0 = 2, "Q4_0": 32 in 18;
    Q4_1 = 3, "Q4_1": 32 in 20;
    Q5_0 = 6, "Q5_0": 32 in 22;
    Q5_1 = 7, "Q5_1": 32 in 24;
    Q8_0 = 8, "Q8_0": 32 in 34;
    Q8_1 = 9, "Q8_1": 32 in 36;
    Q2K = 10, "Q2_K": 256 in 84;
    Q3K = 11, "Q3_K": 256 in 110;
    Q4K = 12, "Q4_K": 256 in 144;
    Q5K = 13, "Q5_K": 256 in 176;
    Q6K = 14, "Q6_K": 256 in 210;
    Q8K = 15, "Q8_K": 256 in 292;
    Iq2Xxs = 16, "IQ2_XXS": 256 in 66;
    Iq2Xs = 17, "IQ2_XS": 256 in 74;
    Iq3Xxs = 18, "IQ3_XXS": 256 in 98;
    Iq1S = 19, "IQ1_S": 256 in 50;
    Iq4Nl = 20, "IQ4_NL": 32 in 18;
    Iq3S = 21, "IQ3_S": 256 in 110;
    Iq2S = 22, "IQ2_S": 256 in 82;
    Iq4Xs = 23, "IQ4_XS": 256 in 136;
    I8 = 24, "I8": 1 in 1;
    I16 = 25, "I16": 1 in 2;
    I32 = 26, "I32": 1 in 4;
    I64 = 27, "I64": 1 in 8;
    F64 = 28, "F64": 1 in 8;
    Iq1M = 29, "IQ1_M": 256 in 56;
    BF16 = 30, "BF16": 1 in 2;
    Tq1_0 = 34, "TQ1_0": 256 in 54;
    Tq2_0 = 35, "TQ2_0": 256 in 66;
    Mxfp4 = 39, "MXFP4": 32 in 17;
    Nvfp4 = 40, "NVFP4": 64 in 36;
    Q1_0 = 41, "Q1_0": 128 in 18;
}

impl fmt::Display for TensorType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}
