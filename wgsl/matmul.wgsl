// y[t, r] = sum_k w[r, k] * x[t, k] for many tokens t; RESIDUAL adds to it.
//
// A thread owns a tile of 8 rows and 8 tokens in registers: weights are unpacked once for 8 tokens, activations loaded once for
// 8 rows, and there is neither shared memory nor a barrier. Neighbouring threads own neighbouring rows and the same tokens.
@group(0) @binding(0) var<storage, read> quants: array<Quants>;          // plane of quants
@group(0) @binding(1) var<storage, read> scales: array<u32>;             // plane of scales
@group(0) @binding(2) var<storage, read_write> x: array<vec4<f32>>;      // [tokens, 32 BLOCKS]
@group(0) @binding(3) var<storage, read_write> residual: array<f32>;     // [tokens, STRIDE]; anything unless RESIDUAL
@group(0) @binding(4) var<storage, read_write> y: array<f32>;            // [tokens, STRIDE], rows FIRST to FIRST + ROWS

// acc += the products of four rows' weights with one token's activations.
fn fold(acc: vec4<f32>, w0: vec4<f32>, w1: vec4<f32>, w2: vec4<f32>, w3: vec4<f32>, x: vec4<f32>) -> vec4<f32> {
    var s = fma(vec4<f32>(w0.x, w1.x, w2.x, w3.x), vec4<f32>(x.x), acc);
    s = fma(vec4<f32>(w0.y, w1.y, w2.y, w3.y), vec4<f32>(x.y), s);
    s = fma(vec4<f32>(w0.z, w1.z, w2.z, w3.z), vec4<f32>(x.z), s);
    return fma(vec4<f32>(w0.w, w1.w, w2.w, w3.w), vec4<f32>(x.w), s);
}

fn tokens() -> u32 {
    return arrayLength(&x) / (8u * BLOCKS);
}

fn store(token: u32, row: u32, value: f32) {
    if token < tokens() && row < ROWS {
        let at = token * STRIDE + FIRST + row;
        if RESIDUAL {
            y[at] = value + residual[at];
        } else {
            y[at] = value;
        }
    }
}

fn load(row: u32, block: u32) -> Raw {
    return dequantize(unpack(min(row, ROWS - 1u) * BLOCKS + block));
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let row = id.x * 8u;
    if row >= ROWS {
        return;
    }
    let token = group.y * 8u;
    let last = tokens() - 1u;
    var a: array<vec4<f32>, 8>;
    var b: array<vec4<f32>, 8>;
    for (var block = 0u; block < BLOCKS; block++) {
        let w0 = load(row, block);
        let w1 = load(row + 1u, block);
        let w2 = load(row + 2u, block);
        let w3 = load(row + 3u, block);
        let w4 = load(row + 4u, block);
        let w5 = load(row + 5u, block);
        let w6 = load(row + 6u, block);
        let w7 = load(row + 7u, block);
        for (var t = 0u; t < 8u; t++) {
            // Tokens past the end repeat the last one and are not stored.
            let at = (min(token + t, last) * BLOCKS + block) * 8u;
            let x0 = x[at];
            let x1 = x[at + 1u];
            let x2 = x[at + 2u];
            let x3 = x[at + 3u];
            let x4 = x[at + 4u];
            let x5 = x[at + 5u];
            let x6 = x[at + 6u];
            let x7 = x[at + 7u];
            var s = fold(a[t], w0.q0, w1.q0, w2.q0, w3.q0, x0);
            s = fold(s, w0.q1, w1.q1, w2.q1, w3.q1, x1);
            s = fold(s, w0.q2, w1.q2, w2.q2, w3.q2, x2);
            s = fold(s, w0.q3, w1.q3, w2.q3, w3.q3, x3);
            s = fold(s, w0.q4, w1.q4, w2.q4, w3.q4, x4);
            s = fold(s, w0.q5, w1.q5, w2.q5, w3.q5, x5);
            s = fold(s, w0.q6, w1.q6, w2.q6, w3.q6, x6);
            a[t] = fold(s, w0.q7, w1.q7, w2.q7, w3.q7, x7);
            s = fold(b[t], w4.q0, w5.q0, w6.q0, w7.q0, x0);
            s = fold(s, w4.q1, w5.q1, w6.q1, w7.q1, x1);
            s = fold(s, w4.q2, w5.q2, w6.q2, w7.q2, x2);
            s = fold(s, w4.q3, w5.q3, w6.q3, w7.q3, x3);
            s = fold(s, w4.q4, w5.q4, w6.q4, w7.q4, x4);
            s = fold(s, w4.q5, w5.q5, w6.q5, w7.q5, x5);
            s = fold(s, w4.q6, w5.q6, w6.q6, w7.q6, x6);
            b[t] = fold(s, w4.q7, w5.q7, w6.q7, w7.q7, x7);
        }
    }
    for (var t = 0u; t < 8u; t++) {
        store(token + t, row, a[t].x);
        store(token + t, row + 1u, a[t].y);
        store(token + t, row + 2u, a[t].z);
        store(token + t, row + 3u, a[t].w);
        store(token + t, row + 4u, b[t].x);
        store(token + t, row + 5u, b[t].y);
        store(token + t, row + 6u, b[t].z);
        store(token + t, row + 7u, b[t].w);
    }
}
