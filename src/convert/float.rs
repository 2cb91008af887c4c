//! The types that numbers are stored as.

use half::{bf16, f16};
use rayon::prelude::*;

/// A type of plain numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Float {
    /// bfloat16.
    Bf16,
    /// IEEE half precision.
    F16,
    /// IEEE single precision.
    F32,
}

/// Why numbers could not be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unstorable {
    /// One is infinite or no number.
    NotFinite,
    /// One is larger than the type allows.
    Overflow,
}

/// Numbers that one core rounds at a time.
const CHUNK: usize = 1 << 16;

impl Float {
    /// The name that options, formats and tables use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
            Self::F32 => "f32",
        }
    }

    /// The type that is called `name`.
    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Bf16, Self::F16, Self::F32].into_iter().find(|float| float.name() == name)
    }

    /// Its name in `config.json`.
    pub(super) fn torch(self) -> &'static str {
        match self {
            Self::Bf16 => "bfloat16",
            Self::F16 => "float16",
            Self::F32 => "float32",
        }
    }

    /// Its name in the header of a safetensors file.
    pub(super) fn safetensors(self) -> &'static str {
        match self {
            Self::Bf16 => "BF16",
            Self::F16 => "F16",
            Self::F32 => "F32",
        }
    }

    /// Bytes of one number.
    pub(super) const fn bytes(self) -> u64 {
        match self {
            Self::Bf16 | Self::F16 => 2,
            Self::F32 => 4,
        }
    }

    /// Whether all numbers of `stored` are finite.
    pub(super) fn are_finite(self, stored: &[u8]) -> bool {
        stored.par_chunks(CHUNK).all(|stored| match self {
            // No exponent of ones, which stands in the upper half of each.
            Self::Bf16 => stored.chunks_exact(2).all(|b| u16::from_le_bytes([b[0], b[1]]) & 0x7F80 != 0x7F80),
            Self::F16 => stored.chunks_exact(2).all(|b| u16::from_le_bytes([b[0], b[1]]) & 0x7C00 != 0x7C00),
            Self::F32 => stored.chunks_exact(4).all(|b| u16::from_le_bytes([b[2], b[3]]) & 0x7F80 != 0x7F80),
        })
    }

    /// `values` as they are stored: rounded to the nearest, halves to even.
    pub(super) fn store(self, values: &[f32]) -> Result<Vec<u8>, Unstorable> {
        let size = self.bytes() as usize;
        let mut stored = vec![0; values.len() * size];
        let chunks = stored.par_chunks_mut(CHUNK * size).zip(values.par_chunks(CHUNK));
        chunks.try_for_each(|(stored, values)| {
            let mut sound = Ok(());
            for (stored, &value) in stored.chunks_exact_mut(size).zip(values) {
                let finite = match self {
                    Self::Bf16 => put(stored, bf16::from_f32(value).to_le_bytes(), bf16::from_f32(value).is_finite()),
                    Self::F16 => put(stored, f16::from_f32(value).to_le_bytes(), f16::from_f32(value).is_finite()),
                    Self::F32 => put(stored, value.to_le_bytes(), value.is_finite()),
                };
                if !finite {
                    sound = Err(if value.is_finite() { Unstorable::Overflow } else { Unstorable::NotFinite });
                }
            }
            sound
        })?;
        Ok(stored)
    }
}

fn put<const N: usize>(to: &mut [u8], bytes: [u8; N], finite: bool) -> bool {
    to.copy_from_slice(&bytes);
    finite
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_rounded_to_even() {
        // 1 + 2^-8 lies between two bf16 numbers, 1 + 2^-11 between two f16 ones.
        let values = [1.003_906_3, 1.011_718_8, 1.000_488_3];
        assert_eq!(Float::Bf16.store(&values).unwrap(), [0x80, 0x3F, 0x82, 0x3F, 0x80, 0x3F]);
        assert_eq!(Float::F16.store(&values[2..]).unwrap(), [0x00, 0x3C]);
        assert_eq!(Float::F32.store(&values[..1]).unwrap(), 1.003_906_3_f32.to_le_bytes());
    }

    #[test]
    fn what_is_stored_is_finite_or_not() {
        for float in [Float::Bf16, Float::F16, Float::F32] {
            let sound = float.store(&[0.0, -65504.0, 1e-30, 3.5]).unwrap();
            assert!(float.are_finite(&sound), "{float:?}");
            for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let damaged = match float {
                    Float::Bf16 => bf16::from_f32(value).to_le_bytes().to_vec(),
                    Float::F16 => f16::from_f32(value).to_le_bytes().to_vec(),
                    Float::F32 => value.to_le_bytes().to_vec(),
                };
                assert!(!float.are_finite(&[&sound[..], &damaged].concat()), "{float:?} {value}");
            }
        }
    }

    #[test]
    fn what_cannot_be_stored_is_told_apart() {
        assert_eq!(Float::F16.store(&[0.0, 70000.0]), Err(Unstorable::Overflow));
        assert_eq!(Float::F16.store(&[f32::NAN]), Err(Unstorable::NotFinite));
        assert_eq!(Float::F32.store(&[f32::INFINITY]), Err(Unstorable::NotFinite));
        assert!(Float::Bf16.store(&[70000.0, -3e38]).is_ok());
    }
}
