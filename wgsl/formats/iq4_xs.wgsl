// 4 bits that choose among uneven values; scales of 6 bits per block, their f16 factor per 8 blocks: w = d (s - 32) v. Two words per 8
// blocks: the factor below the scales' high bits, then their low nibbles.
alias Quants = vec4<u32>;
const HALVES: bool = false;
const HAS_SCALE: bool = true;
const HAS_MINIMUM: bool = false;

fn unpack(block: u32) -> Raw {
    let q = quants[block];
    let first = scales[block / 8u * 2u];
    let b = block % 8u;
    let scale = ((scales[block / 8u * 2u + 1u] >> (b * 4u)) & 15u) | (((first >> (16u + b * 2u)) & 3u) << 4u);
    let d = unpack2x16float(first).x * f32(i32(scale) - 32);
    return Raw(
        uneven(q.x, 0u), uneven(q.y, 0u), uneven(q.z, 0u), uneven(q.w, 0u),
        uneven(q.x, 4u), uneven(q.y, 4u), uneven(q.z, 4u), uneven(q.w, 4u),
        d, 0.0, 0.0, 0.0,
    );
}
