// What the sampling kernels share; see sample.wgsl. The layout of one sequence's settings, and of one output's selection.
struct Settings {
    float inverse_temperature; // 0: greedy
    uint top_k;                // 0: off
    uint top_p;                // fraction of 2^32; 0xFFFFFFFF: off
    float floor;               // ln(min_p)
    float repetition;
    float inverse_repetition;
    float presence;
    float frequency;
    uint2 seed;
    uint unused[6];
};

struct Selection {
    float peak;  // largest score
    uint best;   // its token, the lowest among equals
    uint prefix; // digits of the threshold found so far
    uint wanted; // tokens still to be kept
    uint2 goal;  // mass still to be kept, low and high word
    uint threshold; // every key above stays
    uint ties;      // and so many of those at it, lowest ids first
    uint2 above;    // mass above the prefix, low and high word
    uint unused[6];
};

// Unsigned integers that sort as the floats do.
static inline uint key(float score) {
    const uint bits = as_type<uint>(score);
    return bits >> 31u == 1u ? ~bits : bits | 0x80000000u;
}

// The largest key of a simdgroup and the lowest token that has it, in every lane.
static inline uint2 best_of(uint2 own) {
    const uint top = simd_max(own.x);
    return uint2(top, simd_min(own.x == top ? own.y : 0xFFFFFFFFu));
}

// The same of a threadgroup of WORKGROUP threads, in every lane of its first simdgroup; `tops` has room for one per simdgroup.
static inline uint2 best_of_all(uint2 own, threadgroup uint2* tops, uint simdgroup, uint lane) {
    const uint2 winner = best_of(own);
    if (lane == 0u) {
        tops[simdgroup] = winner;
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    return best_of(lane < WORKGROUP / 32u ? tops[lane] : uint2(0u, 0xFFFFFFFFu));
}

// The score that has a key.
static inline float score_of(uint key) {
    return as_type<float>(key >> 31u == 1u ? key & 0x7FFFFFFFu : ~key);
}

// exp(score - peak) in fixed point with 30 fractional bits.
static inline uint mass(float score, float peak) {
    return uint(precise::exp(score - peak) * 1073741824.0f + 0.5f);
}

// a * fraction / 2^32, rounded down; a below 2^63.
static inline ulong portion(ulong a, uint fraction) {
    return (a >> 32u) * fraction + (((a & 0xFFFFFFFFul) * fraction) >> 32u);
}

// Sums of halves of masses, put together.
static inline ulong join(uint low, uint high) {
    return (ulong(high) << 16u) + low;
}

// What a lane has, in another's hands.
static inline ulong from_lane(ulong own, uint lane) {
    return as_type<ulong>(simd_shuffle(as_type<uint2>(own), ushort(lane)));
}

// The sum over all lanes before this one.
static inline ulong sum_before(ulong own, uint lane) {
    ulong sum = own;
    for (uint step = 1; step < 32u; step *= 2u) {
        const uint2 other = simd_shuffle_up(as_type<uint2>(sum), ushort(step));
        sum += lane >= step ? as_type<ulong>(other) : 0ul;
    }
    return sum - own;
}
