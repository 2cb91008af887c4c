// Causal attention of a chunk of rows of one sequence over its pages, in tiles of QUERIES rows and KEYS keys.
//
// A workgroup owns one query head and one tile of rows and walks the tiles of keys up to its last row, keeping a running maximum
// and sum per row (online softmax). Tiles that the mask hides entirely are never visited.
@group(0) @binding(0) var<storage, read_write> rows: array<vec4<u32>>;  // token, position, sequence of each row
@group(0) @binding(1) var<storage, read> pages: array<u32>;             // [sequences, MAX_PAGES]
@group(0) @binding(2) var<storage, read_write> q: array<vec4<f32>>;     // [tokens, HEADS, HEAD_DIM]
@group(0) @binding(3) var<storage, read_write> keys: array<vec2<u32>>;   // [pages, HEADS / GROUP, PAGE, HEAD_DIM]
@group(0) @binding(4) var<storage, read_write> values: array<vec2<u32>>; // as keys
@group(0) @binding(5) var<storage, read_write> y: array<vec4<f32>>;     // [tokens, HEADS, HEAD_DIM]

const VECTORS: u32 = HEAD_DIM / 4u;
const ITEMS: u32 = (4u * VECTORS + WORKGROUP - 1u) / WORKGROUP; // pairs of four rows and a vector, per thread
const HIDDEN: f32 = -1e30;

var<workgroup> scores: array<vec4<f32>, QUERIES * KEYS / 4u>; // [QUERIES / 4, KEYS] of 4 rows each
var<workgroup> starts: array<u32, KEYS>;                      // where each key of the tile begins
var<workgroup> peaks: array<vec4<f32>, QUERIES / 4u>;         // of 4 rows each, as everything kept per row
var<workgroup> sums: array<vec4<f32>, QUERIES / 4u>;
var<workgroup> fades: array<vec4<f32>, QUERIES / 4u>;

fn position(row: u32) -> i32 {
    if row < arrayLength(&rows) {
        return i32(rows[row].y);
    }
    return -1;
}

fn query(row: u32, head: u32, vector: u32) -> vec4<f32> {
    return q[(min(row, arrayLength(&rows) - 1u) * HEADS + head) * VECTORS + vector];
}

// What the rows whose last keys are `limit` make of their products with `key`.
fn shown(dots: vec4<f32>, key: vec4<i32>, limit: vec4<i32>) -> vec4<f32> {
    var s = dots * SCALE;
    if CAPPED {
        s = capped(s);
    }
    return select(vec4<f32>(HIDDEN), s, (key <= limit) & (key + i32(WINDOW) > limit));
}

fn four(a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>, k: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(total(a * k), total(b * k), total(c * k), total(d * k));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let head = group.x;
    let kv_head = head / GROUP;
    let first = group.y * QUERIES;
    let sequence = rows[first].z;
    var last = 0;
    for (var i = 0u; i < QUERIES; i++) {
        last = max(last, position(first + i));
    }
    if thread < QUERIES / 4u {
        peaks[thread] = vec4<f32>(HIDDEN);
        sums[thread] = vec4<f32>();
    }
    var acc: array<vec4<f32>, 4u * ITEMS>;
    let block = thread / 16u; // of four rows
    let lane = thread % 16u;  // of four keys
    let row = first + 4u * block;

    // Tiles that lie before the window of the first row lie before that of every row.
    let oldest = rows[first].y + 1u;
    let begin = select(0u, (oldest - WINDOW) / KEYS * KEYS, oldest > WINDOW);
    for (var base = begin; base <= u32(last); base += KEYS) {
        // Keys past the end stand for the last one; the mask hides them.
        let at = min(base + thread, u32(last));
        let page = pages[sequence * MAX_PAGES + at / PAGE];
        starts[thread] = ((page * (HEADS / GROUP) + kv_head) * PAGE + at % PAGE) * VECTORS;
        workgroupBarrier();

        let k0 = starts[lane];
        let k1 = starts[lane + 16u];
        let k2 = starts[lane + 32u];
        let k3 = starts[lane + 48u];
        var s0 = vec4<f32>();
        var s1 = vec4<f32>();
        var s2 = vec4<f32>();
        var s3 = vec4<f32>();
        for (var v = 0u; v < VECTORS; v++) {
            let a = query(row, head, v);
            let b = query(row + 1u, head, v);
            let c = query(row + 2u, head, v);
            let d = query(row + 3u, head, v);
            s0 += four(a, b, c, d, key_at(k0 + v));
            s1 += four(a, b, c, d, key_at(k1 + v));
            s2 += four(a, b, c, d, key_at(k2 + v));
            s3 += four(a, b, c, d, key_at(k3 + v));
        }
        let limit = vec4<i32>(position(row), position(row + 1u), position(row + 2u), position(row + 3u));
        let key = vec4<i32>(i32(base + lane));
        scores[block * KEYS + lane] = shown(s0, key, limit);
        scores[block * KEYS + lane + 16u] = shown(s1, key + 16, limit);
        scores[block * KEYS + lane + 32u] = shown(s2, key + 32, limit);
        scores[block * KEYS + lane + 48u] = shown(s3, key + 48, limit);
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
