// What opens a gated feed-forward layer: SiLU, or the tanh form of GELU. Both are v times a sigmoid, and half of 1 + tanh(u) is the
// sigmoid of 2u: written so, no large value overflows to anything but its limit.
fn activation(v: f32) -> f32 {
    var slope = v;
    if GELU {
        slope = 1.5957691216057308 * (v + 0.044715 * v * v * v);
    }
    return v / (1.0 + exp(-slope));
}
