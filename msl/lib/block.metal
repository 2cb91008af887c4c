// 16 weights of a block of 32, as one lane multiplies them: two eights, w[i] = d q[i] LOW[i % 4] + m, and HIGH for the second eight,
// which has a scale and a minimum of its own in formats with HALVES. Part p of a block is weights 16 p to 16 p + 15, or where a
// format is SPREAD weights 8 p to 8 p + 7 and those 16 further on, which share their words.
struct Part {
    float4 q0; // the first eight
    float4 q1;
    float4 q2; // the second eight
    float4 q3;
    float d;
    float m;
    float d_high; // of the second eight where HALVES
    float m_high;
};
