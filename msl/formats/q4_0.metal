// 4 bits and a scale: w = d (q - 8).
struct Packed {
    uint2 q;
    half d;
};

static inline Packed load(device const uint* quants, device const uint* scales, uint block, uint part) {
    return Packed{words(quants, block, part), ((device const half*)scales)[block]};
}

static inline Part unpack(Packed p, uint) {
    const float d = float(p.d);
    return nibbles(p.q, d, -8.0f * d);
}
