// 4 bits; scale and minimum of 6 bits per block, their f16 factors per 8 blocks. Four words per 8 blocks.
alias Quants = vec4<u32>;
const HALVES: bool = false;
const HAS_SCALE: bool = true;
const HAS_MINIMUM: bool = true;

fn unpack(block: u32) -> Raw {
    let q = quants[block];
    let s = scale_and_minimum(block / 8u * 4u, block % 8u);
    return Raw(
        low(q.x), low(q.y), low(q.z), low(q.w), high(q.x), high(q.y), high(q.z), high(q.w), s.x, s.y, 0.0, 0.0,
    );
}
