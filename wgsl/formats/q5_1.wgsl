// 5 bits, a scale and a minimum: w = d q + m. Two words per block: d and m, then the fifth bits.
const HAS_SCALE: bool = true;
const HAS_MINIMUM: bool = true;
const LOW: vec4<f32> = vec4<f32>(1.0);
const HIGH: vec4<f32> = vec4<f32>(1.0);

// Nibbles of one word and four fifth bits, from bit `start` of `fifth` on.
fn five(word: u32, fifth: u32, shift: u32, start: u32) -> vec4<f32> {
    let nibbles = (vec4<u32>(word >> shift) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(15u);
    let bits = ((vec4<u32>(fifth >> start) >> vec4<u32>(0u, 1u, 2u, 3u)) & vec4<u32>(1u)) << vec4<u32>(4u);
    return vec4<f32>(vec4<i32>(nibbles | bits));
}

fn unpack(block: u32) -> Raw {
    let q = quants[block];
    let pair = unpack2x16float(scales[block * 2u]);
    let fifth = scales[block * 2u + 1u];
    let d = pair.x;
    let m = pair.y;
    return Raw(
        five(q.x, fifth, 0u, 0u), five(q.y, fifth, 0u, 4u), five(q.z, fifth, 0u, 8u), five(q.w, fifth, 0u, 12u),
        five(q.x, fifth, 4u, 16u), five(q.y, fifth, 4u, 20u), five(q.z, fifth, 4u, 24u), five(q.w, fifth, 4u, 28u),
        d, m,
    );
}
