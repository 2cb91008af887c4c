// 32 weights of 2 bytes, the upper halves of floats; the even ones in the low halves of words. No bfloat: older systems lack it.
struct Packed {
    uint4 a;
    uint4 b;
};

static inline Packed load(device const uint* quants, device const uint*, uint block, uint part) {
    device const uint4* at = (device const uint4*)quants + 4u * block + 2u * part;
    return Packed{at[0], at[1]};
}

static inline float4 widen(uint2 words) {
    return as_type<float4>(uint4(words.x << 16u, words.x & 0xFFFF0000u, words.y << 16u, words.y & 0xFFFF0000u));
}

static inline Part unpack(Packed p, uint) {
    return Part{widen(p.a.xy), widen(p.a.zw), widen(p.b.xy), widen(p.b.zw), 1.0f, 0.0f, 1.0f, 0.0f};
}
