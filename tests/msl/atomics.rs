//! Atomics against sums and extremes over all threads.

use crate::bench::{Type, close, emulate};
use crate::msl_emu::available;
use ffai::graph::Rng;

const THREADS: usize = 96;
const GROUPS: usize = 2;

/// Name, and what it makes of the old value and the operand.
type Operation = (&'static str, fn(i64, i64) -> i64);

const STARTS: [i64; 7] = [5, 5, 500, 5, 1023, 0, 77];

/// Operations on words that every thread applies with its own number, in one place per operation; and what they leave.
fn operations(element: &str, values: &[i64], starts: [i64; 7]) -> (String, Vec<f64>) {
    let all: [Operation; 7] = [
        ("add", |a, b| a + b),
        ("sub", |a, b| a - b),
        ("min", i64::min),
        ("max", i64::max),
        ("and", |a, b| a & b),
        ("or", |a, b| a | b),
        ("xor", |a, b| a ^ b),
    ];
    let (mut lines, mut want) = (String::new(), Vec::new());
    for (index, (name, f)) in all.into_iter().enumerate() {
        lines += &format!("atomic_fetch_{name}_explicit(&o[{index}], {element}(a[i]), memory_order_relaxed);\n");
        let total = values.iter().copied().fold(starts[index], f);
        want.push(if element == "uint" { f64::from(total as u32) } else { f64::from(total as i32) });
    }
    (lines, want)
}

#[test]
fn atomics_in_device_memory_count_every_thread_once() {
    if !available() {
        return;
    }
    for (element, kind) in [("int", Type::Integer(4, true)), ("uint", Type::Integer(4, false))] {
        let mut rng = Rng(1);
        let a: Vec<i64> = (0..THREADS * GROUPS).map(|_| i64::from(rng.below(1000))).collect();
        let (lines, want) = operations(element, &a, [0; 7]); // outputs begin at zero
        let text = format!(
            "kernel void k(device const {element}* a [[buffer(0)]], device atomic_{element}* o [[buffer(1)]], device {element}* y [[buffer(2)]], \
             uint i [[thread_position_in_grid]], uint tid [[thread_index_in_threadgroup]]) {{\n{lines}\
             const {element} ticket = atomic_fetch_add_explicit(&o[8], {element}(1), memory_order_relaxed);\ny[ticket] = ticket;\n\
             // The largest, by comparing and exchanging.\n\
             {element} seen = atomic_load_explicit(&o[9], memory_order_relaxed);\n\
             while (seen < a[i] && !atomic_compare_exchange_weak_explicit(&o[9], &seen, a[i], memory_order_relaxed, memory_order_relaxed)) {{}}\n\
             atomic_store_explicit(&o[10], {element}(9), memory_order_relaxed);\n\
             if (i == 0) {{ y[1000] = atomic_exchange_explicit(&o[11], {element}(4), memory_order_relaxed); }}\n}}\n"
        );
        let got = emulate(
            &format!("atomic_{element}"),
            &text,
            (GROUPS as u32, THREADS as u32),
            &[bytes(&a)],
            &[12 * 4, 1001 * 4],
        );
        let places = kind.decode(&got[0]);
        close(element, &places[..7], &want, 0.0, 0.0);
        assert_eq!(places[8] as usize, THREADS * GROUPS);
        close("exchanged", &places[9..], &[want[3], 9.0, 4.0], 0.0, 0.0);
        let tickets = kind.decode(&got[1]);
        assert!(tickets[..THREADS * GROUPS].iter().enumerate().all(|(index, ticket)| *ticket as usize == index));
        assert_eq!(tickets[1000], 0.0, "an exchange gives what was there");
    }
}

fn bytes(values: &[i64]) -> Vec<u8> {
    values.iter().flat_map(|v| (*v as i32).to_le_bytes()).collect()
}

#[test]
fn atomics_in_threadgroup_memory_count_every_thread_once() {
    if !available() {
        return;
    }
    for (element, kind) in [("int", Type::Integer(4, true)), ("uint", Type::Integer(4, false))] {
        let mut rng = Rng(2);
        let a: Vec<i64> = (0..THREADS * GROUPS).map(|_| i64::from(rng.below(1000))).collect();
        let lines = operations(element, &a, STARTS).0;
        let text = format!(
            "constant int STARTS[] = {{{}}};\n\
             kernel void k(device const {element}* a [[buffer(0)]], device {element}* y [[buffer(1)]], uint i [[thread_position_in_grid]], \
             uint tid [[thread_index_in_threadgroup]], uint group [[threadgroup_position_in_grid]]) {{\n\
             threadgroup atomic_{element} o[7];\n\
             if (tid < 7) atomic_store_explicit(&o[tid], {element}(STARTS[tid]), memory_order_relaxed);\n\
             threadgroup_barrier(mem_flags::mem_threadgroup);\n{lines}\
             threadgroup_barrier(mem_flags::mem_threadgroup);\n\
             if (tid < 7) y[group * 7 + tid] = atomic_load_explicit(&o[tid], memory_order_relaxed);\n}}\n",
            STARTS.map(|start| start.to_string()).join(", ")
        );
        let got = emulate(
            &format!("shared_{element}"),
            &text,
            (GROUPS as u32, THREADS as u32),
            &[bytes(&a)],
            &[GROUPS * 7 * 4],
        );
        for (part, got) in a.chunks(THREADS).zip(kind.decode(&got[0]).chunks(7)) {
            close(element, got, &operations(element, part, STARTS).1, 0.0, 0.0);
        }
    }
}

#[test]
fn floats_add_atomically_in_device_memory() {
    if !available() {
        return;
    }
    let text = "kernel void k(device const float* a [[buffer(0)]], device atomic_float* o [[buffer(1)]], \
        uint i [[thread_position_in_grid]]) {\n\
        atomic_fetch_add_explicit(&o[0], a[i], memory_order_relaxed);\n\
        atomic_fetch_sub_explicit(&o[1], a[i], memory_order_relaxed);\n}\n";
    // Whole numbers, whose sums do not depend on their order.
    let mut rng = Rng(3);
    let a: Vec<f32> = (0..THREADS * GROUPS).map(|_| rng.below(1000) as f32).collect();
    let sum: f64 = a.iter().map(|v| f64::from(*v)).sum();
    let input = a.iter().flat_map(|v| v.to_le_bytes()).collect();
    let got = emulate("atomic_float", text, (GROUPS as u32, THREADS as u32), &[input], &[8]);
    close("float", &Type::Float.decode(&got[0]), &[sum, -sum], 0.0, 0.0);
}
