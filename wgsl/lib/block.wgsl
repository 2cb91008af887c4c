// 32 weights of one block: w[i] = d * q[i] * LOW[i % 4] + m for the first 16, with HIGH for the others, which have a scale and a
// minimum of their own in formats with HALVES.
struct Raw {
    q0: vec4<f32>, // weights 0-3
    q1: vec4<f32>,
    q2: vec4<f32>,
    q3: vec4<f32>,
    q4: vec4<f32>, // weights 16-19
    q5: vec4<f32>,
    q6: vec4<f32>,
    q7: vec4<f32>,
    d: f32,
    m: f32,
    d_high: f32, // of weights 16-31 where HALVES
    m_high: f32,
}
