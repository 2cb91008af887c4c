// 5 bits, a scale and a minimum: w = d q + m. Two words per block: d and m, then the fifth bits.
alias Quants = vec4<u32>;
const HALVES: bool = false;
const HAS_SCALE: bool = true;
const HAS_MINIMUM: bool = true;

fn unpack(block: u32) -> Raw {
    let q = quants[block];
    let pair = unpack2x16float(scales[block * 2u]);
    let fifth = scales[block * 2u + 1u];
    let d = pair.x;
    let m = pair.y;
    return Raw(
        five(q.x, fifth, 0u, 0u), five(q.y, fifth, 0u, 4u), five(q.z, fifth, 0u, 8u), five(q.w, fifth, 0u, 12u),
        five(q.x, fifth, 4u, 16u), five(q.y, fifth, 4u, 20u), five(q.z, fifth, 4u, 24u), five(q.w, fifth, 4u, 28u),
        d, m, 0.0, 0.0,
    );
}
