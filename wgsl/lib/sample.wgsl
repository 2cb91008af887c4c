// What the sampling kernels share. Masses are fixed point with 30 fractional bits: integer sums do not depend on their order.
// The layout of one sequence's settings, and of one output's selection.
struct Settings {
    inverse_temperature: f32, // 0: greedy
    top_k: u32,               // 0: off
    top_p: u32,               // fraction of 2^32; 0xFFFFFFFF: off
    floor: f32,               // ln(min_p)
    repetition: f32,
    inverse_repetition: f32,
    presence: f32,
    frequency: f32,
    seed: vec2<u32>,
    unused: array<u32, 6>,
}

struct Selection {
    peak: f32,       // largest score
    best: u32,       // its token, the lowest among equals
    prefix: u32,     // digits of the threshold found so far
    wanted: u32,     // tokens still to be kept
    goal: vec2<u32>, // mass still to be kept, low and high word
    threshold: u32,  // every key above stays
    ties: u32,       // and so many of those at it, lowest ids first
    above: vec2<u32>, // mass above the prefix, low and high word
    unused: array<u32, 6>,
}

// Unsigned integers that sort as the floats do.
fn key(score: f32) -> u32 {
    let bits = bitcast<u32>(score);
    return select(bits | 0x80000000u, ~bits, bits >> 31u == 1u);
}

fn mass(score: f32, peak: f32) -> u32 {
    return u32(exp(score - peak) * 1073741824.0 + 0.5);
}

fn add(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let low = a.x + b.x;
    return vec2<u32>(low, a.y + b.y + select(0u, 1u, low < a.x));
}

fn subtract(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    return vec2<u32>(a.x - b.x, a.y - b.y - select(0u, 1u, a.x < b.x));
}

fn below(a: vec2<u32>, b: vec2<u32>) -> bool {
    return a.y < b.y || (a.y == b.y && a.x < b.x);
}

// a * b as low and high word.
fn product(a: u32, b: u32) -> vec2<u32> {
    let ll = (a & 0xFFFFu) * (b & 0xFFFFu);
    let lh = (a & 0xFFFFu) * (b >> 16u);
    let hl = (a >> 16u) * (b & 0xFFFFu);
    let middle = (ll >> 16u) + (lh & 0xFFFFu) + (hl & 0xFFFFu);
    return vec2<u32>((middle << 16u) | (ll & 0xFFFFu), (a >> 16u) * (b >> 16u) + (lh >> 16u) + (hl >> 16u) + (middle >> 16u));
}

// a * fraction / 2^32, rounded down; a below 2^63.
fn portion(a: vec2<u32>, fraction: u32) -> vec2<u32> {
    return add(product(a.y, fraction), vec2<u32>(product(a.x, fraction).y, 0u));
}

// Sums of halves of masses, put together.
fn join(low: u32, high: u32) -> vec2<u32> {
    return add(vec2<u32>(high << 16u, high >> 16u), vec2<u32>(low, 0u));
}
