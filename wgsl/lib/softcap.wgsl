// CAP tanh(s / CAP): bends scores so that none passes CAP. Near zero a series keeps the digits that a difference of exponentials
// loses; far out the exponential is zero, never infinite.
fn capped(s: vec4<f32>) -> vec4<f32> {
    let x = s / CAP;
    let t = exp(-2.0 * abs(x));
    let far = sign(x) * (1.0 - t) / (1.0 + t);
    let q = x * x;
    let near = x * fma(q, fma(q, fma(q, fma(q, vec4<f32>(0.021869489), vec4<f32>(-0.053968254)), vec4<f32>(0.13333334)), vec4<f32>(-0.33333334)), vec4<f32>(1.0));
    return CAP * select(far, near, abs(x) < vec4<f32>(0.25));
}
