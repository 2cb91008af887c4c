// Nibbles that choose among 16 uneven values: what IQ4_NL and IQ4_XS share. The values stand in four words and are selected, because
// an array of constants would be spilled to memory.
const LOW: vec4<f32> = vec4<f32>(1.0);
const HIGH: vec4<f32> = vec4<f32>(1.0);

// The values of four nibbles, from bit `shift` of each byte on.
fn uneven(word: u32, shift: u32) -> vec4<f32> {
    let n = (vec4<u32>(word >> shift) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(15u);
    let odd = (n & vec4<u32>(4u)) != vec4<u32>(0u);
    let negative = select(vec4<u32>(0xBFAD9881u), vec4<u32>(0xF6EADDCFu), odd);
    let positive = select(vec4<u32>(0x26190D01u), vec4<u32>(0x71594535u), odd);
    let four = select(negative, positive, n >= vec4<u32>(8u));
    // The wanted byte goes to the top, and comes down again with its sign.
    let top = vec4<i32>(four << (vec4<u32>(24u) - (n & vec4<u32>(3u)) * 8u));
    return vec4<f32>(top >> vec4<u32>(24u));
}
