// 3 bits; scales of 6 bits for 16 weights, their f16 factor for 256: w = d (s - 32) (q - 4). 23 words per 16 blocks: third bits of
// each, both factors, then twice the low nibbles of 16 scales in two words and their high bits in one.
alias Quants = vec2<u32>;
const HALVES: bool = true;
const HAS_SCALE: bool = true;
const HAS_MINIMUM: bool = true;

fn three(word: u32, shift: u32, third: u32, bit: u32) -> vec4<f32> {
    return bytes(((word >> shift) & 0x03030303u) | (((third >> bit) & 0x01010101u) << 2u));
}

fn unpack(block: u32) -> Raw {
    let q = quants[block];
    let unit = block / 16u * 23u;
    let third = scales[unit + block % 16u];
    let second = block / 8u % 2u;
    let factor = unpack2x16float(scales[unit + 16u] >> (second * 16u)).x;
    let packed = unit + 17u + second * 3u;
    let b = block % 8u;
    let nibbles = scales[packed + b / 4u] >> (b % 4u * 8u);
    let high = scales[packed + 2u] >> (b * 4u);
    let d = factor * f32(i32((nibbles & 15u) | ((high & 3u) << 4u)) - 32);
    let e = factor * f32(i32(((nibbles >> 4u) & 15u) | (((high >> 2u) & 3u) << 4u)) - 32);
    return Raw(
        three(q.x, 0u, third, 0u), three(q.x, 2u, third, 1u), three(q.x, 4u, third, 2u), three(q.x, 6u, third, 3u),
        three(q.y, 0u, third, 4u), three(q.y, 2u, third, 5u), three(q.y, 4u, third, 6u), three(q.y, 6u, third, 7u),
        d, -4.0 * d, e, -4.0 * e,
    );
}
