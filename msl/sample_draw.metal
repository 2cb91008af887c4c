// Draws a token: a random number falls on the kept mass in order of ids; see sample_draw.wgsl.
//
// One simdgroup. A lane has SPAN chunks, then OWN tokens of the chunk that the number falls into; sums over the lanes before it
// tell where it falls.
constant constexpr uint SPAN = (CHUNKS + WORKGROUP - 1u) / WORKGROUP;
constant constexpr uint OWN = CHUNK / WORKGROUP;

// Philox 2x32-10 (Salmon et al. 2011).
static inline uint random(uint2 seed, uint counter) {
    uint2 x = uint2(counter, seed.y);
    uint k = seed.x;
    for (uint round = 0; round < 10u; round++) {
        const ulong p = ulong(0xD256D193u) * x.x;
        x = uint2(uint(p >> 32u) ^ k ^ x.y, uint(p));
        k += 0x9E3779B9u;
    }
    return x.x;
}

// How many of `more` tokens on the threshold are kept, where `before` of them came before.
static inline uint kept_ties(uint ties, uint before, uint more) {
    return min(ties - min(ties, before), more);
}

[[max_total_threads_per_threadgroup(WORKGROUP)]]
kernel void sample_draw(
    device const Settings* settings [[buffer(0)]],    // [sequences]
    device const uint* targets [[buffer(1)]],         // [outputs]: the row that gets the token
    device const float* scores [[buffer(2)]],         // [outputs, VOCAB]
    device const Selection* selections [[buffer(3)]], // [outputs]
    device const uint4* chunks [[buffer(4)]],         // [outputs, CHUNKS]: mass low, high, ties, 0
    device uint4* rows [[buffer(5)]],                 // token, position, sequence of each row
    device uint* counts [[buffer(6)]],                // [sequences, VOCAB]; anything unless PENALTIES
    uint3 group [[threadgroup_position_in_grid]],
    uint lane [[thread_index_in_simdgroup]])
{
    const uint output = group.x;
    const uint target_row = targets[output];
    const uint4 row = rows[target_row];
    const Settings s = settings[row.z];
    const Selection state = selections[output];
    uint token = state.best;
    if (s.inverse_temperature != 0.0f && state.best < VOCAB) {
        const uint each = state.threshold == 0u ? 0u : mass(score_of(state.threshold), state.peak);
        uint equal = 0;
        for (uint i = 0; i < SPAN; i++) {
            const uint c = lane * SPAN + i;
            equal += c < CHUNKS ? chunks[output * CHUNKS + c].z : 0u;
        }
        const uint equal_before = simd_prefix_exclusive_sum(equal);
        ulong own = 0;
        uint before = equal_before;
        for (uint i = 0; i < SPAN; i++) {
            const uint c = lane * SPAN + i;
            if (c < CHUNKS) {
                const uint4 chunk = chunks[output * CHUNKS + c];
                own += as_type<ulong>(chunk.xy) + ulong(each) * kept_ties(state.ties, before, chunk.z);
                before += chunk.z;
            }
        }
        ulong sum = sum_before(own, lane);
        const ulong all = from_lane(sum + own, WORKGROUP - 1u);
        ulong left = portion(all, random(s.seed, row.y));

        // The first chunk that the number falls into, else the last; what comes before it.
        uint found = 0xFFFFFFFFu;
        ulong passed = 0;
        uint passed_ties = 0;
        before = equal_before;
        for (uint i = 0; i < SPAN; i++) {
            const uint c = lane * SPAN + i;
            if (c < CHUNKS && found == 0xFFFFFFFFu) {
                const uint4 chunk = chunks[output * CHUNKS + c];
                const ulong weight = as_type<ulong>(chunk.xy) + ulong(each) * kept_ties(state.ties, before, chunk.z);
                if (left < sum + weight || c == CHUNKS - 1u) {
                    found = c;
                    passed = sum;
                    passed_ties = before;
                }
                sum += weight;
                before += chunk.z;
            }
        }
        const uint chunk = simd_min(found);
        left -= from_lane(passed, chunk / SPAN);
        const uint ties = state.ties - min(state.ties, simd_shuffle(passed_ties, ushort(chunk / SPAN)));

        const float lowest = state.peak + s.floor;
        const uint first = chunk * CHUNK + lane * OWN;
        equal = 0;
        for (uint i = 0; i < OWN; i++) {
            if (first + i < VOCAB) {
                const float score = scores[output * VOCAB + first + i];
                equal += score >= lowest && key(score) == state.threshold ? 1u : 0u;
            }
        }
        before = simd_prefix_exclusive_sum(equal);
        uint masses[OWN];
        uint last = 0; // one more than the last token with any mass
        own = 0;
        for (uint i = 0; i < OWN; i++) {
            masses[i] = 0u;
            if (first + i < VOCAB) {
                const float score = scores[output * VOCAB + first + i];
                const uint k = key(score);
                const bool tie = score >= lowest && k == state.threshold;
                if (score >= lowest && (k > state.threshold || (tie && before < ties))) {
                    masses[i] = mass(score, state.peak);
                }
                before += tie ? 1u : 0u;
                last = masses[i] > 0u ? first + i + 1u : last;
                own += masses[i];
            }
        }
        sum = sum_before(own, lane);
        uint drawn = 0xFFFFFFFFu;
        for (uint i = 0; i < OWN; i++) {
            sum += masses[i];
            if (drawn == 0xFFFFFFFFu && left < sum) {
                drawn = first + i;
            }
        }
        drawn = simd_min(drawn);
        last = simd_max(last);
        if (drawn != 0xFFFFFFFFu) {
            token = drawn;
        } else if (last > 0u) {
            token = last - 1u;
        }
    }
    // Every lane has read what one of them is about to write.
    simdgroup_barrier(mem_flags::mem_device);
    if (lane == 0u) {
        rows[target_row] = uint4(token, row.y + 1u, row.z, row.w);
        if (PENALTIES && token < VOCAB) {
            counts[row.z * VOCAB + token] += 1u;
        }
    }
}
