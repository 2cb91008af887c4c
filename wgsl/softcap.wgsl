// y = CAP tanh(x / CAP), element by element.
@group(0) @binding(0) var<storage, read_write> x: array<f32>; // any number of elements
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // as x

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.y * groups.x * 64u + id.x;
    if index < arrayLength(&y) {
        y[index] = capped(vec4<f32>(x[index])).x;
    }
}
