#include <metal_stdlib>
using namespace metal;
#include "common.h"
kernel void k(device float* x [[buffer(0)]]) { x[0] = 1; }
