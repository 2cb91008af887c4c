#include <metal_stdlib>
using namespace metal;
kernel void k(constant float* x [[buffer(0)]], device float* y [[buffer(1)]]) {
    simdgroup_float8x8 a;
    simdgroup_load(a, x);
    simdgroup_store(a, y);
}
