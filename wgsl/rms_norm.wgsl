// RMSNorm of each row: y[r, c] = x[r, c] * gain[c] / sqrt(mean(x[r, :]^2) + EPS); RESIDUAL adds to it.
//
// One subgroup owns one row; lanes stride over columns and reduce once, without a barrier.
@group(0) @binding(0) var<storage, read> gain: array<vec4<f32>>;    // [4 VECTORS]
@group(0) @binding(1) var<storage, read_write> x: array<vec4<f32>>; // [rows, 4 VECTORS]
@group(0) @binding(2) var<storage, read_write> residual: array<vec4<f32>>; // [rows, 4 VECTORS]; anything unless RESIDUAL
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>; // [rows, 4 VECTORS]

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
    @builtin(subgroup_size) lanes: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let rows = arrayLength(&y) / VECTORS;
    for (var row = group.x * subgroups + subgroup; row < rows; row += groups.x * subgroups) {
        let start = row * VECTORS;
        var squares = vec4<f32>();
        for (var i = lane; i < VECTORS; i += lanes) {
            let v = x[start + i];
            squares = fma(v, v, squares);
        }
        let sum = subgroupAdd((squares.x + squares.y) + (squares.z + squares.w));
        let scale = inverseSqrt(sum / (4.0 * f32(VECTORS)) + EPS);
        for (var i = lane; i < VECTORS; i += lanes) {
            var value = x[start + i] * scale * gain[i];
            if RESIDUAL {
                value += residual[start + i];
            }
            y[start + i] = value;
        }
    }
}
