// 3 bits, a scale and a bias per group: the weights are a stream of bits over little-endian words.
alias Quants = u32;
const LOW: vec4<f32> = vec4<f32>(1.0, 0.125, 0.015625, 0.001953125);
const HIGH: vec4<f32> = LOW;

// Four weights from the lowest bits of a word. They are left where they stand; LOW and HIGH undo the power of two exactly.
fn four(word: u32) -> vec4<f32> {
    return vec4<f32>(vec4<i32>(vec4<u32>(word) & vec4<u32>(0x7u, 0x38u, 0x1C0u, 0xE00u)));
}

fn unpack(block: u32) -> Raw {
    let w0 = quants[block * 3u];
    let w1 = quants[block * 3u + 1u];
    let w2 = quants[block * 3u + 2u];
    let s = scale_and_bias(block);
    return Raw(
        four(w0), four(w0 >> 12u),
        four((w0 >> 24u) | (w1 << 8u)), four(w1 >> 4u),
        four(w1 >> 16u), four((w1 >> 28u) | (w2 << 4u)),
        four(w2 >> 8u), four(w2 >> 20u),
        s.x, s.y, 0.0, 0.0,
    );
}
