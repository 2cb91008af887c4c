#include <metal_stdlib>
using namespace metal;
template <typename T> T f(T a) { if constexpr (sizeof(T) == 4) { return a; } else { return a + a; } }
kernel void k(device float* x [[buffer(0)]]) { x[0] = f(x[0]); }
