// Four bits of each weight and a fifth from elsewhere: what formats of 5 bits share.
const LOW: vec4<f32> = vec4<f32>(1.0);
const HIGH: vec4<f32> = vec4<f32>(1.0);

// Nibbles of one word and four fifth bits, from bit `start` of `fifth` on.
fn five(word: u32, fifth: u32, shift: u32, start: u32) -> vec4<f32> {
    let nibbles = (vec4<u32>(word >> shift) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(15u);
    let bits = ((vec4<u32>(fifth >> start) >> vec4<u32>(0u, 1u, 2u, 3u)) & vec4<u32>(1u)) << vec4<u32>(4u);
    return vec4<f32>(vec4<i32>(nibbles | bits));
}
