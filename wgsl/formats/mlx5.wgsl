// 5 bits, a scale and a bias per group: the weights are a stream of bits over little-endian words.
alias Quants = u32;
const LOW: vec4<f32> = vec4<f32>(1.0, 0.03125, 0.0009765625, 3.0517578125e-05);
const HIGH: vec4<f32> = LOW;

// Four weights from the lowest bits of a word. They are left where they stand; LOW and HIGH undo the power of two exactly.
fn four(word: u32) -> vec4<f32> {
    return vec4<f32>(vec4<i32>(vec4<u32>(word) & vec4<u32>(0x1Fu, 0x3E0u, 0x7C00u, 0xF8000u)));
}

fn unpack(block: u32) -> Raw {
    let w0 = quants[block * 5u];
    let w1 = quants[block * 5u + 1u];
    let w2 = quants[block * 5u + 2u];
    let w3 = quants[block * 5u + 3u];
    let w4 = quants[block * 5u + 4u];
    let s = scale_and_bias(block);
    return Raw(
        four(w0), four((w0 >> 20u) | (w1 << 12u)),
        four(w1 >> 8u), four((w1 >> 28u) | (w2 << 4u)),
        four((w2 >> 16u) | (w3 << 16u)), four(w3 >> 4u),
        four((w3 >> 24u) | (w4 << 8u)), four(w4 >> 12u),
        s.x, s.y, 0.0, 0.0,
    );
}
