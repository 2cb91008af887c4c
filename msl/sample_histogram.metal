// How many tokens, and how much mass, fall on each value of the next eight bits of the threshold; see sample_histogram.wgsl.
[[max_total_threads_per_threadgroup(WORKGROUP)]]
kernel void sample_histogram(
    device const float* scores [[buffer(0)]],         // [outputs, VOCAB]
    device const Selection* selections [[buffer(1)]], // [outputs]
    device atomic_uint* bins [[buffer(2)]],           // [outputs, 3, 256]: tokens, mass low, mass high
    uint3 group [[threadgroup_position_in_grid]],
    uint thread_index [[thread_index_in_threadgroup]])
{
    threadgroup atomic_uint local_bins[768];
    const uint output = group.y;
    for (uint i = thread_index; i < 768u; i += WORKGROUP) {
        atomic_store_explicit(&local_bins[i], 0u, memory_order_relaxed);
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    const float peak = selections[output].peak;
    const uint prefix = selections[output].prefix;
    const uint threshold = selections[output].threshold;
    const uint end = min((group.x + 1u) * CHUNK, VOCAB);
    for (uint id = group.x * CHUNK + thread_index; id < end; id += WORKGROUP) {
        const float score = scores[output * VOCAB + id];
        const uint k = key(score);
        // A shift by 32 is not defined, so the first pass does not look at the prefix.
        if (k < threshold || (PASS > 0u && k >> ((32u - 8u * PASS) & 31u) != prefix)) {
            continue;
        }
        const uint bin = (k >> (24u - 8u * PASS)) & 255u;
        atomic_fetch_add_explicit(&local_bins[bin], 1u, memory_order_relaxed);
        if (MASS) {
            const uint m = mass(score, peak);
            atomic_fetch_add_explicit(&local_bins[256u + bin], m & 0xFFFFu, memory_order_relaxed);
            atomic_fetch_add_explicit(&local_bins[512u + bin], m >> 16u, memory_order_relaxed);
        }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint bin = thread_index; bin < 256u; bin += WORKGROUP) {
        const uint count = atomic_load_explicit(&local_bins[bin], memory_order_relaxed);
        if (count == 0u) {
            continue;
        }
        device atomic_uint* to = bins + output * 768u + bin;
        atomic_fetch_add_explicit(to, count, memory_order_relaxed);
        if (MASS) {
            // Halves of a chunk's masses fit a word; those of a vocabulary need 64 bits, and carry.
            const ulong m = join(
                atomic_load_explicit(&local_bins[256u + bin], memory_order_relaxed),
                atomic_load_explicit(&local_bins[512u + bin], memory_order_relaxed));
            const uint low = uint(m);
            const uint before = atomic_fetch_add_explicit(to + 256, low, memory_order_relaxed);
            const uint carry = before + low < before ? 1u : 0u;
            atomic_fetch_add_explicit(to + 512, uint(m >> 32u) + carry, memory_order_relaxed);
        }
    }
}
