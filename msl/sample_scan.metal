// scores = (logits after penalties) / temperature, and the best of each chunk of CHUNK tokens; see sample_scan.wgsl.
[[max_total_threads_per_threadgroup(WORKGROUP)]]
kernel void sample_scan(
    device const Settings* settings [[buffer(0)]], // [sequences]
    device const uint* targets [[buffer(1)]],      // [outputs]: the row that gets the token
    device const uint4* rows [[buffer(2)]],        // token, position, sequence of each row
    device const uint* counts [[buffer(3)]],       // [sequences, VOCAB]; anything unless PENALTIES
    device const float* logits [[buffer(4)]],      // [outputs, VOCAB]
    device float* scores [[buffer(5)]],            // [outputs, VOCAB]
    device uint2* best [[buffer(6)]],              // [outputs, chunks]: score key, token
    uint3 group [[threadgroup_position_in_grid]],
    uint3 groups [[threadgroups_per_grid]],
    uint thread_index [[thread_index_in_threadgroup]],
    uint simdgroup [[simdgroup_index_in_threadgroup]],
    uint lane [[thread_index_in_simdgroup]])
{
    threadgroup uint2 tops[WORKGROUP / 32u];
    const uint output = group.y;
    const uint sequence = rows[targets[output]].z;
    const Settings s = settings[sequence];
    const float scale = s.inverse_temperature == 0.0f ? 1.0f : s.inverse_temperature;
    const uint end = min((group.x + 1u) * CHUNK, VOCAB);
    float top = -3.4028235e38f;
    uint token = 0xFFFFFFFFu;
    bool damaged = false;
    for (uint id = group.x * CHUNK + thread_index; id < end; id += WORKGROUP) {
        float score = logits[output * VOCAB + id];
        if (PENALTIES) {
            const uint count = counts[sequence * VOCAB + id];
            const uint times = count & 0x7FFFFFFFu;
            if (count != 0u) {
                score *= score > 0.0f ? s.inverse_repetition : s.repetition;
            }
            if (times != 0u) {
                score = score - s.presence - s.frequency * float(times);
            }
        }
        score *= scale;
        scores[output * VOCAB + id] = score;
        // One NaN means that the model is damaged: it wins, as a token that does not exist.
        // By its bits: compilers may take every number to be equal to itself.
        if ((as_type<uint>(score) & 0x7FFFFFFFu) > 0x7F800000u) {
            damaged = true;
        }
        if (score > top) {
            top = score;
            token = id;
        }
    }
    const uint2 winner = best_of_all(damaged ? uint2(0xFFFFFFFFu) : uint2(key(top), token), tops, simdgroup, lane);
    if (thread_index == 0u) {
        best[output * groups.x + group.x] = winner;
    }
}
