// What opens a gated feed-forward layer: SiLU, or the tanh form of GELU. Both are v times a sigmoid, and half of 1 + tanh(u) is the
// sigmoid of 2u: written so, no large value overflows to anything but its limit.
static inline float activation(float v) {
    float slope = v;
    if (GELU) {
        slope = 1.5957691216057308f * (v + 0.044715f * v * v * v);
    }
    return v / (1.0f + exp(-slope));
}
