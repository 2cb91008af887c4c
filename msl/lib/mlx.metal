// Scale and bias of a group of weights, w = scale q + bias, as MLX stores them: what its formats share. GROUP blocks of 32 share a
// pair of numbers, which are half (PAIR 16), bfloat (17) or float (32).
constant constexpr bool SPREAD = false;
constant constexpr bool HALVES = false;
constant constexpr bool HAS_SCALE = true;
constant constexpr bool HAS_MINIMUM = true;

static inline float2 scale_and_bias(device const uint* scales, uint block) {
    const uint group = block / GROUP;
    if (PAIR == 32u) {
        return ((device const float2*)scales)[group];
    }
    const uint word = scales[group];
    if (PAIR == 16u) {
        return float2(as_type<half2>(word));
    }
    return as_type<float2>(uint2(word << 16u, word & 0xFFFF0000u));
}
