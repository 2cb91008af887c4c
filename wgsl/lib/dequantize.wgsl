// The 32 weights themselves. Expects Raw and the format's constants.
fn dequantize(raw: Raw) -> Raw {
    var w = raw;
    if HAS_SCALE {
        let low = LOW * raw.d;
        let high = HIGH * select(raw.d, raw.d_high, HALVES);
        let m = vec4<f32>(raw.m);
        let m_high = vec4<f32>(select(raw.m, raw.m_high, HALVES));
        w.q0 = fma(raw.q0, low, m);
        w.q1 = fma(raw.q1, low, m);
        w.q2 = fma(raw.q2, low, m);
        w.q3 = fma(raw.q3, low, m);
        w.q4 = fma(raw.q4, high, m_high);
        w.q5 = fma(raw.q5, high, m_high);
        w.q6 = fma(raw.q6, high, m_high);
        w.q7 = fma(raw.q7, high, m_high);
    }
    return w;
}
