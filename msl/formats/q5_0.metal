// 5 bits and a scale: w = d (q - 16). Three words per two blocks: their fifth bits, then both scales.
constant float4 LOW = float4(1.0f);
constant float4 HIGH = float4(1.0f);
constant constexpr bool SPREAD = true;
constant constexpr bool HALVES = false;
constant constexpr bool HAS_SCALE = true;
constant constexpr bool HAS_MINIMUM = true;

struct Packed {
    uint2 q;
    uint fifth;
    half d;
};

static inline Packed load(device const uint* quants, device const uint* scales, uint block, uint part) {
    const uint pair = block / 2u * 3u;
    const uint odd = block % 2u;
    const uint2 q = ((device const uint2*)quants)[2u * block + part];
    return Packed{q, scales[pair + odd], ((device const half*)scales)[2u * (pair + 2u) + odd]};
}

// Nibbles of one word from bit `shift` of each byte on, and four fifth bits from bit `start` of `fifth` on.
static inline float4 five(uint word, uint fifth, uint shift, uint start) {
    const uint4 nibbles = (uint4(word >> shift) >> uint4(0u, 8u, 16u, 24u)) & uint4(15u);
    const uint4 bits = ((uint4(fifth >> start) >> uint4(0u, 1u, 2u, 3u)) & uint4(1u)) << uint4(4u);
    return float4(int4(nibbles | bits));
}

static inline Part unpack(Packed p, uint part) {
    const float d = float(p.d);
    const float m = -16.0f * d;
    const uint at = 8u * part;
    return Part{five(p.q.x, p.fifth, 0u, at), five(p.q.y, p.fifth, 0u, at + 4u), five(p.q.x, p.fifth, 4u, at + 16u),
        five(p.q.y, p.fifth, 4u, at + 20u), d, m, d, m};
}
