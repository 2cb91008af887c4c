// 2 bits, a scale and a bias per group: the weights are a stream of bits over little-endian words.
alias Quants = vec2<u32>;
const LOW: vec4<f32> = vec4<f32>(1.0, 0.25, 0.0625, 0.015625);
const HIGH: vec4<f32> = LOW;

// Four weights from the lowest bits of a word. They are left where they stand; LOW and HIGH undo the power of two exactly.
fn four(word: u32) -> vec4<f32> {
    return vec4<f32>(vec4<i32>(vec4<u32>(word) & vec4<u32>(0x3u, 0xCu, 0x30u, 0xC0u)));
}

fn unpack(block: u32) -> Raw {
    let a = quants[block];
    let w0 = a.x;
    let w1 = a.y;
    let s = scale_and_bias(block);
    return Raw(
        four(w0), four(w0 >> 8u),
        four(w0 >> 16u), four(w0 >> 24u),
        four(w1), four(w1 >> 8u),
        four(w1 >> 16u), four(w1 >> 24u),
        s.x, s.y, 0.0, 0.0,
    );
}
