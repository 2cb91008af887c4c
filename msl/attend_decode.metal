// Attention of single rows over their sequence's pages, split over the keys; see attend_decode.wgsl.
//
// A threadgroup owns one KV head of one row and SPLIT neighbouring keys, so that keys and values are read once for the GROUP query
// heads that share them. Eight lanes share a key, four keys a simdgroup: lanes read neighbouring vectors.
constant constexpr uint VECTORS = HEAD_DIM / 4u;
constant constexpr uint WORKERS = VECTORS * STREAMS; // threads with a part of the values; the others fill the last simdgroup

// Where the vectors of key `position` begin.
static inline uint place(device const uint* pages, uint sequence, uint position, uint kv_head) {
    const uint page = pages[sequence * MAX_PAGES + position / PAGE];
    return ((page * KV_HEADS + kv_head) * PAGE + position % PAGE) * VECTORS;
}

[[max_total_threads_per_threadgroup(WORKGROUP)]]
kernel void attend_decode(
    device const uint4* rows [[buffer(0)]],  // token, position, sequence of each row
    device const uint* pages [[buffer(1)]],  // [sequences, MAX_PAGES]
    device const float4* q [[buffer(2)]],    // [tokens, KV_HEADS GROUP, HEAD_DIM]
    device const uint* keys [[buffer(3)]],   // [pages, KV_HEADS, PAGE, HEAD_DIM]
    device const uint* values [[buffer(4)]], // as keys
    device float4* parts [[buffer(5)]],      // [tokens, KV_HEADS GROUP, splits, HEAD_DIM]
    device float2* peaks [[buffer(6)]],      // [tokens, KV_HEADS GROUP, splits]: maximum, sum
    uint3 group [[threadgroup_position_in_grid]],
    uint3 groups [[threadgroups_per_grid]],
    uint thread_index [[thread_index_in_threadgroup]],
    uint simdgroup [[simdgroup_index_in_threadgroup]],
    uint lane [[thread_index_in_simdgroup]])
{
    threadgroup float4 queries[GROUP * VECTORS];
    threadgroup float scores[GROUP * SPLIT];
    threadgroup float2 sums[GROUP];
    threadgroup float4 partial[WORKERS * GROUP];

    const uint kv_head = group.x;
    const uint4 row = rows[group.z];
    // Slots count from the split with the first key that the window shows; splits begin where they would without one.
    const uint seen = row.y + 1u > WINDOW ? row.y + 1u - WINDOW : 0u;
    const uint begin = (seen / SPLIT + group.y) * SPLIT;
    if (begin > row.y) {
        return;
    }
    const uint first = max(begin, seen);
    const uint count = min(begin + SPLIT, row.y + 1u) - first;
    const uint head = (group.z * KV_HEADS + kv_head) * GROUP;
    const uint simdgroups = WORKGROUP / 32u;

    for (uint i = thread_index; i < GROUP * VECTORS; i += WORKGROUP) {
        queries[i] = q[head * VECTORS + i];
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);

    const uint eighth = lane % 8u;
    for (uint four = 4u * simdgroup; four < count; four += 4u * simdgroups) {
        // Keys past the end repeat the last one and are not stored.
        const uint key = four + lane / 8u;
        const uint start = place(pages, row.z, first + min(key, count - 1u), kv_head);
        float dots[GROUP] = {};
        for (uint v = eighth; v < VECTORS; v += 8u) {
            const float4 k = kv_at(keys, start + v);
            #pragma unroll
            for (uint g = 0; g < GROUP; g++) {
                dots[g] += total(queries[g * VECTORS + v] * k);
            }
        }
        #pragma unroll
        for (uint g = 0; g < GROUP; g++) {
            float s = dots[g];
            s += simd_shuffle_xor(s, 1);
            s += simd_shuffle_xor(s, 2);
            s += simd_shuffle_xor(s, 4);
            s *= SCALE;
            if (CAPPED) {
                s = capped(s);
            }
            if (eighth == 0u && key < count) {
                scores[g * SPLIT + key] = s;
            }
        }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);

    for (uint g = simdgroup; g < GROUP; g += simdgroups) {
        float peak = -3.4e38f;
        for (uint key = lane; key < count; key += 32u) {
            peak = max(peak, scores[g * SPLIT + key]);
        }
        peak = simd_max(peak);
        float sum = 0.0f;
        for (uint key = lane; key < count; key += 32u) {
            const float e = exp(scores[g * SPLIT + key] - peak);
            scores[g * SPLIT + key] = e;
            sum += e;
        }
        sum = simd_sum(sum);
        if (lane == 0u) {
            sums[g] = float2(peak, sum);
        }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);

    const uint vector = thread_index % VECTORS;
    const uint stream = thread_index / VECTORS;
    if (stream < STREAMS) {
        float4 acc[GROUP] = {};
        for (uint key = stream; key < count; key += STREAMS) {
            const float4 v = kv_at(values, place(pages, row.z, first + key, kv_head) + vector);
            #pragma unroll
            for (uint g = 0; g < GROUP; g++) {
                acc[g] = fma(float4(scores[g * SPLIT + key]), v, acc[g]);
            }
        }
        #pragma unroll
        for (uint g = 0; g < GROUP; g++) {
            partial[g * WORKERS + thread_index] = acc[g];
        }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);

    for (uint item = thread_index; item < GROUP * VECTORS; item += WORKGROUP) {
        const uint g = item / VECTORS;
        const uint v = item % VECTORS;
        float4 joined = partial[g * WORKERS + v];
        for (uint s = 1; s < STREAMS; s++) {
            joined += partial[g * WORKERS + s * VECTORS + v];
        }
        const uint at = (head + g) * groups.y + group.y;
        if (!SHARED) {
            joined = joined / sums[g].y;
        } else if (v == 0u) {
            peaks[at] = sums[g];
        }
        parts[at * VECTORS + v] = joined;
    }
}
