// y[o, :] = x[picks[o], :]: the rows whose logits are wanted.
@group(0) @binding(0) var<storage, read_write> picks: array<u32>;   // [outputs]
@group(0) @binding(1) var<storage, read_write> x: array<vec4<f32>>; // [.., 4 VECTORS]
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>; // [outputs, 4 VECTORS]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.y * groups.x * 64u + id.x;
    if index < arrayLength(&y) {
        y[index] = x[picks[index / VECTORS] * VECTORS + index % VECTORS];
    }
}
