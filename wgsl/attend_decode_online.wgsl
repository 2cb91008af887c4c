// Attention of single rows over their sequence's pages, split over the keys, in one walk over tiles of TILE keys.
//
// As attend_decode, whose bindings and splits these are, but no score outlives its tile: each head keeps the maximum and the sum of
// what it has seen, and what was added up fades when the maximum grows (online softmax: Milakov and Gimelshein, arXiv:1805.02867).
// It takes GROUP TILE scores of workgroup memory in place of GROUP SPLIT, and two barriers per tile more.
const LOWEST: f32 = -3.4e38;

var<workgroup> scores: array<f32, GROUP * TILE>;
var<workgroup> sums: array<vec2<f32>, GROUP>; // maximum and sum so far
var<workgroup> fades: array<f32, GROUP>;      // of what was added up before this tile
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

    for (var g = thread; g < GROUP; g += WORKGROUP) {
        sums[g] = vec2<f32>(LOWEST, 0.0);
    }
    // Workgroups are whole subgroups of the size that was probed; where a driver varies it, lanes are counted.
    let lanes = subgroupAdd(1u);
    let vector = thread % VECTORS;
    let stream = thread / VECTORS;
    var acc: array<vec4<f32>, GROUP>;
    for (var base = 0u; base < count; base += TILE) {
        let filled = min(TILE, count - base);
        for (var key = thread; key < filled; key += WORKGROUP) {
            let start = place(row.z, first + base + key, kv_head);
            var dots: array<f32, GROUP>;
            for (var v = 0u; v < VECTORS; v++) {
                let k = key_at(start + v);
                for (var g = 0u; g < GROUP; g++) {
                    dots[g] += total(q[(head + g) * VECTORS + v] * k);
                }
            }
            for (var g = 0u; g < GROUP; g++) {
                var s = dots[g] * SCALE;
                if CAPPED {
                    s = capped(vec4<f32>(s)).x;
                }
                scores[g * TILE + key] = s;
            }
        }
        workgroupBarrier();

        for (var g = subgroup; g < GROUP; g += subgroups) {
            // One lane alone reads and writes what is kept, so that none reads what another has written.
            var before = vec2<f32>(LOWEST, 0.0);
            if lane == 0u {
                before = sums[g];
            }
            var peak = before.x;
            for (var key = lane; key < filled; key += lanes) {
                peak = max(peak, scores[g * TILE + key]);
            }
            peak = subgroupMax(peak);
            var sum = 0.0;
            for (var key = lane; key < filled; key += lanes) {
                let e = exp(scores[g * TILE + key] - peak);
                scores[g * TILE + key] = e;
                sum += e;
            }
            sum = subgroupAdd(sum);
            if lane == 0u {
                let fade = exp(before.x - peak);
                fades[g] = fade;
                sums[g] = vec2<f32>(peak, fma(before.y, fade, sum));
            }
        }
        workgroupBarrier();

        for (var g = 0u; g < GROUP; g++) {
            acc[g] *= fades[g];
        }
        for (var key = stream; key < filled && stream < STREAMS; key += STREAMS) {
            let v = value_at(place(row.z, first + base + key, kv_head) + vector);
            for (var g = 0u; g < GROUP; g++) {
                acc[g] = fma(vec4<f32>(scores[g * TILE + key]), v, acc[g]);
            }
        }
        // The next tile's scores take the place of these.
        workgroupBarrier();
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
