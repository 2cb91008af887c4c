#include <metal_stdlib>
using namespace metal;
kernel void k(device float* x [[buffer(0)]]) {
    float a[4] = {0};
    x[0] = *(float*)a;
}
