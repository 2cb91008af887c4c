// Joins what attend_decode made of the splits of each row: a sum weighted by how far each part's maximum is below the largest. See
// attend_reduce.wgsl.
constant constexpr uint VECTORS = HEAD_DIM / 4u;

[[max_total_threads_per_threadgroup(WORKGROUP)]]
kernel void attend_reduce(
    device const uint4* rows [[buffer(0)]],   // token, position, sequence of each row
    device const float4* parts [[buffer(1)]], // [tokens, HEADS, slots, HEAD_DIM]
    device const float2* peaks [[buffer(2)]], // [tokens, HEADS, slots]: maximum, sum
    device float4* y [[buffer(3)]],           // [tokens, HEADS, HEAD_DIM]
    constant uint* lengths [[buffer(4)]],     // bytes of each slot
    uint3 group [[threadgroup_position_in_grid]],
    uint vector [[thread_index_in_threadgroup]])
{
    const uint4 row = rows[group.y];
    const uint seen = row.y + 1u > WINDOW ? row.y + 1u - WINDOW : 0u;
    const uint splits = row.y / SPLIT + 1u - seen / SPLIT; // of this row; the longest row of the batch may need more slots
    const uint slots = lengths[2] / 8u / (HEADS * (lengths[0] / 16u));
    const uint head = group.y * HEADS + group.x;
    float peak = peaks[head * slots].x;
    for (uint s = 1; s < splits; s++) {
        peak = max(peak, peaks[head * slots + s].x);
    }
    float4 joined = float4(0.0f);
    float sum = 0.0f;
    for (uint s = 0; s < splits; s++) {
        const float2 part = peaks[head * slots + s];
        // The largest part weighs exactly one: a single split gives the same bits as one that was never reduced.
        const float weight = part.x == peak ? 1.0f : exp(part.x - peak);
        sum += part.y * weight;
        joined += parts[(head * slots + s) * VECTORS + vector] * weight;
    }
    y[head * VECTORS + vector] = joined / sum;
}
