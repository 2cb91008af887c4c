// Causal attention of a chunk of rows over pages, each tile of rows of one sequence, in two walks over the tiles of keys.
//
// As attend_prefill, whose bindings and tiles these are. The first walk finds each row's largest score; in the second a score becomes
// a weight as soon as it is known, and nothing that was added up has to fade. Scores are computed twice, because all of a chunk's would
// be [heads, rows, keys]: more than the cache of the whole sequence. In return a tile has two barriers less, and no part that few
// threads do for all.
var<workgroup> weights: array<vec4<f32>, QUERIES * KEYS / 4u>; // [QUERIES / 4, KEYS] of 4 rows each
var<workgroup> found: array<vec4<f32>, WORKGROUP>;             // what each thread knows of its four rows
var<workgroup> kept: array<vec4<f32>, QUERIES / 4u>;           // and what is known of them: first maxima, then sums

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let head = group.x;
    let kv_head = head / GROUP;
    let first = group.y * QUERIES;
    let sequence = rows[first].z;
    let last = last_key(first);
    let begin = first_tile(first);
    let block = thread / 16u; // of four rows
    let lane = thread % 16u;  // of four keys
    let row = first + 4u * block;
    let limit = limits(row);

    var peak = vec4<f32>(HIDDEN);
    for (var base = begin; base <= u32(last); base += KEYS) {
        // Keys past the end stand for the last one; the mask hides them.
        starts[thread] = place(sequence, min(base + thread, u32(last)), kv_head);
        workgroupBarrier();
        let s = products(row, head, vec4<u32>(starts[lane], starts[lane + 16u], starts[lane + 32u], starts[lane + 48u]));
        let key = vec4<i32>(i32(base + lane));
        peak = max(peak, max(shown(s.s0, key, limit), shown(s.s1, key + 16, limit)));
        peak = max(peak, max(shown(s.s2, key + 32, limit), shown(s.s3, key + 48, limit)));
        workgroupBarrier();
    }
    found[thread] = peak;
    workgroupBarrier();
    if thread < QUERIES / 4u {
        var largest = found[16u * thread];
        for (var i = 1u; i < 16u; i++) {
            largest = max(largest, found[16u * thread + i]);
        }
        kept[thread] = largest;
    }
    workgroupBarrier();
    peak = kept[block];

    var sum = vec4<f32>();
    var acc: array<vec4<f32>, 4u * ITEMS>;
    for (var base = begin; base <= u32(last); base += KEYS) {
        starts[thread] = place(sequence, min(base + thread, u32(last)), kv_head);
        workgroupBarrier();
        let s = products(row, head, vec4<u32>(starts[lane], starts[lane + 16u], starts[lane + 32u], starts[lane + 48u]));
        let key = vec4<i32>(i32(base + lane));
        // Every row sees its own key, so that hidden ones weigh nothing beside its maximum. Rows past the end are not stored.
        let e0 = exp(shown(s.s0, key, limit) - peak);
        let e1 = exp(shown(s.s1, key + 16, limit) - peak);
        let e2 = exp(shown(s.s2, key + 32, limit) - peak);
        let e3 = exp(shown(s.s3, key + 48, limit) - peak);
        weights[block * KEYS + lane] = e0;
        weights[block * KEYS + lane + 16u] = e1;
        weights[block * KEYS + lane + 32u] = e2;
        weights[block * KEYS + lane + 48u] = e3;
        sum += (e0 + e1) + (e2 + e3);
        workgroupBarrier();

        for (var i = 0u; i < ITEMS; i++) {
            let item = thread + i * WORKGROUP;
            let four_rows = item / VECTORS;
            let vector = item % VECTORS;
            if four_rows < 4u {
                var o0 = acc[4u * i];
                var o1 = acc[4u * i + 1u];
                var o2 = acc[4u * i + 2u];
                var o3 = acc[4u * i + 3u];
                let count = min(KEYS, u32(last) + 1u - base);
                for (var k = 0u; k < count; k++) {
                    let p = weights[four_rows * KEYS + k];
                    let v = value_at(starts[k] + vector);
                    o0 = fma(vec4<f32>(p.x), v, o0);
                    o1 = fma(vec4<f32>(p.y), v, o1);
                    o2 = fma(vec4<f32>(p.z), v, o2);
                    o3 = fma(vec4<f32>(p.w), v, o3);
                }
                acc[4u * i] = o0;
                acc[4u * i + 1u] = o1;
                acc[4u * i + 2u] = o2;
                acc[4u * i + 3u] = o3;
            }
        }
        workgroupBarrier();
    }
    found[thread] = sum;
    workgroupBarrier();
    if thread < QUERIES / 4u {
        var all = found[16u * thread];
        for (var i = 1u; i < 16u; i++) {
            all += found[16u * thread + i];
        }
        kept[thread] = all;
    }
    workgroupBarrier();
    for (var i = 0u; i < ITEMS; i++) {
        let item = thread + i * WORKGROUP;
        let four_rows = item / VECTORS;
        for (var j = 0u; j < 4u; j++) {
            let r = 4u * four_rows + j;
            if four_rows < 4u && position(first + r) >= 0 {
                y[((first + r) * HEADS + head) * VECTORS + item % VECTORS] = acc[4u * i + j] / kept[four_rows][j];
            }
        }
    }
}
