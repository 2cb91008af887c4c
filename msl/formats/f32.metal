// 32 weights of 4 bytes.
struct Packed {
    float4 a;
    float4 b;
    float4 c;
    float4 d;
};

static inline Packed load(device const uint* quants, device const uint*, uint block, uint part) {
    device const float4* at = (device const float4*)quants + 8u * block + 4u * part;
    return Packed{at[0], at[1], at[2], at[3]};
}

static inline Part unpack(Packed p, uint) {
    return Part{p.a, p.b, p.c, p.d, 1.0f, 0.0f, 1.0f, 0.0f};
}
