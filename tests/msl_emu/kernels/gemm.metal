#include <metal_stdlib>
#include <metal_simdgroup_matrix>
using namespace metal;

struct GemmParams { uint M, N, K; };
constant constexpr uint BM = 32, BN = 32, BK = 16;

// C[M,N] = A[M,K] (half) * B[N,K]^T (half), float accumulate; 4 simdgroups, each a 16x16 quadrant
template <typename T>
void stage(device const T* src, threadgroup T* dst, uint ld, uint rows_left, uint tid) {
    for (uint i = tid; i < 32 * BK; i += 128) {
        const uint r = i / BK, c = i % BK;
        dst[r * BK + c] = r < rows_left ? src[r * ld + c] : T(0);
    }
}

kernel void gemm_f16(device const half*    A [[buffer(0)]],
                     device const half*    B [[buffer(1)]],
                     device float*         C [[buffer(2)]],
                     constant GemmParams&  p [[buffer(3)]],
                     uint2 tg  [[threadgroup_position_in_grid]],
                     uint tid  [[thread_index_in_threadgroup]],
                     uint sg   [[simdgroup_index_in_threadgroup]]) {
    threadgroup half As[BM * BK];
    threadgroup half Bs[BN * BK];
    threadgroup float out[BM * BN];
    const uint m0 = tg.y * BM, n0 = tg.x * BN;
    const uint sm = (sg / 2) * 16, sn = (sg % 2) * 16;

    simdgroup_float8x8 acc[2][2];
    for (uint i = 0; i < 2; ++i)
        for (uint j = 0; j < 2; ++j) acc[i][j] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);

    for (uint k0 = 0; k0 < p.K; k0 += BK) {
        stage(A + m0 * p.K + k0, As, p.K, p.M - m0, tid);
        stage(B + n0 * p.K + k0, Bs, p.K, p.N - n0, tid);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (uint kk = 0; kk < BK; kk += 8) {
            simdgroup_half8x8 a[2], b[2];
            for (uint i = 0; i < 2; ++i) {
                simdgroup_load(a[i], As + (sm + i * 8) * BK + kk, BK);
                simdgroup_load(b[i], Bs + (sn + i * 8) * BK + kk, BK, ulong2(0), true);
            }
            for (uint i = 0; i < 2; ++i)
                for (uint j = 0; j < 2; ++j)
                    simdgroup_multiply_accumulate(acc[i][j], a[i], b[j], acc[i][j]);
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    for (uint i = 0; i < 2; ++i)
        for (uint j = 0; j < 2; ++j)
            simdgroup_store(acc[i][j], out + (sm + i * 8) * BN + sn + j * 8, BN);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint i = tid; i < BM * BN; i += 128) {
        const uint r = m0 + i / BN, c = n0 + i % BN;
        if (r < p.M && c < p.N) C[r * p.N + c] = out[i];
    }
}
