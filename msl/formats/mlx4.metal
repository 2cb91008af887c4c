// 4 bits, a scale and a bias per group: the weights are a stream of bits over little-endian words.
constant float4 LOW = float4(1.0f, 0.0625f, 0.00390625f, 0.000244140625f);
constant float4 HIGH = float4(1.0f, 0.0625f, 0.00390625f, 0.000244140625f);

struct Packed {
    uint2 q;
    float2 s;
};

static inline Packed load(device const uint* quants, device const uint* scales, uint block, uint part) {
    return Packed{((device const uint2*)quants)[2u * block + part], scale_and_bias(scales, block)};
}

// Four weights from the lowest bits of a word. They are left where they stand; LOW and HIGH undo the power of two exactly.
static inline float4 four(uint word) {
    return float4(int4(uint4(word) & uint4(0xFu, 0xF0u, 0xF00u, 0xF000u)));
}

static inline Part unpack(Packed p, uint) {
    return Part{four(p.q.x), four(p.q.x >> 16u), four(p.q.y), four(p.q.y >> 16u), p.s.x, p.s.y, p.s.x, p.s.y};
}
