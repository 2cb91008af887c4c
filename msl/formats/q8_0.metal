// 8 bits and a scale: w = d q, q signed.
constant float4 LOW = float4(1.0f);
constant float4 HIGH = float4(1.0f);
constant constexpr bool SPREAD = false;
constant constexpr bool HALVES = false;
constant constexpr bool HAS_SCALE = true;
constant constexpr bool HAS_MINIMUM = false;

struct Packed {
    uint4 q;
    half d;
};

static inline Packed load(device const uint* quants, device const uint* scales, uint block, uint part) {
    return Packed{((device const uint4*)quants)[2u * block + part], ((device const half*)scales)[block]};
}

static inline float4 signed_bytes(uint word) {
    return float4(as_type<char4>(word));
}

static inline Part unpack(Packed p, uint) {
    const float d = float(p.d);
    return Part{signed_bytes(p.q.x), signed_bytes(p.q.y), signed_bytes(p.q.z), signed_bytes(p.q.w), d, 0.0f, d, 0.0f};
}
