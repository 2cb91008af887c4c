// The weights themselves: four of the first eight of a part, or of the second.
static inline float4 first_eight(Part p, float4 q) {
    return HAS_SCALE ? fma(q, LOW * p.d, float4(p.m)) : q;
}

static inline float4 second_eight(Part p, float4 q) {
    return HAS_SCALE ? fma(q, HIGH * p.d_high, float4(p.m_high)) : q;
}
