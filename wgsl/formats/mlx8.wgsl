// 8 bits, a scale and a bias per group: the weights are a stream of bits over little-endian words.
alias Quants = vec4<u32>;
const LOW: vec4<f32> = vec4<f32>(1.0, 1.0, 1.0, 1.0);
const HIGH: vec4<f32> = LOW;

// Four weights of a word.
fn four(word: u32) -> vec4<f32> {
    return vec4<f32>(vec4<i32>(unpack4xU8(word)));
}

fn unpack(block: u32) -> Raw {
    let a = quants[block * 2u];
    let b = quants[block * 2u + 1u];
    let w0 = a.x;
    let w1 = a.y;
    let w2 = a.z;
    let w3 = a.w;
    let w4 = b.x;
    let w5 = b.y;
    let w6 = b.z;
    let w7 = b.w;
    let s = scale_and_bias(block);
    return Raw(
        four(w0), four(w1),
        four(w2), four(w3),
        four(w4), four(w5),
        four(w6), four(w7),
        s.x, s.y, 0.0, 0.0,
    );
}
