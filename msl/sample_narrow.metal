// Finds the value of the next eight bits of the threshold in a histogram, and clears it; see sample_narrow.wgsl.
//
// A lane has 8 bins, from the largest down; sums over the lanes before it tell which of all bins it is.
constant constexpr uint OWN = 256u / WORKGROUP;

// a / b, rounded down, for results below 2^31; all ones where b is 0.
static inline uint quotient(ulong a, uint b) {
    return b == 0u ? 0x7FFFFFFFu : uint(a / b);
}

[[max_total_threads_per_threadgroup(WORKGROUP)]]
kernel void sample_narrow(
    device const Settings* settings [[buffer(0)]], // [sequences]
    device const uint* targets [[buffer(1)]],      // [outputs]: the row that gets the token
    device const uint4* rows [[buffer(2)]],        // token, position, sequence of each row
    device uint* bins [[buffer(3)]],               // [outputs, 3, 256]: tokens, mass low, mass high
    device Selection* selections [[buffer(4)]],    // [outputs]
    uint3 group [[threadgroup_position_in_grid]],
    uint lane [[thread_index_in_simdgroup]])
{
    const uint output = group.x;
    device uint* own = bins + output * 768u;
    uint counts[OWN];
    ulong masses[OWN];
    uint count = 0;
    ulong sum = 0;
    #pragma unroll
    for (uint i = 0; i < OWN; i++) {
        const uint bin = 255u - (lane * OWN + i);
        counts[i] = own[bin];
        masses[i] = as_type<ulong>(uint2(own[256u + bin], own[512u + bin]));
        own[bin] = 0u;
        own[256u + bin] = 0u;
        own[512u + bin] = 0u;
        count += counts[i];
        sum += masses[i];
    }
    const uint top_k = settings[rows[targets[output]].z].top_k;
    const uint top_p = settings[rows[targets[output]].z].top_p;
    if (BY_MASS ? top_p == 0xFFFFFFFFu : top_k == 0u) {
        return;
    }
    Selection state = selections[output];
    uint tokens_above = simd_prefix_exclusive_sum(count);
    ulong mass_above = sum_before(sum, lane);
    ulong goal = as_type<ulong>(state.goal);
    if (PASS == 0u) {
        state.prefix = 0u;
        if (BY_MASS) {
            const ulong everything = from_lane(mass_above + sum, WORKGROUP - 1u);
            const ulong all = top_k == 0u || !AFTER_TOP_K ? everything : as_type<ulong>(state.above);
            goal = max(portion(all, top_p), 1ul);
        }
        state.above = uint2(0u);
    }
    // The first bin, from the largest down, with which enough is kept; else the last.
    uint found = 0xFFFFFFFFu;
    uint tokens = 0;
    ulong kept = 0;
    uint in_bin = 0;
    ulong mass_in_bin = 0;
    #pragma unroll
    for (uint i = 0; i < OWN; i++) {
        const uint place = lane * OWN + i;
        const bool enough = BY_MASS ? mass_above + masses[i] >= goal : tokens_above + counts[i] >= state.wanted;
        if (found == 0xFFFFFFFFu && (enough || place == 255u)) {
            found = place;
            tokens = tokens_above;
            kept = mass_above;
            in_bin = counts[i];
            mass_in_bin = masses[i];
        }
        tokens_above += counts[i];
        mass_above += masses[i];
    }
    // Every lane has read what one of them is about to write.
    simdgroup_barrier(mem_flags::mem_device);
    if (simd_min(found) != found || found == 0xFFFFFFFFu) {
        return;
    }
    ulong above = as_type<ulong>(state.above);
    if (BY_MASS) {
        goal -= kept;
    } else {
        state.wanted -= tokens;
        above += kept;
    }
    state.prefix = (state.prefix << 8u) | (255u - found);
    if (PASS == 3u) {
        state.threshold = state.prefix;
        // All tokens on the threshold weigh the same: as many are kept as it takes.
        const uint each = quotient(mass_in_bin, in_bin);
        if (BY_MASS) {
            state.ties = clamp(quotient(goal + max(each, 1u) - 1u, each), 1u, in_bin);
        } else {
            state.ties = min(state.wanted, in_bin);
            above += ulong(each) * state.ties;
        }
    }
    state.goal = as_type<uint2>(goal);
    state.above = as_type<uint2>(above);
    selections[output] = state;
}
