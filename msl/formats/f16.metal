// 32 weights of 2 bytes.
struct Packed {
    half4 a;
    half4 b;
    half4 c;
    half4 d;
};

static inline Packed load(device const uint* quants, device const uint*, uint block, uint part) {
    device const half4* at = (device const half4*)quants + 8u * block + 4u * part;
    return Packed{at[0], at[1], at[2], at[3]};
}

static inline Part unpack(Packed p, uint) {
    return Part{float4(p.a), float4(p.b), float4(p.c), float4(p.d), 1.0f, 0.0f, 1.0f, 0.0f};
}
