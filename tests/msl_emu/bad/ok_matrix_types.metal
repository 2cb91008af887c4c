#include <metal_stdlib>
using namespace metal;
// Published kernels multiply half by float.
kernel void k(device half* x [[buffer(0)]], device float* y [[buffer(1)]]) {
    simdgroup_half8x8 a;
    simdgroup_float8x8 b, c(0.0f);
    simdgroup_load(a, x);
    simdgroup_load(b, y);
    simdgroup_multiply_accumulate(c, a, b, c);
    simdgroup_store(c, y);
}
