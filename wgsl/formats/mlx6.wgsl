// 6 bits, a scale and a bias per group: the weights are a stream of bits over little-endian words.
alias Quants = vec2<u32>;
const LOW: vec4<f32> = vec4<f32>(1.0, 0.015625, 0.000244140625, 3.814697265625e-06);
const HIGH: vec4<f32> = LOW;

// Four weights from the lowest bits of a word. They are left where they stand; LOW and HIGH undo the power of two exactly.
fn four(word: u32) -> vec4<f32> {
    return vec4<f32>(vec4<i32>(vec4<u32>(word) & vec4<u32>(0x3Fu, 0xFC0u, 0x3F000u, 0xFC0000u)));
}

fn unpack(block: u32) -> Raw {
    let a = quants[block * 3u];
    let b = quants[block * 3u + 1u];
    let c = quants[block * 3u + 2u];
    let w0 = a.x;
    let w1 = a.y;
    let w2 = b.x;
    let w3 = b.y;
    let w4 = c.x;
    let w5 = c.y;
    let s = scale_and_bias(block);
    return Raw(
        four(w0), four((w0 >> 24u) | (w1 << 8u)),
        four((w1 >> 16u) | (w2 << 16u)), four(w2 >> 8u),
        four(w3), four((w3 >> 24u) | (w4 << 8u)),
        four((w4 >> 16u) | (w5 << 16u)), four(w5 >> 8u),
        s.x, s.y, 0.0, 0.0,
    );
}
