//! Pieces that block formats share.

use crate::graph::Rng;
use half::f16;

/// The half-precision number at `at`.
pub(super) fn half(bytes: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}

/// Splits blocks of an f16 scale and `QUANTS` bytes of quants into their planes.
pub(super) fn repack_scaled<const QUANTS: usize>(file: &[u8], quants: &mut [u8], scales: &mut [u8]) {
    for (index, block) in file.chunks_exact(2 + QUANTS).enumerate() {
        scales[index * 2..][..2].copy_from_slice(&block[..2]);
        quants[index * QUANTS..][..QUANTS].copy_from_slice(&block[2..]);
    }
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

/// Random bytes with f16 scales of deviation `deviation` at the given offsets.
pub(super) fn random_at(rng: &mut Rng, file: &mut [u8], halves: &[usize], deviation: f32) {
    for byte in file.iter_mut() {
        *byte = rng.bits() as u8;
    }
    for &at in halves {
        file[at..][..2].copy_from_slice(&f16::from_f32(rng.normal() * deviation).to_le_bytes());
    }
}

/// Nibbles of 32 weights: weight `i` below 16 in the low half of byte `i`, weight `16 + i` above it.
pub(super) fn pack_nibbles(out: &mut [u8], weight: impl Fn(usize) -> u8) {
    for (index, byte) in out[..16].iter_mut().enumerate() {
        *byte = weight(index) & 15 | (weight(index + 16) & 15) << 4;
    }
}

/// Two bits of each of 32 weights in 8 bytes: word `i / 16`, byte `i % 4`, bits from `2 (i / 4 % 4)` on.
pub(super) fn pack_pairs(out: &mut [u8], weight: impl Fn(usize) -> u8) {
    out[..8].fill(0);
    for index in 0..32 {
        out[index / 16 * 4 + index % 4] |= (weight(index) & 3) << (index / 4 % 4 * 2);
    }
}

/// What [`pack_pairs`] stored of weight `index`.
pub(super) fn pair(bytes: &[u8], index: usize) -> u8 {
    bytes[index / 16 * 4 + index % 4] >> (index / 4 % 4 * 2) & 3
}

/// One bit of each of 32 weights in 4 bytes: byte `i % 4`, bit `i / 4`.
pub(super) fn pack_bits(out: &mut [u8], weight: impl Fn(usize) -> u8) {
    out[..4].fill(0);
    for index in 0..32 {
        out[index % 4] |= (weight(index) & 1) << (index / 4);
    }
}

/// What [`pack_bits`] stored of weight `index`.
pub(super) fn bit(bytes: &[u8], index: usize) -> u8 {
    bytes[index % 4] >> (index / 4) & 1
}

/// The word at `at`.
pub(super) fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
