#include <metal_stdlib>
using namespace metal;
kernel void k(device float* x [[buffer(0)]]) {
again:
    x[0] += 1;
    if (x[0] < 3) goto again;
}
