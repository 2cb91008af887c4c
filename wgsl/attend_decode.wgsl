// Attention of single rows over their sequence's pages, split over the keys.
//
// A workgroup owns one KV head of one row and SPLIT neighbouring keys; the GROUP query heads that share the KV head share it, so
// keys and values are read once. Scores stay in workgroup memory: one pass over them finds the maximum, another makes weights of them.
// Where nothing is SHARED the result is normalised here, else attend_reduce joins the parts. Where a split begins depends on nothing
// but its number, so neighbours in a batch change nothing.
var<workgroup> scores: array<f32, GROUP * SPLIT>;
var<workgroup> sums: array<vec2<f32>, GROUP>;
var<workgroup> partial: array<vec4<f32>, WORKERS * GROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let kv_head = group.x;
    let row = rows[group.z];
    // Slots count from the split with the first key that the window shows; splits begin where they would without one.
    let seen = select(0u, row.y + 1u - WINDOW, row.y + 1u > WINDOW);
    let begin = (seen / SPLIT + group.y) * SPLIT;
    if begin > row.y {
        return;
    }
    let first = max(begin, seen);
    let count = min(begin + SPLIT, row.y + 1u) - first;
    let head = (group.z * KV_HEADS + kv_head) * GROUP;

    // Four keys at a time, so that a query's elements are loaded once for four. Keys past the end repeat the last one.
    for (var quad = 4u * thread; quad < count; quad += 4u * WORKGROUP) {
        let k0 = place(row.z, first + quad, kv_head);
        let k1 = place(row.z, first + min(quad + 1u, count - 1u), kv_head);
        let k2 = place(row.z, first + min(quad + 2u, count - 1u), kv_head);
        let k3 = place(row.z, first + min(quad + 3u, count - 1u), kv_head);
        var dots: array<vec4<f32>, GROUP>;
        for (var v = 0u; v < VECTORS; v++) {
            let a = key_at(k0 + v);
            let b = key_at(k1 + v);
            let c = key_at(k2 + v);
            let d = key_at(k3 + v);
            for (var g = 0u; g < GROUP; g++) {
                let p = q[(head + g) * VECTORS + v];
                dots[g] += vec4<f32>(total(p * a), total(p * b), total(p * c), total(p * d));
            }
        }
        for (var g = 0u; g < GROUP; g++) {
            let at = g * SPLIT + quad;
            var s = dots[g] * SCALE;
            if CAPPED {
                s = capped(s);
            }
            // Past the end a score repeats the last key's, and is not looked at: the plane has room for whole quads.
            scores[at] = s.x;
            scores[at + 1u] = s.y;
            scores[at + 2u] = s.z;
            scores[at + 3u] = s.w;
        }
    }
    workgroupBarrier();

    // Workgroups are whole subgroups of the size that was probed; where a driver varies it, lanes are counted.
    let lanes = subgroupAdd(1u);
    for (var g = subgroup; g < GROUP; g += subgroups) {
        var peak = -3.4e38;
        for (var key = lane; key < count; key += lanes) {
            peak = max(peak, scores[g * SPLIT + key]);
        }
        peak = subgroupMax(peak);
        var sum = 0.0;
        for (var key = lane; key < count; key += lanes) {
            let e = exp(scores[g * SPLIT + key] - peak);
            scores[g * SPLIT + key] = e;
            sum += e;
        }
        sum = subgroupAdd(sum);
        if lane == 0u {
            sums[g] = vec2<f32>(peak, sum);
        }
    }
    workgroupBarrier();

    let vector = thread % VECTORS;
    let stream = thread / VECTORS;
    var acc: array<vec4<f32>, GROUP>;
    for (var key = stream; key < count && stream < STREAMS; key += STREAMS) {
        let v = value_at(place(row.z, first + key, kv_head) + vector);
        for (var g = 0u; g < GROUP; g++) {
            acc[g] = fma(vec4<f32>(scores[g * SPLIT + key]), v, acc[g]);
        }
    }
    if stream < STREAMS {
        for (var g = 0u; g < GROUP; g++) {
            partial[g * WORKERS + thread] = acc[g];
        }
    }
    workgroupBarrier();

    for (var item = thread; item < GROUP * VECTORS; item += WORKGROUP) {
        let g = item / VECTORS;
        let v = item % VECTORS;
        var total = partial[g * WORKERS + v];
        for (var s = 1u; s < STREAMS; s++) {
            total += partial[g * WORKERS + s * VECTORS + v];
        }
        let at = (head + g) * groups.y + group.y;
        if !SHARED {
            total = total / sums[g].y;
        } else if v == 0u {
            peaks[at] = sums[g];
        }
        parts[at * VECTORS + v] = total;
    }
}
