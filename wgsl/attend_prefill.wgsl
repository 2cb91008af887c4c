// Causal attention of a chunk of rows over pages, in tiles of QUERIES rows of one sequence and KEYS keys.
//
// A workgroup owns one query head and one tile of rows and walks the tiles of keys up to its last row, keeping a running maximum
// and sum per row (online softmax). Tiles that the mask hides entirely are never visited.
var<workgroup> scores: array<vec4<f32>, QUERIES * KEYS / 4u>; // [QUERIES / 4, KEYS] of 4 rows each
var<workgroup> peaks: array<vec4<f32>, QUERIES / 4u>;         // of 4 rows each, as everything kept per row
var<workgroup> sums: array<vec4<f32>, QUERIES / 4u>;
var<workgroup> fades: array<vec4<f32>, QUERIES / 4u>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let head = group.x;
    let kv_head = head / GROUP;
    let first = group.y * QUERIES;
    let sequence = rows[first].z;
    let last = last_key(first);
    if thread < QUERIES / 4u {
        peaks[thread] = vec4<f32>(HIDDEN);
        sums[thread] = vec4<f32>();
    }
    var acc: array<vec4<f32>, 4u * ITEMS>;
    let block = thread / 16u; // of four rows
    let lane = thread % 16u;  // of four keys
    let row = first + 4u * block;

    for (var base = first_tile(first); base <= u32(last); base += KEYS) {
        // Keys past the end stand for the last one; the mask hides them.
        starts[thread] = place(sequence, min(base + thread, u32(last)), kv_head);
        workgroupBarrier();

        let s = products(row, head, vec4<u32>(starts[lane], starts[lane + 16u], starts[lane + 32u], starts[lane + 48u]));
        let limit = limits(row);
        let key = vec4<i32>(i32(base + lane));
        scores[block * KEYS + lane] = shown(s.s0, key, limit);
        scores[block * KEYS + lane + 16u] = shown(s.s1, key + 16, limit);
        scores[block * KEYS + lane + 32u] = shown(s.s2, key + 32, limit);
        scores[block * KEYS + lane + 48u] = shown(s.s3, key + 48, limit);
        workgroupBarrier();

        // A thread takes four rows: were each to write its component of a vector, one might undo what another has written.
        if thread < QUERIES / 4u {
            let start = thread * KEYS;
            var peak = peaks[thread];
            for (var k = 0u; k < KEYS; k++) {
                peak = max(peak, scores[start + k]);
            }
            let fade = exp(peaks[thread] - peak);
            var sum = sums[thread] * fade;
            for (var k = 0u; k < KEYS; k++) {
                // A row that sees nothing of this tile must not count its hidden keys as ones.
                let s = scores[start + k];
                let e = select(exp(s - peak), vec4<f32>(), s == vec4<f32>(HIDDEN));
                scores[start + k] = e;
                sum += e;
            }
            peaks[thread] = peak;
            sums[thread] = sum;
            fades[thread] = fade;
        }
        workgroupBarrier();

        for (var i = 0u; i < ITEMS; i++) {
            let item = thread + i * WORKGROUP;
            let four_rows = item / VECTORS;
            let vector = item % VECTORS;
            if four_rows < 4u {
                let fade = fades[four_rows];
                var o0 = acc[4u * i] * fade.x;
                var o1 = acc[4u * i + 1u] * fade.y;
                var o2 = acc[4u * i + 2u] * fade.z;
                var o3 = acc[4u * i + 3u] * fade.w;
                let count = min(KEYS, u32(last) + 1u - base);
                for (var k = 0u; k < count; k++) {
                    let p = scores[four_rows * KEYS + k];
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
    for (var i = 0u; i < ITEMS; i++) {
        let item = thread + i * WORKGROUP;
        let four_rows = item / VECTORS;
        for (var j = 0u; j < 4u; j++) {
            let r = 4u * four_rows + j;
            if four_rows < 4u && position(first + r) >= 0 {
                y[((first + r) * HEADS + head) * VECTORS + item % VECTORS] = acc[4u * i + j] / sums[four_rows][j];
            }
        }
    }
}
