#include <metal_stdlib>
using namespace metal;
template <typename T> kernel void k(device T* x [[buffer(0)]]) { x[0] = T(1); }
template [[host_name("k_float")]] kernel void k<float>(device float*);
