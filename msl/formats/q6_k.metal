// 6 bits; signed scales of 8 bits for 16 weights, their half factor for 256: w = d s (q - 32). 41 words per 16 blocks: two of high
// bits for each, both factors, then twice 16 scales.
constant constexpr bool HALVES = true;

struct Packed {
    uint2 q;
    uint a; // high bits of the first 16 weights
    uint b; // of the last 16
    float d;
    float e;
};

static inline Packed load(device const uint* quants, device const uint* scales, uint block, uint part) {
    const uint unit = block / 16u * 41u;
    const uint at = unit + block % 16u * 2u;
    const float factor = float(((device const half*)scales)[2u * (unit + 32u) + block / 8u % 2u]);
    const char2 pair = ((device const char2*)scales)[2u * (unit + 33u) + block % 16u];
    return Packed{words(quants, block, part), scales[at], scales[at + 1u], factor * float(pair.x), factor * float(pair.y)};
}

static inline float4 six(uint word, uint high, uint shift) {
    return bytes((word & 0x0F0F0F0Fu) | (((high >> shift) & 0x03030303u) << 4u));
}

static inline Part unpack(Packed p, uint part) {
    const uint2 h = p.q >> uint2(4u);
    const uint shift = 4u * part;
    return Part{six(p.q.x, p.a, shift), six(p.q.y, p.a, shift + 2u), six(h.x, p.b, shift), six(h.y, p.b, shift + 2u),
        p.d, -32.0f * p.d, p.e, -32.0f * p.e};
}
