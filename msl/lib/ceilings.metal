// What the matrix units can do at best, for comparison. Expects WORKGROUP, ROUNDS and the type Number.
// 4 products of 8 × 8 matrices per round and simdgroup, which do not wait for each other.
[[max_total_threads_per_threadgroup(WORKGROUP)]]
kernel void matrices(
    device const uint4* x [[buffer(0)]], // [1 or more]
    device uint4* y [[buffer(1)]],       // [64 per simdgroup]
    uint thread_index [[thread_position_in_grid]])
{
    // A product of such matrices has the same numbers again, so that sums grow slowly. The number comes from memory, lest it be known.
    const simdgroup_matrix<Number, 8, 8> m = make_filled_simdgroup_matrix<Number, 8, 8>(Number(x[0].x == 0xFFFFFFFFu ? 0.25f : 0.125f));
    simdgroup_matrix<Number, 8, 8> a = m;
    simdgroup_matrix<Number, 8, 8> b = m;
    simdgroup_matrix<Number, 8, 8> c = m;
    simdgroup_matrix<Number, 8, 8> d = m;
    for (uint round = 0; round < ROUNDS; round++) {
        simdgroup_multiply_accumulate(a, m, m, a);
        simdgroup_multiply_accumulate(b, m, m, b);
        simdgroup_multiply_accumulate(c, m, m, c);
        simdgroup_multiply_accumulate(d, m, m, d);
    }
    device Number* sums = (device Number*)(y + thread_index / 32u * 64u);
    simdgroup_store(a, sums, 8);
    simdgroup_store(b, sums + 64, 8);
    simdgroup_store(c, sums + 128, 8);
    simdgroup_store(d, sums + 192, 8);
}
