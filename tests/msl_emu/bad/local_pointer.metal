#include <metal_stdlib>
using namespace metal;
kernel void k(device float* x [[buffer(0)]]) {
    float* p = x + 1;
    p[0] = 1;
}
