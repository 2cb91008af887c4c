// Weights that stand in the bytes of a word: what formats of 2, 3, 5 and 6 bits share.
// A byte is left where it stands in its word, which saves the shift; LOW and HIGH undo the power of two exactly.
const LOW: vec4<f32> = vec4<f32>(1.0, 0.00390625, 1.52587890625e-5, 5.9604644775390625e-8);
const HIGH: vec4<f32> = LOW;

// Bytes below 128: as they stand the topmost is no negative i32.
fn bytes(word: u32) -> vec4<f32> {
    return vec4<f32>(vec4<i32>(vec4<u32>(word) & vec4<u32>(0x7Fu, 0x7F00u, 0x7F0000u, 0x7F000000u)));
}
