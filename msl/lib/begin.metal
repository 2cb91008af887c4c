#include <metal_stdlib>
using namespace metal;
// Sums keep the order they are written in, at every width: where a compiler is free to choose, it may choose differently per kernel.
#pragma METAL fp math_mode(safe)
#pragma METAL fp contract(off)
