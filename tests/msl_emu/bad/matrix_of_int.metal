#include <metal_stdlib>
using namespace metal;
kernel void k(device int* x [[buffer(0)]]) {
    simdgroup_matrix<int, 8, 8> m;
    simdgroup_load(m, x);
}
