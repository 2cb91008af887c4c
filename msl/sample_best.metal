// The best of all chunks: the token itself where GREEDY, else where selection starts from; see sample_best.wgsl.
[[max_total_threads_per_threadgroup(WORKGROUP)]]
kernel void sample_best(
    device const Settings* settings [[buffer(0)]], // [sequences]
    device const uint* targets [[buffer(1)]],      // [outputs]: the row that gets the token
    device const uint2* best [[buffer(2)]],        // [outputs, CHUNKS]: score key, token
    device uint4* rows [[buffer(3)]],              // token, position, sequence of each row
    device uint* counts [[buffer(4)]],             // [sequences, VOCAB]; anything unless PENALTIES
    device Selection* selections [[buffer(5)]],    // [outputs]
    device uint* bins [[buffer(6)]],               // [outputs, 3, 256]
    uint3 group [[threadgroup_position_in_grid]],
    uint thread_index [[thread_index_in_threadgroup]],
    uint simdgroup [[simdgroup_index_in_threadgroup]],
    uint lane [[thread_index_in_simdgroup]])
{
    threadgroup uint2 tops[WORKGROUP / 32u];
    const uint output = group.x;
    uint2 own = uint2(0u, 0xFFFFFFFFu);
    for (uint i = thread_index; i < CHUNKS; i += WORKGROUP) {
        const uint2 other = best[output * CHUNKS + i];
        if (other.x > own.x || (other.x == own.x && other.y < own.y)) {
            own = other;
        }
    }
    if (!GREEDY) {
        for (uint i = thread_index; i < 768u; i += WORKGROUP) {
            bins[output * 768u + i] = 0u;
        }
    }
    const uint2 winner = best_of_all(own, tops, simdgroup, lane);
    if (thread_index != 0u) {
        return;
    }
    const uint target_row = targets[output];
    const uint4 row = rows[target_row];
    if (GREEDY) {
        rows[target_row] = uint4(winner.y, row.y + 1u, row.z, row.w);
        if (PENALTIES && winner.y < VOCAB) {
            counts[row.z * VOCAB + winner.y] += 1u;
        }
    } else {
        Selection chosen = {};
        chosen.peak = score_of(winner.x);
        chosen.best = winner.y;
        chosen.wanted = settings[row.z].top_k;
        chosen.ties = 0xFFFFFFFFu;
        selections[output] = chosen;
    }
}
