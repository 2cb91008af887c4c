// y[c, r] = sum_k w[r, k] x[c, k] for WIDTH columns c, with what surrounds it in a layer folded in; see matvec.wgsl.
//
// A simdgroup owns OWNED rows (twice as many where GATED). A lane multiplies 16 neighbouring weights of each row at a time, so that
// 32 lanes read 512 neighbouring weights; the activations of these 16 columns are loaded and scaled once for all rows. Nothing is
// shared but the final sums. The order of summation of a column does not depend on WIDTH. Loops over small arrays are unrolled, so
// that the arrays stay in registers.
constant constexpr uint PARTS = 2u * BLOCKS;
constant constexpr uint HELD = GATED ? 2u * OWNED : OWNED; // rows of weights
constant constexpr uint AT_ONCE = WIDTH < 4u ? WIDTH : 4u; // columns whose activations are held

struct Activations {
    float4 a0; // of the first eight weights
    float4 a1;
    float4 a2; // of the second eight
    float4 a3;
    float sum;     // of all 16, or of the first eight where HALVES, for formats with a minimum
    float high;    // of the second eight where HALVES
    float squares; // before the gain, for NORM
};

static inline Activations activations(device const float4* x, device const float4* gain, uint block, uint part) {
    const uint first = 8u * block + (SPREAD ? 2u : 4u) * part;
    const uint second = first + (SPREAD ? 4u : 2u);
    float4 a0 = x[first];
    float4 a1 = x[first + 1u];
    float4 a2 = x[second];
    float4 a3 = x[second + 1u];
    Activations a;
    a.squares = 0.0f;
    if (NORM) {
        a.squares = total(fma(a3, a3, fma(a2, a2, fma(a1, a1, a0 * a0))));
        a0 *= gain[first];
        a1 *= gain[first + 1u];
        a2 *= gain[second];
        a3 *= gain[second + 1u];
    }
    a.sum = 0.0f;
    a.high = 0.0f;
    if (HAS_MINIMUM && HALVES) {
        a.sum = total(a0 + a1);
        a.high = total(a2 + a3);
    } else if (HAS_MINIMUM) {
        a.sum = total((a0 + a1) + (a2 + a3));
    }
    a.a0 = a0 * LOW;
    a.a1 = a1 * LOW;
    a.a2 = a2 * HIGH;
    a.a3 = a3 * HIGH;
    return a;
}

static inline float product(Part w, Activations a) {
    float4 t = fma(w.q1, a.a1, w.q0 * a.a0);
    float p;
    if (HALVES) {
        p = fma(total(fma(w.q3, a.a3, w.q2 * a.a2)), w.d_high, total(t) * w.d);
    } else {
        p = total(fma(w.q3, a.a3, fma(w.q2, a.a2, t)));
        if (HAS_SCALE) {
            p *= w.d;
        }
    }
    if (HAS_MINIMUM) {
        p = fma(w.m, a.sum, p);
        if (HALVES) {
            p = fma(w.m_high, a.high, p);
        }
    }
    return p;
}

[[max_total_threads_per_threadgroup(WORKGROUP)]]
kernel void matvec(
    device const uint* quants [[buffer(0)]],    // plane of quants
    device const uint* scales [[buffer(1)]],    // plane of scales
    device const float4* gain [[buffer(2)]],    // [32 BLOCKS]; anything unless NORM
    device const float4* x [[buffer(3)]],       // [WIDTH, 32 BLOCKS]
    device const float* residual [[buffer(4)]], // [WIDTH, STRIDE]; anything unless RESIDUAL
    device float* y [[buffer(5)]],              // [WIDTH, STRIDE], rows FIRST to FIRST + ROWS
    uint3 group [[threadgroup_position_in_grid]],
    uint3 groups [[threadgroups_per_grid]],
    uint simdgroup [[simdgroup_index_in_threadgroup]],
    uint lane [[thread_index_in_simdgroup]])
{
    const uint row = (group.y * groups.x + group.x) * ROWS_PER_WORKGROUP + simdgroup * OWNED;
    if (row >= ROWS) {
        return;
    }
    uint starts[HELD];
    #pragma unroll
    for (uint r = 0; r < HELD; r++) {
        // Rows past the end repeat the last one and are not stored.
        const uint gate = min(row + r % OWNED, ROWS - 1u);
        starts[r] = (r < OWNED ? gate : gate + ROWS) * BLOCKS;
    }
    float sums[WIDTH][HELD] = {};
    float squares[WIDTH] = {};
    for (uint at = lane; at < PARTS; at += 32u) {
        const uint block = at / 2u;
        const uint part = at % 2u;
        Packed packed[HELD];
        #pragma unroll
        for (uint r = 0; r < HELD; r++) {
            packed[r] = load(quants, scales, starts[r] + block, part);
        }
        #pragma unroll
        for (uint first = 0; first < WIDTH; first += AT_ONCE) {
            Activations a[AT_ONCE];
            #pragma unroll
            for (uint c = 0; c < AT_ONCE; c++) {
                if (first + c < WIDTH) {
                    a[c] = activations(x + (first + c) * 8u * BLOCKS, gain, block, part);
                    squares[first + c] += a[c].squares;
                }
            }
            #pragma unroll
            for (uint r = 0; r < HELD; r++) {
                const Part w = unpack(packed[r], part);
                #pragma unroll
                for (uint c = 0; c < AT_ONCE; c++) {
                    if (first + c < WIDTH) {
                        sums[first + c][r] += product(w, a[c]);
                    }
                }
            }
        }
    }
    #pragma unroll
    for (uint c = 0; c < WIDTH; c++) {
        float scale = 1.0f;
        if (NORM) {
            scale = rsqrt(simd_sum(squares[c]) / (32.0f * float(BLOCKS)) + EPS);
        }
        // Every lane has every sum; lane r keeps row r's, so that neighbours are stored together.
        float first = 0.0f;
        float second = 0.0f;
        #pragma unroll
        for (uint r = 0; r < OWNED; r++) {
            const float sum = simd_sum(sums[c][r]);
            first = lane == r ? sum : first;
            if (GATED) {
                const float other = simd_sum(sums[c][HELD - OWNED + r]);
                second = lane == r ? other : second;
            }
        }
        if (lane < OWNED && row + lane < ROWS) {
            float value = first * scale;
            if (GATED) {
                value = activation(value) * (second * scale);
            }
            const uint at = c * STRIDE + FIRST + row + lane;
            if (RESIDUAL) {
                value += residual[at];
            }
            y[at] = value;
        }
    }
}
