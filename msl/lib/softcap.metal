// CAP tanh(s / CAP): bends scores so that none passes CAP. Near zero a series keeps the digits that a difference of exponentials
// loses; far out the exponential is zero, never infinite.
static inline float capped(float s) {
    const float x = s / CAP;
    const float t = exp(-2.0f * fabs(x));
    const float beyond = (1.0f - t) / (1.0f + t);
    const float far = x < 0.0f ? -beyond : beyond;
    const float q = x * x;
    const float near = x * fma(q, fma(q, fma(q, fma(q, 0.021869489f, -0.053968254f), 0.13333334f), -0.33333334f), 1.0f);
    return CAP * (fabs(x) < 0.25f ? near : far);
}
