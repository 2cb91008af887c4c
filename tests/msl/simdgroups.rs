//! What lanes do together, against loops over lanes.

use crate::bench::{INTEGERS, Type, close, emulate, kernel};
use crate::msl_emu::available;
use ffai::graph::Rng;
use rayon::prelude::*;

const LANES: usize = 32;

/// Functions of one lane's number, with the numbers that each lane gets.
type Function = (&'static str, fn(Type, &[f64]) -> Vec<f64>);

fn each(count: usize, value: f64) -> Vec<f64> {
    vec![value; count]
}

fn fold(kind: Type, values: &[f64], product: bool) -> f64 {
    if kind.is_integer() {
        let bits = values.iter().map(|v| *v as i64 as u64);
        let total = bits.fold(u64::from(product), |a, b| if product { a.wrapping_mul(b) } else { a.wrapping_add(b) });
        kind.wrap(total) as f64
    } else if product {
        values.iter().product()
    } else {
        values.iter().sum()
    }
}

fn prefix(kind: Type, values: &[f64], product: bool, inclusive: bool) -> Vec<f64> {
    (0..values.len()).map(|lane| fold(kind, &values[..lane + usize::from(inclusive)], product)).collect()
}

fn moved(values: &[f64], from: impl Fn(usize) -> usize) -> Vec<f64> {
    (0..values.len()).map(|lane| values.get(from(lane)).copied().unwrap_or(f64::NAN)).collect()
}

const FUNCTIONS: &[Function] = &[
    ("sum(v)", |t, v| each(v.len(), fold(t, v, false))),
    ("product(v)", |t, v| each(v.len(), fold(t, v, true))),
    ("min(v)", |_, v| each(v.len(), v.iter().copied().fold(f64::INFINITY, f64::min))),
    ("max(v)", |_, v| each(v.len(), v.iter().copied().fold(f64::NEG_INFINITY, f64::max))),
    ("prefix_inclusive_sum(v)", |t, v| prefix(t, v, false, true)),
    ("prefix_exclusive_sum(v)", |t, v| prefix(t, v, false, false)),
    ("prefix_inclusive_product(v)", |t, v| prefix(t, v, true, true)),
    ("prefix_exclusive_product(v)", |t, v| prefix(t, v, true, false)),
    ("shuffle(v, (lane * 7 + 3) & (SIZE - 1))", |_, v| moved(v, |lane| (lane * 7 + 3) % v.len())),
    ("shuffle_xor(v, 3)", |_, v| moved(v, |lane| lane ^ 3)),
    ("shuffle_up(v, 3)", |_, v| moved(v, |lane| lane.wrapping_sub(3))),
    ("shuffle_down(v, 3)", |_, v| moved(v, |lane| lane + 3)),
    ("shuffle_rotate_up(v, 3)", |_, v| moved(v, |lane| (lane + v.len() - 3) % v.len())),
    ("shuffle_rotate_down(v, 3)", |_, v| moved(v, |lane| (lane + 3) % v.len())),
    ("broadcast(v, 2)", |_, v| each(v.len(), v[2])),
    ("broadcast_first(v)", |_, v| each(v.len(), v[0])),
];
const BITWISE: &[Function] = &[
    ("and(v)", |t, v| each(v.len(), t.wrap(v.iter().fold(u64::MAX, |a, b| a & *b as i64 as u64)) as f64)),
    ("or(v)", |t, v| each(v.len(), t.wrap(v.iter().fold(0, |a, b| a | *b as i64 as u64)) as f64)),
    ("xor(v)", |t, v| each(v.len(), t.wrap(v.iter().fold(0, |a, b| a ^ *b as i64 as u64)) as f64)),
];

/// Every function on every type, in groups of 32 lanes or of 4. Where Metal leaves a lane alone, anything goes.
fn agree(prefix: &str, size: usize) {
    let mut kinds = vec![Type::Float, Type::Half, Type::Bfloat];
    kinds.extend(INTEGERS);
    kinds.par_iter().for_each(|&kind| {
        let mut rng = Rng(kind.bytes() as u64);
        let functions: Vec<&Function> = FUNCTIONS.iter().chain(if kind.is_integer() { BITWISE } else { &[] }).collect();
        let mut lines = format!("const {} v = a[i];\n", kind.name());
        for (index, (call, _)) in functions.iter().enumerate() {
            lines += &format!("y[{index} * 64 + i] = {prefix}_{};\n", call.replace("SIZE", &size.to_string()));
        }
        let (a, values) = kind.random(&mut rng, 2 * LANES);
        let name = format!("{prefix}_{}", kind.name());
        let y = emulate(&name, &kernel(&[kind], kind, &lines), (1, 64), &[a], &[functions.len() * 64 * kind.bytes()]);
        for ((call, reference), got) in functions.iter().zip(kind.decode(&y[0]).chunks(64)) {
            for (group, got) in got.chunks(size).enumerate() {
                let values = &values[group * size..][..size];
                let want = reference(kind, values);
                let (got, want): (Vec<f64>, Vec<f64>) = got.iter().zip(want).filter(|(_, want)| !want.is_nan()).unzip();
                // Sums lose a rounding per addition, products one per factor.
                let scale: f64 = if call.contains("sum") { values.iter().map(|v| v.abs()).sum() } else { 0.0 };
                let steps = size as f64 * 2.0 * kind.rounding();
                let (relative, tiny) =
                    if call.contains("product") { (steps, steps * 2f64.powi(-12)) } else { (0.0, 0.0) };
                close(&format!("{name} {call}"), &got, &want, relative, steps * scale + tiny);
            }
        }
    });
}

#[test]
fn functions_of_a_simdgroup_do_what_a_loop_over_lanes_does() {
    if available() {
        agree("simd", LANES);
    }
}

#[test]
fn functions_of_a_quad_do_what_a_loop_over_lanes_does() {
    if available() {
        agree("quad", 4);
    }
}

#[test]
fn vectors_are_reduced_and_moved_component_by_component() {
    if !available() {
        return;
    }
    let text = "kernel void k(device const float4* a [[buffer(0)]], device float4* y [[buffer(1)]], \
                uint i [[thread_index_in_threadgroup]]) {\n\
                y[i] = simd_max(a[i]);\ny[32 + i] = simd_shuffle_xor(a[i], 16);\ny[64 + i].xyz = simd_prefix_inclusive_sum(a[i].xyz);\n\
                y[64 + i].w = float(simd_sum(half2(a[i].xy)).y);\n}\n";
    let (a, v) = Type::Float.random(&mut Rng(1), LANES * 4);
    let got = Type::Float.decode(&emulate("vectors", text, (1, 32), &[a], &[LANES * 4 * 4 * 3])[0]);
    for k in 0..4 {
        let column: Vec<f64> = (0..LANES).map(|lane| v[lane * 4 + k]).collect();
        let part = |first: usize| -> Vec<f64> { (0..LANES).map(|lane| got[(first + lane) * 4 + k]).collect() };
        close("max", &part(0), &each(LANES, column.iter().copied().fold(f64::MIN, f64::max)), 0.0, 0.0);
        close("xor", &part(32), &moved(&column, |lane| lane ^ 16), 0.0, 0.0);
        if k < 3 {
            close("prefix", &part(64), &prefix(Type::Float, &column, false, true), 0.0, 1e-5);
        }
    }
    let y: f64 = (0..LANES).map(|lane| v[lane * 4 + 1]).sum();
    close("half2", &[got[64 * 4 + 3]], &[y], 0.0, 0.1);
}

#[test]
fn votes_see_the_lanes_that_say_yes() {
    if !available() {
        return;
    }
    // Of 40 threads, the second simdgroup has 8.
    let text = "kernel void k(device const uint* a [[buffer(0)]], device uint* y [[buffer(1)]], \
        uint i [[thread_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]], \
        uint lanes [[threads_per_simdgroup]], uint groups [[simdgroups_per_threadgroup]]) {\n\
        const bool yes = a[i] % 3 == 0;\n\
        device uint* o = y + i * 12;\n\
        o[0] = uint((ulong)simd_ballot(yes));\n\
        o[1] = simd_any(yes);\n\
        o[2] = simd_all(yes);\n\
        o[3] = simd_all(a[i] < 1000000);\n\
        o[4] = simd_any(a[i] > 1000000);\n\
        o[5] = uint((simd_vote::vote_t)simd_active_threads_mask());\n\
        o[6] = simd_is_first();\n\
        o[7] = uint((quad_vote::vote_t)quad_ballot(yes));\n\
        o[8] = quad_any(yes);\n\
        o[9] = quad_all(yes);\n\
        o[10] = simd_sum(a[i]);\n\
        o[11] = lanes * 100 + groups;\n}\n";
    let kind = Type::Integer(4, false);
    let mut rng = Rng(2);
    let a: Vec<u32> = (0..40).map(|_| rng.below(1000)).collect();
    let bytes: Vec<u8> = a.iter().flat_map(|v| v.to_le_bytes()).collect();
    let got = kind.decode(&emulate("votes", text, (1, 40), &[bytes], &[40 * 12 * 4])[0]);
    for (thread, got) in got.chunks(12).enumerate() {
        let ballot = |first: usize, count: usize| -> u32 {
            a[first..].iter().take(count).enumerate().map(|(lane, v)| u32::from(v % 3 == 0) << lane).sum()
        };
        let first = thread / 32 * 32;
        let here = &a[first..(first + 32).min(40)];
        let (yes, quad) = (ballot(first, 32), ballot(thread / 4 * 4, 4));
        let everyone = if first == 0 { u32::MAX } else { 0xFF };
        let want = [
            yes,
            u32::from(yes != 0),
            u32::from(yes == everyone),
            1,
            0,
            everyone,
            u32::from(thread % 32 == 0),
            quad,
            u32::from(quad != 0),
            u32::from(quad == 15),
            here.iter().sum(),
            3202,
        ];
        close("votes", got, &want.map(f64::from), 0.0, 0.0);
    }
}
