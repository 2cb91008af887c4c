// Scale and minus the minimum of one of 8 blocks, 6 bits each: what Q4_K and Q5_K share. Four words: both f16 factors, low nibbles
// of the scales, of the minima, and per block two high bits of the scale below two of the minimum.
fn scale_and_minimum(unit: u32, block: u32) -> vec2<f32> {
    let factors = unpack2x16float(scales[unit]);
    let shift = block * 4u;
    let high = scales[unit + 3u] >> shift;
    let scale = ((scales[unit + 1u] >> shift) & 15u) | ((high & 3u) << 4u);
    let minimum = ((scales[unit + 2u] >> shift) & 15u) | ((high & 12u) << 2u);
    return vec2<f32>(factors.x * f32(i32(scale)), -factors.y * f32(i32(minimum)));
}
