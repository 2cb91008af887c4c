// What overrides rely on, in one small kernel: slots, the length of a binding, shared memory, a barrier, a sum over a subgroup.
// y[i] = 2 x[63 - i] + the length of x; y[64] = lanes of a subgroup.
@group(0) @binding(0) var<storage, read> x: array<f32>;       // [64]
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // [65]

var<workgroup> turned: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) thread: u32) {
    turned[63u - thread] = x[thread];
    workgroupBarrier();
    y[thread] = 2.0 * turned[thread] + f32(arrayLength(&x));
    let lanes = subgroupAdd(1.0);
    if thread == 0u {
        y[64] = lanes;
    }
}
