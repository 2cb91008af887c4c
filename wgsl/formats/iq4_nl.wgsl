// 4 bits that choose among uneven values, and a scale. Two blocks share a word of scales.
alias Quants = vec4<u32>;
const HALVES: bool = false;
const HAS_SCALE: bool = true;
const HAS_MINIMUM: bool = false;

fn unpack(block: u32) -> Raw {
    let q = quants[block];
    let d = unpack2x16float(scales[block / 2u] >> (block % 2u * 16u)).x;
    return Raw(
        uneven(q.x, 0u), uneven(q.y, 0u), uneven(q.z, 0u), uneven(q.w, 0u),
        uneven(q.x, 4u), uneven(q.y, 4u), uneven(q.z, 4u), uneven(q.w, 4u),
        d, 0.0, 0.0, 0.0,
    );
}
