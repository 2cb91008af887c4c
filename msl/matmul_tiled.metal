// y[t, r] = sum_k w[r, k] x[t, k] for many tokens t; RESIDUAL adds to it. See matmul_tiled.wgsl.
//
// A threadgroup owns a tile of TILE_ROWS rows and TILE_TOKENS tokens and walks the columns a block of 32 at a time: each thread
// unpacks 16 weights into half and brings 8 activations, which stay float because some models' do not fit a half. Then 4 simdgroups
// multiply: each owns half of the rows and half of the tokens, in simdgroup matrices with float sums.
constant constexpr uint W_PITCH = 40u; // halves between rows of weights
constant constexpr uint X_PITCH = 36u; // floats between tokens
constant constexpr uint ROW_TILES = TILE_ROWS / 16u; // matrices of a simdgroup over the rows
constant constexpr uint TOKEN_TILES = TILE_TOKENS / 16u;
constant constexpr uint SHARED = TILE_ROWS * W_PITCH / 2u + TILE_TOKENS * X_PITCH; // floats

[[max_total_threads_per_threadgroup(WORKGROUP)]]
kernel void matmul_tiled(
    device const uint* quants [[buffer(0)]],    // plane of quants
    device const uint* scales [[buffer(1)]],    // plane of scales
    device const float4* x [[buffer(2)]],       // [tokens, 32 BLOCKS]
    device const float* residual [[buffer(3)]], // [tokens, STRIDE]; anything unless RESIDUAL
    device float* y [[buffer(4)]],              // [tokens, STRIDE], rows FIRST to FIRST + ROWS
    constant uint* lengths [[buffer(5)]],       // bytes of each slot
    uint3 group [[threadgroup_position_in_grid]],
    uint thread_index [[thread_index_in_threadgroup]],
    uint simdgroup [[simdgroup_index_in_threadgroup]])
{
    static_assert(WORKGROUP == 128u && TILE_ROWS * 2u == WORKGROUP && TILE_TOKENS * 4u == WORKGROUP, "what a thread brings");
    static_assert(SHARED >= TILE_ROWS * TILE_TOKENS, "results pass through the same memory");
    threadgroup float shared[SHARED];
    threadgroup half* weights = (threadgroup half*)shared;               // [TILE_ROWS, W_PITCH]
    threadgroup float* columns = shared + TILE_ROWS * W_PITCH / 2u;      // [TILE_TOKENS, X_PITCH]
    const uint tokens = lengths[2] / (128u * BLOCKS);
    const uint row = group.x * TILE_ROWS;
    const uint token = group.y * TILE_TOKENS;

    // Rows and tokens past the end repeat the last one and are not stored.
    const uint part = thread_index % 2u;
    const uint own_row = thread_index / 2u;
    const uint start = min(row + own_row, ROWS - 1u) * BLOCKS;
    threadgroup half4* to_first = (threadgroup half4*)(weights + own_row * W_PITCH + (SPREAD ? 8u : 16u) * part);
    threadgroup half4* to_second = to_first + (SPREAD ? 4u : 2u);
    const uint own_token = thread_index / 4u;
    device const float4* from = x + min(token + own_token, tokens - 1u) * BLOCKS * 8u + thread_index % 4u * 2u;
    threadgroup float4* to_column = (threadgroup float4*)(columns + own_token * X_PITCH) + thread_index % 4u * 2u;

    // This simdgroup's corner of the tile.
    const uint first_row = simdgroup % 2u * (TILE_ROWS / 2u);
    const uint first_token = simdgroup / 2u * (TILE_TOKENS / 2u);
    simdgroup_float8x8 sums[TOKEN_TILES][ROW_TILES];
    #pragma unroll
    for (uint t = 0; t < TOKEN_TILES; t++) {
        #pragma unroll
        for (uint r = 0; r < ROW_TILES; r++) {
            sums[t][r] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
        }
    }
    for (uint block = 0; block < BLOCKS; block++) {
        const Part w = unpack(load(quants, scales, start + block, part), part);
        to_first[0] = half4(first_eight(w, w.q0));
        to_first[1] = half4(first_eight(w, w.q1));
        to_second[0] = half4(second_eight(w, w.q2));
        to_second[1] = half4(second_eight(w, w.q3));
        to_column[0] = from[block * 8u];
        to_column[1] = from[block * 8u + 1u];
        threadgroup_barrier(mem_flags::mem_threadgroup);
        #pragma unroll
        for (uint k = 0; k < 32u; k += 8u) {
            simdgroup_half8x8 a[ROW_TILES];
            #pragma unroll
            for (uint r = 0; r < ROW_TILES; r++) {
                simdgroup_load(a[r], weights + (first_row + 8u * r) * W_PITCH + k, W_PITCH, ulong2(0), true);
            }
            #pragma unroll
            for (uint t = 0; t < TOKEN_TILES; t++) {
                simdgroup_float8x8 b;
                simdgroup_load(b, columns + (first_token + 8u * t) * X_PITCH + k, X_PITCH);
                #pragma unroll
                for (uint r = 0; r < ROW_TILES; r++) {
                    simdgroup_multiply_accumulate(sums[t][r], b, a[r], sums[t][r]);
                }
            }
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    #pragma unroll
    for (uint t = 0; t < TOKEN_TILES; t++) {
        #pragma unroll
        for (uint r = 0; r < ROW_TILES; r++) {
            const uint at = (first_token + 8u * t) * TILE_ROWS + first_row + 8u * r;
            simdgroup_store(sums[t][r], shared + at, TILE_ROWS);
        }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint i = thread_index; i < TILE_ROWS * TILE_TOKENS; i += WORKGROUP) {
        const uint t = token + i / TILE_ROWS;
        const uint r = row + i % TILE_ROWS;
        if (t < tokens && r < ROWS) {
            const uint at = t * STRIDE + FIRST + r;
            y[at] = RESIDUAL ? shared[i] + residual[at] : shared[i];
        }
    }
}
