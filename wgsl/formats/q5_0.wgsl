// 5 bits and a scale: w = d (q - 16). Three words per two blocks: their fifth bits, then both scales.
alias Quants = vec4<u32>;
const HALVES: bool = false;
const HAS_SCALE: bool = true;
const HAS_MINIMUM: bool = true;

fn unpack(block: u32) -> Raw {
    let q = quants[block];
    let pair = block / 2u * 3u;
    let fifth = scales[pair + block % 2u];
    let d = unpack2x16float(scales[pair + 2u] >> (block % 2u * 16u)).x;
    let m = -16.0 * d;
    return Raw(
        five(q.x, fifth, 0u, 0u), five(q.y, fifth, 0u, 4u), five(q.z, fifth, 0u, 8u), five(q.w, fifth, 0u, 12u),
        five(q.x, fifth, 4u, 16u), five(q.y, fifth, 4u, 20u), five(q.z, fifth, 4u, 24u), five(q.w, fifth, 4u, 28u),
        d, m, 0.0, 0.0,
    );
}
