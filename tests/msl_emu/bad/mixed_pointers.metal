#include <metal_stdlib>
using namespace metal;
kernel void k(device float* x [[buffer(0)]], constant float* y [[buffer(1)]]) {
    device const float* p = y;
    x[0] = p[0];
}
