//! Matrices of a simdgroup against products in double precision.

use crate::bench::{Type, close, emulate};
use crate::msl_emu::available;
use ffai::graph::Rng;
use rayon::prelude::*;

/// Factors' type, result's type.
const PRODUCTS: [(Type, Type); 5] = [
    (Type::Float, Type::Float),
    (Type::Half, Type::Float),
    (Type::Half, Type::Half),
    (Type::Bfloat, Type::Float),
    (Type::Bfloat, Type::Bfloat),
];

#[test]
fn products_of_matrices_agree_with_double_precision() {
    if !available() {
        return;
    }
    PRODUCTS.par_iter().for_each(|&(factor, result)| {
        // Two products in a row into one sum, from a tile at column 8, row 16 of a matrix of stride 40.
        let text = format!(
            "kernel void k(device const {f}* a [[buffer(0)]], device const {f}* b [[buffer(1)]], device const {r}* c [[buffer(2)]], \
             device {r}* y [[buffer(3)]]) {{\n\
             simdgroup_matrix<{f}, 8, 8> p, q; simdgroup_matrix<{r}, 8, 8> d;\n\
             simdgroup_load(p, a, 40, ulong2(8, 16));\nsimdgroup_load(q, b + 3 * 8, 8, 0, true);\nsimdgroup_load(d, c);\n\
             simdgroup_multiply_accumulate(d, p, q, d);\nsimdgroup_store(d, y);\n\
             simdgroup_multiply(d, p, q);\nsimdgroup_store(d, y + 64, 24, ulong2(8, 1), true);\n}}\n",
            f = factor.name(),
            r = result.name()
        );
        let mut rng = Rng(factor.bytes() as u64);
        let ((a, left), (b, right), (c, sum)) =
            (factor.random(&mut rng, 40 * 40), factor.random(&mut rng, 100), result.random(&mut rng, 64));
        let name = format!("product_{}_{}", factor.name(), result.name());
        let y = emulate(&name, &text, (1, 32), &[a, b, c], &[(64 + 24 * 24) * result.bytes()]);
        let got = result.decode(&y[0]);
        let product = |r: usize, c: usize| (0..8).map(|k| left[(16 + r) * 40 + 8 + k] * right[24 + c * 8 + k]).sum::<f64>();
        let places = |f: &dyn Fn(usize, usize) -> f64| -> Vec<f64> { (0..64).map(|i| f(i / 8, i % 8)).collect() };
        let bound = 32.0 * result.rounding();
        close(&name, &got[..64], &places(&|r, c| product(r, c) + sum[r * 8 + c]), bound, bound);
        // Stored transposed: row r, column c of the tile lies at row c, column r.
        let stored = places(&|r, c| got[64 + (1 + c) * 24 + 8 + r]);
        close(&name, &stored, &places(&product), bound, bound);
        assert!(got[64..64 + 24].iter().all(|v| *v == 0.0), "{name}: row 0 is none of the tile's");
    });
}

#[test]
fn matrices_are_filled_and_their_elements_lie_where_published_kernels_look_for_them() {
    if !available() {
        return;
    }
    let text = "kernel void k(device const float* a [[buffer(0)]], device float* y [[buffer(1)]], \
        uint lane [[thread_index_in_simdgroup]]) {\n\
        threadgroup float t[128];\n\
        simdgroup_float8x8 m = make_filled_simdgroup_matrix<float, 8, 8>(2.5f);\n\
        simdgroup_store(m, y);\n\
        simdgroup_store(simdgroup_float8x8(3.0f), y + 64);\n\
        simdgroup_load(m, a);\n\
        y[128 + 2 * lane] = m.thread_elements()[0];\n\
        y[128 + 2 * lane + 1] = m.thread_elements()[1];\n\
        m.thread_elements()[0] += 1.0f;\n\
        simdgroup_store(m, t + 1, 16);\n\
        simdgroup_barrier(mem_flags::mem_threadgroup);\n\
        simdgroup_load(m, t + 1, 16);\n\
        simdgroup_store(m, y + 192);\n}\n";
    let (a, v) = Type::Float.random(&mut Rng(3), 64);
    let got = Type::Float.decode(&emulate("elements", text, (1, 32), &[a], &[256 * 4])[0]);
    let diagonal: Vec<f64> = (0..64).map(|i| if i / 8 == i % 8 { 3.0 } else { 0.0 }).collect();
    close("filled", &got[..64], &[2.5; 64], 0.0, 0.0);
    close("diagonal", &got[64..128], &diagonal, 0.0, 0.0);
    for lane in 0..32 {
        let quad = lane / 4;
        let (row, column) = ((quad & 4) + lane / 2 % 4, (quad & 2) * 2 + lane % 2 * 2);
        let at = row * 8 + column;
        close("elements", &got[128 + 2 * lane..][..2], &v[at..at + 2], 0.0, 0.0);
        close("changed", &got[192 + at..][..2], &[v[at] + 1.0, v[at + 1]], 1e-6, 1e-6);
    }
}
