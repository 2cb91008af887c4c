// 5 bits; scale and minimum of 6 bits per block, their half factors per 8 blocks. Twelve words per 8 blocks: four of scales, then a
// word of fifth bits for each.
constant constexpr bool HALVES = false;

struct Packed {
    uint2 q;
    uint fifth;
    float2 s;
};

static inline Packed load(device const uint* quants, device const uint* scales, uint block, uint part) {
    const uint unit = block / 8u * 12u;
    const uint4 words_of_scales = ((device const uint4*)scales)[unit / 4u];
    return Packed{words(quants, block, part), scales[unit + 4u + block % 8u], scale_and_minimum(words_of_scales, block % 8u)};
}

static inline float4 five(uint word, uint fifth, uint bit) {
    return bytes((word & 0x0F0F0F0Fu) | (((fifth >> bit) & 0x01010101u) << 4u));
}

static inline Part unpack(Packed p, uint part) {
    const uint2 h = p.q >> uint2(4u);
    const uint bit = 2u * part;
    return Part{five(p.q.x, p.fifth, bit), five(p.q.y, p.fifth, bit + 1u), five(h.x, p.fifth, bit + 4u),
        five(h.y, p.fifth, bit + 5u), p.s.x, p.s.y, p.s.x, p.s.y};
}
