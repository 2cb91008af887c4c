// What the kernels of decode attention share: their bindings, and where keys lie.
@group(0) @binding(0) var<storage, read_write> rows: array<vec4<u32>>;   // token, position, sequence of each row
@group(0) @binding(1) var<storage, read> pages: array<u32>;              // [sequences, MAX_PAGES]
@group(0) @binding(2) var<storage, read_write> q: array<vec4<f32>>;      // [tokens, KV_HEADS GROUP, HEAD_DIM]
@group(0) @binding(3) var<storage, read_write> keys: array<vec2<u32>>;    // [pages, KV_HEADS, PAGE, HEAD_DIM]
@group(0) @binding(4) var<storage, read_write> values: array<vec2<u32>>;  // as keys
@group(0) @binding(5) var<storage, read_write> parts: array<vec4<f32>>;  // [tokens, KV_HEADS GROUP, splits, HEAD_DIM]
@group(0) @binding(6) var<storage, read_write> peaks: array<vec2<f32>>;  // [tokens, KV_HEADS GROUP, splits]: maximum, sum

const VECTORS: u32 = HEAD_DIM / 4u;
const WORKERS: u32 = VECTORS * STREAMS; // threads with a part of the values; the others fill the last subgroup

// Where the vectors of key `position` begin.
fn place(sequence: u32, position: u32, kv_head: u32) -> u32 {
    let page = pages[sequence * MAX_PAGES + position / PAGE];
    return ((page * KV_HEADS + kv_head) * PAGE + position % PAGE) * VECTORS;
}
