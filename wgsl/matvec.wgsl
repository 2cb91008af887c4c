// y[c, r] = sum_k w[r, k] * x[c, k] for WIDTH columns c, with what surrounds it in a layer folded in:
//
// NORM: x is RMS-normalised first, x[k] * gain[k] / rms(x). The gain goes into the products and the root is taken of a sum
//   that the same loop makes, so no separate pass over x is needed.
// GATED: rows r and ROWS + r are gate and up; y = activation(gate) * up.
// RESIDUAL: y += residual.
//
// A subgroup owns 8 rows of weights; its lanes stride over blocks of 32, so that x is loaded once for 8 rows and nothing is
// shared but the final sums. The order of summation of a column does not depend on WIDTH.
@group(0) @binding(0) var<storage, read> quants: array<Quants>;            // plane of quants
@group(0) @binding(1) var<storage, read> scales: array<u32>;               // plane of scales
@group(0) @binding(2) var<storage, read> gain: array<vec4<f32>>;           // [32 BLOCKS]; anything unless NORM
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;        // [WIDTH, 32 BLOCKS]
@group(0) @binding(4) var<storage, read_write> residual: array<f32>;       // [WIDTH, STRIDE]; anything unless RESIDUAL
@group(0) @binding(5) var<storage, read_write> y: array<f32>;              // [WIDTH, STRIDE], rows FIRST to FIRST + ROWS

struct Activations {
    a0: vec4<f32>,
    a1: vec4<f32>,
    a2: vec4<f32>,
    a3: vec4<f32>,
    a4: vec4<f32>,
    a5: vec4<f32>,
    a6: vec4<f32>,
    a7: vec4<f32>,
    sum: f32,     // of the 32 values, or of the first 16 where HALVES, for formats with a minimum
    high: f32,    // sum of the last 16 where HALVES
    squares: f32, // sum of squares before the gain, for NORM
}

fn activations(column: u32, block: u32) -> Activations {
    let at = (column * BLOCKS + block) * 8u;
    var a0 = x[at];
    var a1 = x[at + 1u];
    var a2 = x[at + 2u];
    var a3 = x[at + 3u];
    var a4 = x[at + 4u];
    var a5 = x[at + 5u];
    var a6 = x[at + 6u];
    var a7 = x[at + 7u];
    var squares = 0.0;
    if NORM {
        var s = a0 * a0;
        s = fma(a1, a1, s);
        s = fma(a2, a2, s);
        s = fma(a3, a3, s);
        s = fma(a4, a4, s);
        s = fma(a5, a5, s);
        s = fma(a6, a6, s);
        s = fma(a7, a7, s);
        squares = total(s);
        let g = block * 8u;
        a0 *= gain[g];
        a1 *= gain[g + 1u];
        a2 *= gain[g + 2u];
        a3 *= gain[g + 3u];
        a4 *= gain[g + 4u];
        a5 *= gain[g + 5u];
        a6 *= gain[g + 6u];
        a7 *= gain[g + 7u];
    }
    var sum = 0.0;
    var high = 0.0;
    if HAS_MINIMUM && HALVES {
        sum = total((a0 + a1) + (a2 + a3));
        high = total((a4 + a5) + (a6 + a7));
    } else if HAS_MINIMUM {
        sum = total(((a0 + a1) + (a2 + a3)) + ((a4 + a5) + (a6 + a7)));
    }
    return Activations(a0 * LOW, a1 * LOW, a2 * LOW, a3 * LOW, a4 * HIGH, a5 * HIGH, a6 * HIGH, a7 * HIGH, sum, high,
        squares);
}

fn product(w: Raw, a: Activations) -> f32 {
    var t = w.q0 * a.a0;
    t = fma(w.q1, a.a1, t);
    t = fma(w.q2, a.a2, t);
    t = fma(w.q3, a.a3, t);
    if HALVES {
        t *= w.d;
        let u = fma(w.q5, a.a5, w.q4 * a.a4);
        t = fma(fma(w.q7, a.a7, fma(w.q6, a.a6, u)), vec4<f32>(w.d_high), t);
    } else {
        t = fma(w.q4, a.a4, t);
        t = fma(w.q5, a.a5, t);
        t = fma(w.q6, a.a6, t);
        t = fma(w.q7, a.a7, t);
    }
    var p = total(t);
    if HAS_SCALE && !HALVES {
        p *= w.d;
    }
    if HAS_MINIMUM {
        p = fma(w.m, a.sum, p);
        if HALVES {
            p = fma(w.m_high, a.high, p);
        }
    }
    return p;
}

