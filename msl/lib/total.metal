// Sum of a vector, always in this order.
static inline float total(float4 v) {
    return (v.x + v.y) + (v.z + v.w);
}
