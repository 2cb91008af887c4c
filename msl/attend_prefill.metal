// Causal attention of a chunk of rows over pages, in tiles of QUERIES rows of one sequence and KEYS keys; see
// attend_prefill.wgsl.
//
// A threadgroup owns one query head and one tile of rows. Each of its two simdgroups owns eight rows: it multiplies them by the keys
// of a tile in simdgroup matrices, keeps a running maximum and sum per row (online softmax), fades what it has by a diagonal matrix,
// and adds the weighted values. Tiles, and eights of keys, that the mask hides from all rows are never read.
constant constexpr uint DIMS = HEAD_DIM / 8u; // matrices across a head
constant constexpr float HIDDEN = -1e30f;

template <bool HALF> struct Element { typedef float type; };
template <> struct Element<true> { typedef half type; };
typedef Element<HALF_KV>::type Kv;

[[max_total_threads_per_threadgroup(WORKGROUP)]]
kernel void attend_prefill(
    device const uint4* rows [[buffer(0)]],  // token, position, sequence of each row
    device const uint* pages [[buffer(1)]],  // [sequences, MAX_PAGES]
    device const float* q [[buffer(2)]],     // [tokens, HEADS, HEAD_DIM]
    device const uint* keys [[buffer(3)]],   // [pages, HEADS / GROUP, PAGE, HEAD_DIM]
    device const uint* values [[buffer(4)]], // as keys
    device float* y [[buffer(5)]],           // [tokens, HEADS, HEAD_DIM]
    constant uint* lengths [[buffer(6)]],    // bytes of each slot
    uint3 group [[threadgroup_position_in_grid]],
    uint thread_index [[thread_index_in_threadgroup]],
    uint simdgroup [[simdgroup_index_in_threadgroup]],
    uint lane [[thread_index_in_simdgroup]])
{
    static_assert(QUERIES == 16u && WORKGROUP == 64u && KEYS == 64u && PAGE % 8u == 0u, "two simdgroups of eight rows; eights in a page");
    threadgroup float queries[QUERIES * HEAD_DIM];
    threadgroup float scores[QUERIES * KEYS];
    threadgroup float diagonals[2 * 64];
    threadgroup float tail[8 * HEAD_DIM]; // values of the last keys, without what lies past the end

    const uint count = lengths[0] / 16u;
    const uint head = group.x;
    const uint kv_head = head / GROUP;
    const uint first = group.y * QUERIES;
    const uint sequence = rows[first].z;
    uint last = 0;
    for (uint i = 0; i < QUERIES && first + i < count; i++) {
        last = max(last, rows[first + i].y);
    }
    // Rows past the end repeat the last one and are not stored.
    for (uint i = thread_index; i < QUERIES * HEAD_DIM; i += WORKGROUP) {
        const uint row = min(first + i / HEAD_DIM, count - 1u);
        queries[i] = q[(row * HEADS + head) * HEAD_DIM + i % HEAD_DIM];
    }
    for (uint i = thread_index; i < 2u * 64u; i += WORKGROUP) {
        diagonals[i] = 0.0f;
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);

    threadgroup float* own_queries = queries + simdgroup * 8u * HEAD_DIM;
    threadgroup float* own_scores = scores + simdgroup * 8u * KEYS;
    threadgroup float* diagonal = diagonals + simdgroup * 64u;
    simdgroup_float8x8 sums[DIMS];
    #pragma unroll
    for (uint d = 0; d < DIMS; d++) {
        sums[d] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
    }
    // Lane r < 8 keeps what row r has so far.
    float peak = HIDDEN;
    float weight = 0.0f;

    const uint oldest = rows[first].y + 1u;
    const uint begin = oldest > WINDOW ? (oldest - WINDOW) / KEYS * KEYS : 0u;
    for (uint base = begin; base <= last; base += KEYS) {
        const uint eights = min(KEYS, last + 1u - base + 7u) / 8u;
        for (uint e = 0; e < eights; e++) {
            const uint position = base + 8u * e;
            const uint page = pages[sequence * MAX_PAGES + position / PAGE];
            device const Kv* k = (device const Kv*)keys + ((page * (HEADS / GROUP) + kv_head) * PAGE + position % PAGE) * HEAD_DIM;
            simdgroup_float8x8 s = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
            #pragma unroll
            for (uint d = 0; d < DIMS; d++) {
                simdgroup_float8x8 a;
                simdgroup_matrix<Kv, 8, 8> b;
                simdgroup_load(a, own_queries + 8u * d, HEAD_DIM);
                simdgroup_load(b, k + 8u * d, HEAD_DIM, ulong2(0), true);
                simdgroup_multiply_accumulate(s, a, b, s);
            }
            simdgroup_store(s, own_scores + 8u * e, KEYS);
        }
        simdgroup_barrier(mem_flags::mem_threadgroup);

        for (uint r = 0; r < 8u; r++) {
            const uint row = first + simdgroup * 8u + r;
            const int limit = row < count ? int(rows[row].y) : -1;
            float own[2];
            float highest = HIDDEN;
            for (uint i = 0; i < 2u; i++) {
                const uint k = lane + 32u * i;
                const int key = int(base + k);
                own[i] = HIDDEN;
                // Keys past the end are whatever lay in their page before.
                if (k < 8u * eights && key <= limit && key + int(WINDOW) > limit) {
                    const float s = own_scores[r * KEYS + k] * SCALE;
                    own[i] = CAPPED ? capped(s) : s;
                }
                highest = max(highest, own[i]);
            }
            const float before = simd_shuffle(peak, ushort(r));
            const float now = max(before, simd_max(highest));
            float sum = 0.0f;
            for (uint i = 0; i < 2u; i++) {
                // A row that sees nothing of this tile must not count its hidden keys as ones.
                const float e = own[i] == HIDDEN ? 0.0f : exp(own[i] - now);
                own_scores[r * KEYS + lane + 32u * i] = e;
                sum += e;
            }
            sum = simd_sum(sum);
            const float fade = exp(before - now);
            if (lane == r) {
                peak = now;
                weight = weight * fade + sum;
                diagonal[9u * r] = fade;
            }
        }
        simdgroup_barrier(mem_flags::mem_threadgroup);

        simdgroup_float8x8 fade;
        simdgroup_load(fade, diagonal, 8);
        #pragma unroll
        for (uint d = 0; d < DIMS; d++) {
            simdgroup_float8x8 faded;
            simdgroup_multiply(faded, fade, sums[d]);
            sums[d] = faded;
        }
        for (uint e = 0; e < eights; e++) {
            const uint position = base + 8u * e;
            const uint page = pages[sequence * MAX_PAGES + position / PAGE];
            const uint start = ((page * (HEADS / GROUP) + kv_head) * PAGE + position % PAGE) * HEAD_DIM;
            simdgroup_float8x8 p;
            simdgroup_load(p, own_scores + 8u * e, KEYS);
            if (position + 7u <= last) {
                device const Kv* v = (device const Kv*)values + start;
                #pragma unroll
                for (uint d = 0; d < DIMS; d++) {
                    simdgroup_matrix<Kv, 8, 8> b;
                    simdgroup_load(b, v + 8u * d, HEAD_DIM);
                    simdgroup_multiply_accumulate(sums[d], p, b, sums[d]);
                }
            } else {
                // The last eight: a weight of zero does not silence a NaN that lies past the end.
                for (uint i = thread_index; i < 8u * HEAD_DIM; i += WORKGROUP) {
                    tail[i] = position + i / HEAD_DIM <= last ? float(((device const Kv*)values)[start + i]) : 0.0f;
                }
                threadgroup_barrier(mem_flags::mem_threadgroup);
                #pragma unroll
                for (uint d = 0; d < DIMS; d++) {
                    simdgroup_float8x8 b;
                    simdgroup_load(b, tail + 8u * d, HEAD_DIM);
                    simdgroup_multiply_accumulate(sums[d], p, b, sums[d]);
                }
            }
        }
        simdgroup_barrier(mem_flags::mem_threadgroup);
    }

    // Rows past the end have no weight; they are not stored.
    if (lane < 8u) {
        diagonal[9u * lane] = weight > 0.0f ? 1.0f / weight : 0.0f;
    }
    simdgroup_barrier(mem_flags::mem_threadgroup);
    simdgroup_float8x8 inverse;
    simdgroup_load(inverse, diagonal, 8);
    #pragma unroll
    for (uint d = 0; d < DIMS; d++) {
        simdgroup_float8x8 o;
        simdgroup_multiply(o, inverse, sums[d]);
        simdgroup_store(o, own_queries + 8u * d, HEAD_DIM);
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint i = thread_index; i < QUERIES * HEAD_DIM; i += WORKGROUP) {
        const uint row = first + i / HEAD_DIM;
        if (row < count) {
            y[(row * HEADS + head) * HEAD_DIM + i % HEAD_DIM] = queries[i];
        }
    }
}
