// 4 bits, a scale and a minimum: w = d q + m. A word of scales per block: d, m.
alias Quants = vec4<u32>;
const HALVES: bool = false;
const HAS_SCALE: bool = true;
const HAS_MINIMUM: bool = true;

fn unpack(block: u32) -> Raw {
    let q = quants[block];
    let pair = unpack2x16float(scales[block]);
    let d = pair.x;
    let m = pair.y;
    return Raw(low(q.x), low(q.y), low(q.z), low(q.w), high(q.x), high(q.y), high(q.z), high(q.w), d, m, 0.0, 0.0);
}
