#include <metal_stdlib>
using namespace metal;

#define ROWS_PER_SG 4
#define SG_PER_TG 2

struct GemvParams { uint rows; uint cols; };
struct block_q4 { half d; uchar qs[16]; };   // 32 weights, 18 bytes, w = d*(q-8); low nibbles first half

constant bool HAS_BIAS = true;

kernel void gemv_q4_f16(device const block_q4* w     [[buffer(0)]],
                        device const half*     x     [[buffer(1)]],
                        device half*           y     [[buffer(2)]],
                        constant GemvParams&   p     [[buffer(3)]],
                        device const half*     bias  [[buffer(4)]],
                        uint3 tgpig [[threadgroup_position_in_grid]],
                        ushort lane [[thread_index_in_simdgroup]],
                        ushort sg   [[simdgroup_index_in_threadgroup]]) {
    const uint nb = p.cols / 32;
    const uint row0 = (tgpig.x * SG_PER_TG + sg) * ROWS_PER_SG;
    float acc[ROWS_PER_SG] = {0.0f};
    // two lanes share one block: lane parity picks low/high 8 bytes
    const uint half_sel = lane & 1;
    for (uint b = lane / 2; b < nb; b += 16) {
        device const half* xb = x + b * 32 + half_sel * 8;
        const half4 x0 = *(device const half4*)(xb);
        const half4 x1 = *(device const half4*)(xb + 4);
        const half4 x2 = *(device const half4*)(xb + 16);
        const half4 x3 = *(device const half4*)(xb + 20);
        for (uint r = 0; r < ROWS_PER_SG; ++r) {
            const uint row = min(row0 + r, p.rows - 1); // rows past the end repeat the last one
            device const block_q4& blk = w[row * nb + b];
            device const uchar* q = blk.qs + half_sel * 8;
            float s = 0.0f;
            for (ushort i = 0; i < 4; ++i) {
                s += float(x0[i]) * float(int(q[i] & 0xF) - 8);
                s += float(x1[i]) * float(int(q[i + 4] & 0xF) - 8);
                s += float(x2[i]) * float(int(q[i] >> 4) - 8);
                s += float(x3[i]) * float(int(q[i + 4] >> 4) - 8);
            }
            acc[r] = fma(float(blk.d), s, acc[r]);
        }
    }
    for (uint r = 0; r < ROWS_PER_SG; ++r) {
        const float t = simd_sum(acc[r]);
        if (lane == 0 && row0 + r < p.rows) {
            y[row0 + r] = half(t + (HAS_BIAS ? float(bias[row0 + r]) : 0.0f));
        }
    }
}
