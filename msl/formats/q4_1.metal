// 4 bits, a scale and a minimum: w = d q + m.
struct Packed {
    uint2 q;
    half2 s;
};

static inline Packed load(device const uint* quants, device const uint* scales, uint block, uint part) {
    return Packed{words(quants, block, part), ((device const half2*)scales)[block]};
}

static inline Part unpack(Packed p, uint) {
    return nibbles(p.q, float(p.s.x), float(p.s.y));
}
