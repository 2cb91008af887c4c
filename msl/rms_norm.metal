// RMSNorm of each row: y[r, c] = x[r, c] * gain[c] / sqrt(mean(x[r, :]^2) + EPS); RESIDUAL adds to it. See rms_norm.wgsl.
//
// One simdgroup owns one row; lanes stride over columns and reduce once, without a barrier.
[[max_total_threads_per_threadgroup(WORKGROUP)]]
kernel void rms_norm(
    device const float4* gain [[buffer(0)]],     // [4 VECTORS]
    device const float4* x [[buffer(1)]],        // [rows, 4 VECTORS]
    device const float4* residual [[buffer(2)]], // [rows, 4 VECTORS]; anything unless RESIDUAL
    device float4* y [[buffer(3)]],              // [rows, 4 VECTORS]
    constant uint* lengths [[buffer(4)]],        // bytes of each slot
    uint3 group [[threadgroup_position_in_grid]],
    uint3 groups [[threadgroups_per_grid]],
    uint simdgroup [[simdgroup_index_in_threadgroup]],
    uint simdgroups [[simdgroups_per_threadgroup]],
    uint lane [[thread_index_in_simdgroup]])
{
    const uint rows = lengths[3] / (16u * VECTORS);
    for (uint row = group.x * simdgroups + simdgroup; row < rows; row += groups.x * simdgroups) {
        const uint start = row * VECTORS;
        float4 squares = float4(0.0f);
        for (uint i = lane; i < VECTORS; i += 32u) {
            const float4 v = x[start + i];
            squares = fma(v, v, squares);
        }
        const float sum = simd_sum(total(squares));
        const float scale = rsqrt(sum / (4.0f * float(VECTORS)) + EPS);
        for (uint i = lane; i < VECTORS; i += 32u) {
            float4 value = x[start + i] * scale * gain[i];
            if (RESIDUAL) {
                value += residual[start + i];
            }
            y[start + i] = value;
        }
    }
}
