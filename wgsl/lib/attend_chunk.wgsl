// What the kernels of attention over a chunk share: bindings, what a row sees, and products of rows and keys.
@group(0) @binding(0) var<storage, read_write> rows: array<vec4<u32>>;  // token, position, sequence of each row
@group(0) @binding(1) var<storage, read> pages: array<u32>;             // [sequences, MAX_PAGES]
@group(0) @binding(2) var<storage, read_write> q: array<vec4<f32>>;     // [tokens, HEADS, HEAD_DIM]
@group(0) @binding(3) var<storage, read_write> keys: array<vec2<u32>>;   // [pages, HEADS / GROUP, PAGE, HEAD_DIM]
@group(0) @binding(4) var<storage, read_write> values: array<vec2<u32>>; // as keys
@group(0) @binding(5) var<storage, read_write> y: array<vec4<f32>>;     // [tokens, HEADS, HEAD_DIM]

const VECTORS: u32 = HEAD_DIM / 4u;
const ITEMS: u32 = (4u * VECTORS + WORKGROUP - 1u) / WORKGROUP; // pairs of four rows and a vector, per thread
const HIDDEN: f32 = -1e30;

var<workgroup> starts: array<u32, KEYS>; // where each key of the tile begins

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

// Where the vectors of a key begin.
fn place(sequence: u32, key: u32, kv_head: u32) -> u32 {
    let page = pages[sequence * MAX_PAGES + key / PAGE];
    return ((page * (HEADS / GROUP) + kv_head) * PAGE + key % PAGE) * VECTORS;
}

// The last key that some row of the tile sees.
fn last_key(first: u32) -> i32 {
    var last = 0;
    for (var i = 0u; i < QUERIES; i++) {
        last = max(last, position(first + i));
    }
    return last;
}

// Where the first tile of keys begins: those before the window of the first row lie before that of every row.
fn first_tile(first: u32) -> u32 {
    let oldest = rows[first].y + 1u;
    return select(0u, (oldest - WINDOW) / KEYS * KEYS, oldest > WINDOW);
}

// The last keys of four rows.
fn limits(row: u32) -> vec4<i32> {
    return vec4<i32>(position(row), position(row + 1u), position(row + 2u), position(row + 3u));
}

// Products of four rows with four keys, by key.
struct Products {
    s0: vec4<f32>,
    s1: vec4<f32>,
    s2: vec4<f32>,
    s3: vec4<f32>,
}

// Products with the keys that begin at `k`.
fn products(row: u32, head: u32, k: vec4<u32>) -> Products {
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    for (var v = 0u; v < VECTORS; v++) {
        let a = query(row, head, v);
        let b = query(row + 1u, head, v);
        let c = query(row + 2u, head, v);
        let d = query(row + 3u, head, v);
        s0 += four(a, b, c, d, key_at(k.x + v));
        s1 += four(a, b, c, d, key_at(k.y + v));
        s2 += four(a, b, c, d, key_at(k.z + v));
        s3 += four(a, b, c, d, key_at(k.w + v));
    }
    return Products(s0, s1, s2, s3);
}
