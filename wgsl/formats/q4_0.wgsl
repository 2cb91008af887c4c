// 4 bits and a scale: w = d (q - 8). Two blocks share a word of scales.
alias Quants = vec4<u32>;
const HALVES: bool = false;
const HAS_SCALE: bool = true;
const HAS_MINIMUM: bool = true;

fn unpack(block: u32) -> Raw {
    let q = quants[block];
    let d = unpack2x16float(scales[block / 2u] >> (block % 2u * 16u)).x;
    let m = -8.0 * d;
    return Raw(low(q.x), low(q.y), low(q.z), low(q.w), high(q.x), high(q.y), high(q.z), high(q.w), d, m, 0.0, 0.0);
}
