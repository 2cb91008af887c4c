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
