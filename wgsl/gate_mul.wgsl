// y[r, c] = activation(x[r, c]) * x[r, COLS + c]: the gate opens what stands beside it.
@group(0) @binding(0) var<storage, read_write> x: array<f32>; // [rows, 2 COLS]
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // [rows, COLS]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.y * groups.x * 64u + id.x;
    if index >= arrayLength(&y) {
        return;
    }
    let row = index / COLS;
    let at = row * 2u * COLS + index % COLS;
    y[index] = activation(x[at]) * x[at + COLS];
}
