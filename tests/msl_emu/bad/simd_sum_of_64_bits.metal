#include <metal_stdlib>
using namespace metal;
kernel void k(device ulong* x [[buffer(0)]]) { x[0] = simd_sum(x[0]); }
