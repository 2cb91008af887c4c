#include <metal_stdlib>
using namespace metal;
kernel void k(device float* x [[buffer(0)]]) {
    threadgroup atomic_float sum;
    atomic_fetch_add_explicit(&sum, 1.0f, memory_order_relaxed);
    x[0] = 1;
}
