#include <metal_stdlib>
using namespace metal;

constant constexpr uint BINS = 16;

// How often each value modulo 16 occurs; every threadgroup counts for itself and adds to the whole.
kernel void histogram(device const uint*   x    [[buffer(0)]],
                      device atomic_uint*  bins [[buffer(1)]],
                      constant uint&       n    [[buffer(2)]],
                      uint gid  [[thread_position_in_grid]],
                      uint tid  [[thread_index_in_threadgroup]],
                      uint size [[threads_per_grid]]) {
    threadgroup atomic_uint local[BINS];
    if (tid < BINS) atomic_store_explicit(&local[tid], 0u, memory_order_relaxed);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint i = gid; i < n; i += size) {
        atomic_fetch_add_explicit(&local[x[i] % BINS], 1u, memory_order_relaxed);
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (tid < BINS) {
        atomic_fetch_add_explicit(&bins[tid], atomic_load_explicit(&local[tid], memory_order_relaxed), memory_order_relaxed);
    }
}
