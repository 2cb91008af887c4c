// What a device can do at best, for comparison. Expects WORKGROUP, STRIDE (threads in all), COUNT (vectors), ROUNDS and the type Number.
@group(0) @binding(0) var<storage, read> x: array<vec4<u32>>;       // [COUNT]
@group(0) @binding(1) var<storage, read_write> y: array<vec4<u32>>; // [COUNT]

// Reads everything once; the result depends on all of it.
@compute @workgroup_size(WORKGROUP)
fn stream(@builtin(global_invocation_id) id: vec3<u32>) {
    var a = vec4<u32>();
    var b = vec4<u32>();
    var c = vec4<u32>();
    var d = vec4<u32>();
    for (var i = id.x; i < COUNT; i += 4u * STRIDE) {
        a ^= x[i];
        b ^= x[i + STRIDE];
        c ^= x[i + 2u * STRIDE];
        d ^= x[i + 3u * STRIDE];
    }
    y[id.x] = (a ^ b) ^ (c ^ d);
}

@compute @workgroup_size(WORKGROUP)
fn copy(@builtin(global_invocation_id) id: vec3<u32>) {
    for (var i = id.x; i < COUNT; i += 4u * STRIDE) {
        y[i] = x[i];
        y[i + STRIDE] = x[i + STRIDE];
        y[i + 2u * STRIDE] = x[i + 2u * STRIDE];
        y[i + 3u * STRIDE] = x[i + 3u * STRIDE];
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
