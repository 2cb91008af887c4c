// Joins what attend_decode made of the splits of each row: a sum weighted by how far each part's maximum is below the largest.
@group(0) @binding(0) var<storage, read_write> rows: array<vec4<u32>>;  // token, position, sequence of each row
@group(0) @binding(1) var<storage, read_write> parts: array<vec4<f32>>; // [tokens, HEADS, slots, HEAD_DIM]
@group(0) @binding(2) var<storage, read_write> peaks: array<vec2<f32>>; // [tokens, HEADS, slots]: maximum, sum
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;     // [tokens, HEADS, HEAD_DIM]

const VECTORS: u32 = HEAD_DIM / 4u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) vector: u32) {
    let row = rows[group.y];
    let seen = select(0u, row.y + 1u - WINDOW, row.y + 1u > WINDOW);
    let splits = row.y / SPLIT + 1u - seen / SPLIT; // of this row; the longest row of the batch may need more slots
    let slots = arrayLength(&peaks) / (HEADS * arrayLength(&rows));
    let head = group.y * HEADS + group.x;
    var peak = peaks[head * slots].x;
    for (var s = 1u; s < splits; s++) {
        peak = max(peak, peaks[head * slots + s].x);
    }
    var total = vec4<f32>();
    var sum = 0.0;
    for (var s = 0u; s < splits; s++) {
        let part = peaks[head * slots + s];
        // The largest part weighs exactly one: a single split gives the same bits as one that was never reduced.
        let weight = select(exp(part.x - peak), 1.0, part.x == peak);
        sum += part.y * weight;
        total += parts[(head * slots + s) * VECTORS + vector] * weight;
    }
    y[head * VECTORS + vector] = total / sum;
}
