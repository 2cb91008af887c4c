// 5 bits; scale and minimum of 6 bits per block, their f16 factors per 8 blocks. Twelve words per 8 blocks: four of scales, then a
// word of fifth bits for each.
alias Quants = vec4<u32>;
const HALVES: bool = false;
const HAS_SCALE: bool = true;
const HAS_MINIMUM: bool = true;

fn five(word: u32, fifth: u32, bit: u32) -> vec4<f32> {
    return bytes((word & 0x0F0F0F0Fu) | (((fifth >> bit) & 0x01010101u) << 4u));
}

fn unpack(block: u32) -> Raw {
    let q = quants[block];
    let h = q >> vec4<u32>(4u);
    let unit = block / 8u * 12u;
    let f = scales[unit + 4u + block % 8u];
    let s = scale_and_minimum(unit, block % 8u);
    return Raw(
        five(q.x, f, 0u), five(q.y, f, 1u), five(q.z, f, 2u), five(q.w, f, 3u),
        five(h.x, f, 4u), five(h.y, f, 5u), five(h.z, f, 6u), five(h.w, f, 7u),
        s.x, s.y, 0.0, 0.0,
    );
}
