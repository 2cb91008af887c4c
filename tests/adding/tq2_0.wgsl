// 2 bits; an f16 scale for 256 weights: w = d (q - 1). Two units of 8 blocks share a word of scales.
alias Quants = vec2<u32>;
const HALVES: bool = false;
const HAS_SCALE: bool = true;
const HAS_MINIMUM: bool = true;

fn two(word: u32, shift: u32) -> vec4<f32> {
    return bytes((word >> shift) & 0x03030303u);
}

fn unpack(block: u32) -> Raw {
    let q = quants[block];
    let d = unpack2x16float(scales[block / 16u] >> (block / 8u % 2u * 16u)).x;
    return Raw(
        two(q.x, 0u), two(q.x, 2u), two(q.x, 4u), two(q.x, 6u), two(q.y, 0u), two(q.y, 2u), two(q.y, 4u), two(q.y, 6u),
        d, -d, 0.0, 0.0,
    );
}
