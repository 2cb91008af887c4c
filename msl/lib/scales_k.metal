// Scale and minus the minimum of one of 8 blocks, 6 bits each: what Q4_K and Q5_K share. Four words: both half factors, low nibbles
// of the scales, of the minima, and per block two high bits of the scale below two of the minimum.
static inline float2 scale_and_minimum(uint4 words, uint block) {
    const float2 factors = float2(as_type<half2>(words.x));
    const uint shift = block * 4u;
    const uint high = words.w >> shift;
    const uint scale = ((words.y >> shift) & 15u) | ((high & 3u) << 4u);
    const uint minimum = ((words.z >> shift) & 15u) | ((high & 12u) << 2u);
    return float2(factors.x * float(scale), -factors.y * float(minimum));
}
