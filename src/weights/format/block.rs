//! Pieces that block formats share.

use crate::graph::Rng;
use half::f16;

/// The half-precision number at `at`.
pub(super) fn half(bytes: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}

/// A block of random quants whose first `halves` fields are f16 scales of a plausible size.
pub(super) fn random(rng: &mut Rng, file: &mut [u8], halves: usize) {
    for byte in file.iter_mut() {
        *byte = rng.bits() as u8;
    }
    for field in file.chunks_exact_mut(2).take(halves) {
        field.copy_from_slice(&f16::from_f32(rng.normal() * 0.02).to_le_bytes());
    }
}

/// Low nibbles are weights 0–15, high nibbles 16–31.
pub(super) fn nibble(quants: &[u8], index: usize) -> u8 {
    if index < 16 { quants[index] & 15 } else { quants[index - 16] >> 4 }
}