fn store(column: u32, row: u32, scale: f32, first: f32, second: f32) {
    if row < ROWS {
        var value = first * scale;
        if GATED {
            value = activation(value) * (second * scale);
        }
        let at = column * STRIDE + FIRST + row;
        if RESIDUAL {
            value += residual[at];
        }
        y[at] = value;
    }
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
    @builtin(subgroup_size) lanes: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    // Right at any subgroup size: the loop runs once where the size is the one that WORKGROUP was chosen for.
    let start = (group.y * groups.x + group.x) * ROWS_PER_WORKGROUP;
    for (var local = subgroup * OWNED; local < ROWS_PER_WORKGROUP; local += subgroups * OWNED) {
        let row = start + local;
        var acc_a: array<vec4<f32>, WIDTH>;
        var acc_b: array<vec4<f32>, WIDTH>;
        var squares: array<f32, WIDTH>;
        // Rows past the end repeat the last one and are not stored.
        let r0 = min(row, ROWS - 1u) * BLOCKS;
        let r1 = min(row + 1u, ROWS - 1u) * BLOCKS;
        let r2 = min(row + 2u, ROWS - 1u) * BLOCKS;
        let r3 = min(row + 3u, ROWS - 1u) * BLOCKS;
        var r4 = ROWS * BLOCKS + r0;
        var r5 = ROWS * BLOCKS + r1;
        var r6 = ROWS * BLOCKS + r2;
        var r7 = ROWS * BLOCKS + r3;
        if !GATED {
            r4 = min(row + 4u, ROWS - 1u) * BLOCKS;
            r5 = min(row + 5u, ROWS - 1u) * BLOCKS;
            r6 = min(row + 6u, ROWS - 1u) * BLOCKS;
            r7 = min(row + 7u, ROWS - 1u) * BLOCKS;
        }
        for (var block = lane; block < BLOCKS; block += lanes) {
            if WIDTH == 1u {
                let a = activations(0u, block);
                squares[0] += a.squares;
                acc_a[0] += vec4<f32>(product(unpack(r0 + block), a), product(unpack(r1 + block), a),
                    product(unpack(r2 + block), a), product(unpack(r3 + block), a));
                acc_b[0] += vec4<f32>(product(unpack(r4 + block), a), product(unpack(r5 + block), a),
                    product(unpack(r6 + block), a), product(unpack(r7 + block), a));
            } else {
                let w0 = unpack(r0 + block);
                let w1 = unpack(r1 + block);
                let w2 = unpack(r2 + block);
                let w3 = unpack(r3 + block);
                let w4 = unpack(r4 + block);
                let w5 = unpack(r5 + block);
                let w6 = unpack(r6 + block);
                let w7 = unpack(r7 + block);
                for (var c = 0u; c < WIDTH; c++) {
                    let a = activations(c, block);
                    squares[c] += a.squares;
                    acc_a[c] += vec4<f32>(product(w0, a), product(w1, a), product(w2, a), product(w3, a));
                    acc_b[c] += vec4<f32>(product(w4, a), product(w5, a), product(w6, a), product(w7, a));
                }
            }
        }
        for (var c = 0u; c < WIDTH; c++) {
            let a = subgroupAdd(acc_a[c]);
            let b = subgroupAdd(acc_b[c]);
            var scale = 1.0;
            if NORM {
                scale = inverseSqrt(subgroupAdd(squares[c]) / (32.0 * f32(BLOCKS)) + EPS);
            }
            if lane == 0u {
                store(c, row, scale, a.x, b.x);
                store(c, row + 1u, scale, a.y, b.y);
                store(c, row + 2u, scale, a.z, b.z);
                store(c, row + 3u, scale, a.w, b.w);
                if !GATED {
                    store(c, row + 4u, scale, b.x, 0.0);
                    store(c, row + 5u, scale, b.y, 0.0);
                    store(c, row + 6u, scale, b.z, 0.0);
                    store(c, row + 7u, scale, b.w, 0.0);
                }
            }
        }
    }
}
