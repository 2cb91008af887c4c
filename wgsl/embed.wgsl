// x[r, :] = SCALE times row token(r) of the embedding, for rows whose token lies in this block of the matrix.
//
// One thread unpacks one block of 32 weights.
@group(0) @binding(0) var<storage, read> quants: array<Quants>;       // plane of quants
@group(0) @binding(1) var<storage, read> scales: array<u32>;          // plane of scales
@group(0) @binding(2) var<storage, read_write> rows: array<vec4<u32>>; // token, position, sequence of each row
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;   // [tokens, 32 BLOCKS]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.y * groups.x * 64u + id.x;
    let row = index / BLOCKS;
    if row >= arrayLength(&rows) {
        return;
    }
    let token = rows[row].x;
    if token < FIRST || token - FIRST >= ROWS {
        return;
    }
    let block = index % BLOCKS;
    let w = dequantize(unpack((token - FIRST) * BLOCKS + block));
    let at = index * 8u;
    x[at] = w.q0 * SCALE;
    x[at + 1u] = w.q1 * SCALE;
    x[at + 2u] = w.q2 * SCALE;
    x[at + 3u] = w.q3 * SCALE;
    x[at + 4u] = w.q4 * SCALE;
    x[at + 5u] = w.q5 * SCALE;
    x[at + 6u] = w.q6 * SCALE;
    x[at + 7u] = w.q7 * SCALE;
}
