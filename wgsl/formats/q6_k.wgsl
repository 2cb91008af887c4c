// 6 bits; signed scales of 8 bits for 16 weights, their f16 factor for 256: w = d s (q - 32). 41 words per 16 blocks: two of high
// bits for each, both factors, then twice 16 scales.
alias Quants = vec4<u32>;
const HALVES: bool = true;
const HAS_SCALE: bool = true;
const HAS_MINIMUM: bool = true;

fn six(word: u32, high: u32, shift: u32) -> vec4<f32> {
    return bytes((word & 0x0F0F0F0Fu) | (((high >> shift) & 0x03030303u) << 4u));
}

fn unpack(block: u32) -> Raw {
    let q = quants[block];
    let h = q >> vec4<u32>(4u);
    let unit = block / 16u * 41u;
    let a = scales[unit + block % 16u * 2u];
    let b = scales[unit + block % 16u * 2u + 1u];
    let second = block / 8u % 2u;
    let factor = unpack2x16float(scales[unit + 32u] >> (second * 16u)).x;
    let pair = scales[unit + 33u + block % 16u / 2u] >> (block % 2u * 16u);
    let d = factor * f32(extractBits(i32(pair), 0u, 8u));
    let e = factor * f32(extractBits(i32(pair), 8u, 8u));
    return Raw(
        six(q.x, a, 0u), six(q.y, a, 2u), six(q.z, a, 4u), six(q.w, a, 6u),
        six(h.x, b, 0u), six(h.y, b, 2u), six(h.z, b, 4u), six(h.w, b, 6u),
        d, -32.0 * d, e, -32.0 * e,
    );
}
