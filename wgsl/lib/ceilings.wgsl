// What a device can do at best, for comparison. Expects WORKGROUP, ROUNDS and the type Number; of sweeps SPAN (vectors from where one
// workgroup begins to where the next does), STRIDE (those from one read of a thread to its next) and PASSES (four reads each).
@group(0) @binding(0) var<storage, read> x: array<vec4<u32>>;       // what all passes of all threads cover
@group(0) @binding(1) var<storage, read_write> y: array<vec4<u32>>; // as many

// Reads everything once; the result depends on all of it.
@compute @workgroup_size(WORKGROUP)
fn stream(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    var a = vec4<u32>();
    var b = vec4<u32>();
    var c = vec4<u32>();
    var d = vec4<u32>();
    var i = group.x * SPAN + lane;
    for (var turn = 0u; turn < PASSES; turn++) {
        a ^= x[i];
        b ^= x[i + STRIDE];
        c ^= x[i + 2u * STRIDE];
        d ^= x[i + 3u * STRIDE];
        i += 4u * STRIDE;
    }
    y[group.x * WORKGROUP + lane] = (a ^ b) ^ (c ^ d);
}

@compute @workgroup_size(WORKGROUP)
fn copy(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    var i = group.x * SPAN + lane;
    for (var turn = 0u; turn < PASSES; turn++) {
        y[i] = x[i];
        y[i + STRIDE] = x[i + STRIDE];
        y[i + 2u * STRIDE] = x[i + 2u * STRIDE];
        y[i + 3u * STRIDE] = x[i + 3u * STRIDE];
        i += 4u * STRIDE;
    }
}

// 64 multiply-adds per round, in 16 chains that do not wait for each other.
@compute @workgroup_size(WORKGROUP)
fn multiply(@builtin(global_invocation_id) id: vec3<u32>) {
    let m = vec4<Number>(Number(0.5) + Number(id.x & 1u) * Number(0.25));
    var a = m;
    var b = m + m;
    var c = m * m;
    var d = a - c;
    for (var i = 0u; i < ROUNDS; i++) {
        a = fma(a, m, b);
        b = fma(b, m, c);
        c = fma(c, m, d);
        d = fma(d, m, m);
        a = fma(a, m, c);
        b = fma(b, m, d);
        c = fma(c, m, m);
        d = fma(d, m, a);
        a = fma(a, m, m);
        b = fma(b, m, m);
        c = fma(c, m, m);
        d = fma(d, m, m);
        a = fma(a, m, m);
        b = fma(b, m, m);
        c = fma(c, m, m);
        d = fma(d, m, m);
    }
    let sum = (a + b) + (c + d);
    y[id.x] = vec4<u32>(u32(sum.x), u32(sum.y), u32(sum.z), u32(sum.w));
}

@compute @workgroup_size(WORKGROUP)
fn nothing() {}
