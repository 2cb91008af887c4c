#include <metal_stdlib>
using namespace metal;
kernel void k(device float* x [[buffer(0)]]) { x[0] = as_type<float>(half2(1.0h).x); }
