// Four bits of each weight: what formats of 4 bits share.
// A nibble is left where it stands in its word, which saves the shift; LOW and HIGH undo the power of two exactly.
const LOW: vec4<f32> = vec4<f32>(1.0, 0.00390625, 1.52587890625e-5, 5.9604644775390625e-8);
const HIGH: vec4<f32> = vec4<f32>(0.0625, 0.000244140625, 9.5367431640625e-7, 1.0);

fn low(word: u32) -> vec4<f32> {
    return vec4<f32>(vec4<i32>(vec4<u32>(word) & vec4<u32>(0xFu, 0xF00u, 0xF0000u, 0xF000000u)));
}

// The topmost nibble is shifted: as it stands it would be a negative i32.
fn high(word: u32) -> vec4<f32> {
    let masked = vec4<u32>(word, word, word, word >> 28u) & vec4<u32>(0xF0u, 0xF000u, 0xF00000u, 0xFu);
    return vec4<f32>(vec4<i32>(masked));
}
