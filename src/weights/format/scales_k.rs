//! The scales and minima of 6 bits that Q4_K and Q5_K share.

use super::block::{half, word};

/// Scale and minimum of block `index` of 8, from the 12 bytes of a file.
fn packed(bytes: &[u8], index: usize) -> (u8, u8) {
    if index < 4 {
        return (bytes[index] & 63, bytes[index + 4] & 63);
    }
    (bytes[index + 4] & 15 | bytes[index - 4] >> 6 << 4, bytes[index + 4] >> 4 | bytes[index] >> 6 << 4)
}

/// The head of a unit (d f16, dm f16, 12 bytes) as four words: both factors, low nibbles of the scales, low nibbles of the minima,
/// and per block two high bits of the scale below two of the minimum.
pub(super) fn repack(head: &[u8], out: &mut [u8]) {
    let mut words = [0u32; 3];
    for block in 0..8 {
        let (scale, minimum) = packed(&head[4..16], block);
        words[0] |= u32::from(scale & 15) << (4 * block);
        words[1] |= u32::from(minimum & 15) << (4 * block);
        words[2] |= u32::from(scale >> 4 | minimum >> 4 << 2) << (4 * block);
    }
    out[..4].copy_from_slice(&head[..4]);
    out[4..16].copy_from_slice(bytemuck::cast_slice(&words.map(u32::to_le)));
}

/// Scale and minimum of block `block` of 8, from what [`repack`] wrote.
pub(super) fn of(unit: &[u8], block: usize) -> (f32, f32) {
    let high = word(unit, 12) >> (4 * block);
    let scale = word(unit, 4) >> (4 * block) & 15 | (high & 3) << 4;
    let minimum = word(unit, 8) >> (4 * block) & 15 | (high >> 2 & 3) << 4;
    (half(unit, 0) * scale as f32, half(unit, 2) * minimum as f32)
}
