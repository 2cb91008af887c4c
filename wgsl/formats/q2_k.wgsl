// 2 bits; scales and minima of 4 bits for 16 weights, their f16 factors for 256. Five words per 8 blocks: both factors, then a
// byte per 16 weights.
alias Quants = vec2<u32>;
const HALVES: bool = true;
const HAS_SCALE: bool = true;
const HAS_MINIMUM: bool = true;

fn two(word: u32, shift: u32) -> vec4<f32> {
    return bytes((word >> shift) & 0x03030303u);
}

fn unpack(block: u32) -> Raw {
    let q = quants[block];
    let unit = block / 8u * 5u;
    let factors = unpack2x16float(scales[unit]);
    let s = scales[unit + 1u + block % 8u / 2u] >> (block % 2u * 16u);
    return Raw(
        two(q.x, 0u), two(q.x, 2u), two(q.x, 4u), two(q.x, 6u), two(q.y, 0u), two(q.y, 2u), two(q.y, 4u), two(q.y, 6u),
        factors.x * f32(s & 15u), -factors.y * f32((s >> 4u) & 15u),
        factors.x * f32((s >> 8u) & 15u), -factors.y * f32((s >> 12u) & 15u),
    );
}
