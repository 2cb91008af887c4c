#include <metal_stdlib>
using namespace metal;
kernel void k(device float* x [[buffer(0)]]) {
    static float count = 0;
    x[0] = count;
}
