// Rotates the queries and keys of each row by its position, and stores keys and values in the sequence's pages.
//
// qkv holds HEADS query heads, then KV_HEADS key heads, then KV_HEADS value heads. One thread owns one pair of a head. The pair
// is (i, i + ROTARY / 2), or (2i, 2i + 1) where INTERLEAVED; elements past ROTARY pass unrotated.
@group(0) @binding(0) var<storage, read> frequencies: array<f32>;       // [ROTARY / 2], radians per position
@group(0) @binding(1) var<storage, read_write> rows: array<vec4<u32>>;  // token, position, sequence of each row
@group(0) @binding(2) var<storage, read> pages: array<u32>;             // [sequences, MAX_PAGES]
@group(0) @binding(3) var<storage, read_write> qkv: array<f32>;         // [tokens, (HEADS + 2 KV_HEADS) HEAD_DIM]
@group(0) @binding(4) var<storage, read_write> q: array<f32>;           // [tokens, HEADS HEAD_DIM]
@group(0) @binding(5) var<storage, read_write> keys: array<KV>;         // [pages, KV_HEADS, PAGE, HEAD_DIM]
@group(0) @binding(6) var<storage, read_write> values: array<KV>;       // as keys

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.y * groups.x * 64u + id.x;
    let half_dim = HEAD_DIM / 2u;
    let heads = HEADS + 2u * KV_HEADS;
    let pair = index % half_dim;
    let head = index / half_dim % heads;
    let token = index / (half_dim * heads);
    if token >= arrayLength(&rows) {
        return;
    }
    let row = rows[token];
    // Past ROTARY the elements stand in order, two to a thread.
    var a = 2u * pair;
    var b = a + 1u;
    let rotated = 2u * pair < ROTARY;
    if rotated && !INTERLEAVED {
        a = pair;
        b = pair + ROTARY / 2u;
    }
    let start = (token * heads + head) * HEAD_DIM;
    var first = qkv[start + a];
    var second = qkv[start + b];
    if rotated && head < HEADS + KV_HEADS {
        let t = turn(f32(row.y) * frequencies[pair]);
        let turned = first * t.x - second * t.y;
        second = second * t.x + first * t.y;
        first = turned;
    }
    if head < HEADS {
        let at = (token * HEADS + head) * HEAD_DIM;
        q[at + a] = first;
        q[at + b] = second;
        return;
    }
    let page = pages[row.z * MAX_PAGES + row.y / PAGE];
    let kv_head = (head - HEADS) % KV_HEADS;
    let at = ((page * KV_HEADS + kv_head) * PAGE + row.y % PAGE) * HEAD_DIM;
    if head < HEADS + KV_HEADS {
        keys[at + a] = KV(first);
        keys[at + b] = KV(second);
    } else {
        values[at + a] = KV(first);
        values[at + b] = KV(second);
    }
}
