#include <metal_stdlib>
using namespace metal;
struct P { float a; };
kernel void k(device P* x [[buffer(0)]]) { P p = x[0]; x[0] = simd_sum(p); }
