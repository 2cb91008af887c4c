// Four bits of each weight: what formats of 4 bits share.
// A nibble is left where it stands in its word, which saves the shift; LOW and HIGH undo the power of two exactly.
constant float4 LOW = float4(1.0f, 0.00390625f, 1.52587890625e-5f, 5.9604644775390625e-8f);
constant float4 HIGH = float4(0.0625f, 0.000244140625f, 9.5367431640625e-7f, 1.0f);
constant constexpr bool SPREAD = true;
constant constexpr bool HALVES = false;
constant constexpr bool HAS_SCALE = true;
constant constexpr bool HAS_MINIMUM = true;

static inline float4 low(uint word) {
    return float4(int4(uint4(word) & uint4(0xFu, 0xF00u, 0xF0000u, 0xF000000u)));
}

// The topmost nibble is shifted: as it stands it would be a negative int.
static inline float4 high(uint word) {
    return float4(int4(uint4(word, word, word, word >> 28u) & uint4(0xF0u, 0xF000u, 0xF00000u, 0xFu)));
}

// The words of part `part` of a block.
static inline uint2 words(device const uint* quants, uint block, uint part) {
    return ((device const uint2*)quants)[2u * block + part];
}

static inline Part nibbles(uint2 q, float d, float m) {
    return Part{low(q.x), low(q.y), high(q.x), high(q.y), d, m, d, m};
}
