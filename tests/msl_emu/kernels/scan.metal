#include <metal_stdlib>
using namespace metal;

// Inclusive prefix sums of each threadgroup's 256 numbers, then turned around within every simdgroup by way of threadgroup memory.
kernel void scan(device const uint* x [[buffer(0)]],
                 device uint*       y [[buffer(1)]],
                 uint gid  [[thread_position_in_grid]],
                 uint tid  [[thread_index_in_threadgroup]],
                 uint lane [[thread_index_in_simdgroup]],
                 uint sg   [[simdgroup_index_in_threadgroup]]) {
    threadgroup uint partial[8];
    threadgroup uint turned[256];
    const uint own = simd_prefix_inclusive_sum(x[gid]);
    if (lane == 31) partial[sg] = own;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    uint before = 0;
    for (uint i = 0; i < sg; ++i) before += partial[i];
    turned[tid] = own + before;
    simdgroup_barrier(mem_flags::mem_threadgroup);
    const uint across = turned[sg * 32 + 31 - lane];
    y[gid] = simd_shuffle(across, 31 - lane);
}
