// Four neighbouring elements of keys or values, which are half or float.
static inline float4 kv_at(device const uint* pages, uint vector) {
    if (HALF_KV) {
        return float4(((device const half4*)pages)[vector]);
    }
    return ((device const float4*)pages)[vector];
}
