// MLX's affine quantization of rows: w ≈ scale q + bias, with BITS bits of q per weight and a scale and a bias per GROUP weights.
//
// One thread packs 32 weights, which fill BITS words exactly. It looks through all of their group by itself: groups span four
// threads at most, and reading again costs less than a barrier.
@group(0) @binding(0) var<storage, read_write> x: array<vec4<f32>>; // [rows, cols]
@group(0) @binding(1) var<storage, read_write> words: array<u32>;   // [rows, cols BITS / 32], a stream of bits
@group(0) @binding(2) var<storage, read_write> scales: array<f32>;  // [rows, cols / GROUP]
@group(0) @binding(3) var<storage, read_write> biases: array<f32>;  // [rows, cols / GROUP]

const VECTORS: u32 = GROUP / 4u; // of a group
const LARGEST: f32 = f32((1u << BITS) - 1u);
const NAN: u32 = 0x7FC00000u;

var<private> held: u32; // bits that wait for their word to be full
var<private> filled: u32; // how many
var<private> at: u32; // the word they go to

// a / b, correctly rounded. Cards may be off by two units in the last place, which the remainder tells. CPUs divide EXACT, but
// their drivers may round the remainder's product, and so spoil what is right.
fn quotient(a: f32, b: f32) -> f32 {
    let q = a / b;
    return select(q + fma(-q, b, a) / b, q, EXACT);
}

// Appends one number to the stream.
fn put(q: u32) {
    held |= q << filled;
    filled += BITS;
    if filled >= 32u {
        filled -= 32u;
        words[at] = held;
        at += 1u;
        held = q >> (BITS - filled);
    }
}

fn quantized(w: f32, scale: f32, bias: f32) -> u32 {
    return u32(clamp(round(quotient(w - bias, scale)), 0.0, LARGEST));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let block = id.y * groups.x * 64u + id.x;
    if block >= arrayLength(&words) / BITS {
        return;
    }
    let group = block * 32u / GROUP;
    let start = group * VECTORS;
    var low = x[start];
    var high = low;
    var damaged = vec4<u32>();
    for (var i = 0u; i < VECTORS; i++) {
        let w = x[start + i];
        low = min(low, w);
        high = max(high, w);
        // What is infinite or not a number is seen by its bits: compilers may take it for granted that there is none.
        let bits = bitcast<vec4<u32>>(w) & vec4<u32>(0x7F800000u);
        damaged |= select(vec4<u32>(), vec4<u32>(1u), bits == vec4<u32>(0x7F800000u));
    }
    let least = min(min(low.x, low.y), min(low.z, low.w));
    let most = max(max(high.x, high.y), max(high.z, high.w));

    // The end that is farther from zero is met exactly, and so is zero where the group spans it.
    let negative = abs(least) > abs(most);
    let step = max(quotient(most - least, LARGEST), EPS);
    var scale = select(-step, step, negative);
    let edge = select(most, least, negative);
    let steps = round(quotient(edge, scale));
    var bias = 0.0;
    if steps != 0.0 {
        scale = quotient(edge, steps);
        bias = edge;
    }

    at = block * BITS;
    for (var i = 0u; i < 8u; i++) {
        let w = x[block * 8u + i];
        put(quantized(w.x, scale, bias));
        put(quantized(w.y, scale, bias));
        put(quantized(w.z, scale, bias));
        put(quantized(w.w, scale, bias));
    }
    if block * 32u % GROUP == 0u {
        let sound = all(damaged == vec4<u32>());
        scales[group] = bitcast<f32>(select(NAN, bitcast<u32>(scale), sound));
        biases[group] = bias;
    }
}
