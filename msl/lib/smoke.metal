// What overrides rely on, in one small kernel: slots, the length of a binding, shared memory, a barrier, a sum over a simdgroup.
// y[i] = 2 x[63 - i] + the length of x; y[64] = lanes of a simdgroup.
kernel void smoke(
    device const float* x [[buffer(0)]],       // [64]
    device float* y [[buffer(1)]],             // [65]
    constant uint* lengths [[buffer(2)]],      // bytes of each slot
    uint thread_index [[thread_index_in_threadgroup]])
{
    threadgroup float turned[64];
    turned[63 - thread_index] = x[thread_index];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    y[thread_index] = 2.0f * turned[thread_index] + float(lengths[0] / 4u);
    const float lanes = simd_sum(1.0f);
    if (thread_index == 0) {
        y[64] = lanes;
    }
}
