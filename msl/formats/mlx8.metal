// 8 bits, a scale and a bias per group: the weights are a stream of bits over little-endian words.
constant float4 LOW = float4(1.0f);
constant float4 HIGH = float4(1.0f);

struct Packed {
    uint4 q;
    float2 s;
};

static inline Packed load(device const uint* quants, device const uint* scales, uint block, uint part) {
    return Packed{((device const uint4*)quants)[2u * block + part], scale_and_bias(scales, block)};
}

static inline float4 unsigned_bytes(uint word) {
    return float4(as_type<uchar4>(word));
}

static inline Part unpack(Packed p, uint) {
    return Part{unsigned_bytes(p.q.x), unsigned_bytes(p.q.y), unsigned_bytes(p.q.z), unsigned_bytes(p.q.w),
        p.s.x, p.s.y, p.s.x, p.s.y};
}
