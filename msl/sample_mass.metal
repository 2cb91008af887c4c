// The mass of each chunk's kept tokens above the threshold, and how many of its tokens stand on it; see sample_mass.wgsl.
[[max_total_threads_per_threadgroup(WORKGROUP)]]
kernel void sample_mass(
    device const Settings* settings [[buffer(0)]],    // [sequences]
    device const uint* targets [[buffer(1)]],         // [outputs]: the row that gets the token
    device const uint4* rows [[buffer(2)]],           // token, position, sequence of each row
    device const float* scores [[buffer(3)]],         // [outputs, VOCAB]
    device const Selection* selections [[buffer(4)]], // [outputs]
    device uint4* chunks [[buffer(5)]],               // [outputs, chunks]: mass low, high, ties, 0
    uint3 group [[threadgroup_position_in_grid]],
    uint3 groups [[threadgroups_per_grid]],
    uint thread_index [[thread_index_in_threadgroup]],
    uint simdgroup [[simdgroup_index_in_threadgroup]],
    uint lane [[thread_index_in_simdgroup]])
{
    threadgroup uint4 sums[WORKGROUP / 32u];
    const uint output = group.y;
    const float peak = selections[output].peak;
    const uint threshold = selections[output].threshold;
    const float lowest = peak + settings[rows[targets[output]].z].floor;
    const uint end = min((group.x + 1u) * CHUNK, VOCAB);
    // Halves of masses: those of a whole chunk fit a word.
    uint low = 0;
    uint high = 0;
    uint ties = 0;
    for (uint id = group.x * CHUNK + thread_index; id < end; id += WORKGROUP) {
        const float score = scores[output * VOCAB + id];
        const uint k = key(score);
        if (score >= lowest && k > threshold) {
            const uint m = mass(score, peak);
            low += m & 0xFFFFu;
            high += m >> 16u;
        } else if (score >= lowest && k == threshold) {
            ties++;
        }
    }
    const uint4 own = uint4(simd_sum(low), simd_sum(high), simd_sum(ties), 0u);
    if (lane == 0u) {
        sums[simdgroup] = own;
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (thread_index == 0u) {
        uint4 total = sums[0];
        for (uint i = 1; i < WORKGROUP / 32u; i++) {
            total += sums[i];
        }
        chunks[output * groups.x + group.x] = uint4(as_type<uint2>(join(total.x, total.y)), total.z, 0u);
    }
}
