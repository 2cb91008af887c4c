#include <metal_stdlib>
using namespace metal;
constant bool BIAS [[function_constant(0)]];
kernel void k(device float* x [[buffer(0)]]) { x[0] = BIAS ? 1.0f : 0.0f; }
