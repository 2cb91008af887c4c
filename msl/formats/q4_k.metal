// 4 bits; scale and minimum of 6 bits per block, their half factors per 8 blocks.
struct Packed {
    uint2 q;
    float2 s;
};

static inline Packed load(device const uint* quants, device const uint* scales, uint block, uint part) {
    const uint4 unit = ((device const uint4*)scales)[block / 8u];
    return Packed{words(quants, block, part), scale_and_minimum(unit, block % 8u)};
}

static inline Part unpack(Packed p, uint) {
    return nibbles(p.q, p.s.x, p.s.y);
}
