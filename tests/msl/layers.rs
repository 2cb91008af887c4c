//! What the layers report beyond mistakes: loads, and kernels that never end or crash.

use crate::bench::Type;
use crate::msl_emu::{Launch, Layer, Loads, Outcome, Program, Schedule, available};

const HEAD: &str = "#include <metal_stdlib>\nusing namespace metal;\n";

fn launch(name: &str, body: &str, layer: Layer, grid: (u32, u32), buffers: &[Vec<u8>]) -> Result<Outcome, String> {
    let program = Program::build(&format!("{name}.metal"), &format!("{HEAD}{body}"), layer)?.limited(3);
    let writable: Vec<bool> = (0..buffers.len()).map(|slot| slot + 1 == buffers.len()).collect();
    program.run(&Launch {
        entry: "k",
        workgroups: [grid.0, 1, 1],
        threads: [grid.1, 1, 1],
        buffers,
        writable: &writable,
        schedule: Schedule::Forward,
    })
}

#[test]
fn loads_are_counted_in_total_without_repetition_and_by_workgroup() {
    if !available() {
        return;
    }
    // Each of 2 × 32 threads loads 16 bytes of its own, 4 bytes that all load, a struct of 12 bytes by copy, and adds to a counter.
    let body = "struct Three { float a[3]; };\n\
        kernel void k(device const float4* x [[buffer(0)]], device const float* same [[buffer(1)]], device const Three* s [[buffer(2)]], \
        device atomic_uint* y [[buffer(3)]], uint i [[thread_position_in_grid]], uint group [[threadgroup_position_in_grid]]) {\n\
        Three t = s[i]; float own[3]; for (int k = 0; k < 3; ++k) own[(k + group) % 3] = t.a[k];\n\
        const float4 v = x[i];\n\
        float sum = v.x + v.y + v.z + v.w + same[5] + own[i % 3];\n\
        if (group == 1) sum += x[0].x;\n\
        atomic_fetch_add_explicit(y + (sum > 1000.0f), 1u, memory_order_relaxed);\n}\n";
    let buffers = [vec![0; 1024], vec![0; 64], vec![0; 64 * 12], vec![0; 8]];
    let outcome = launch("loads", body, Layer::Loads, (2, 32), &buffers).unwrap();
    let loads = |total, distinct, stored, workgroups: [u64; 2]| Loads {
        total,
        distinct,
        stored,
        workgroups: workgroups.to_vec(),
    };
    // A component may be loaded alone or with its vector.
    let extra = outcome.loads[0].total - 1024;
    assert!(extra == 32 * 4 || extra == 32 * 16, "{extra}");
    assert_eq!(outcome.loads[0], loads(1024 + extra, 1024, 0, [512, 512 + extra]));
    assert_eq!(outcome.loads[1], loads(256, 4, 0, [128, 128]));
    assert_eq!(outcome.loads[2], loads(768, 768, 0, [384, 384]));
    assert_eq!(outcome.loads[3], loads(256, 4, 256, [128, 128]));
    assert_eq!(Type::Integer(4, false).decode(&outcome.buffers[3]), [64.0, 0.0]);
}

#[test]
fn what_never_ends_is_ended_and_says_where() {
    if !available() {
        return;
    }
    // Waits for a thread that has no turn before it ends.
    let body = "kernel void k(device atomic_uint* y [[buffer(0)]], uint i [[thread_position_in_grid]]) {\n\
        while (i == 0 && atomic_load_explicit(y, memory_order_relaxed) == 0) {}\n\
        if (i == 40) atomic_store_explicit(y, 1u, memory_order_relaxed);\n}\n";
    let error = launch("endless", body, Layer::Plain, (1, 64), &[vec![0; 4]]).unwrap_err();
    assert!(error.contains("did not finish within") && error.contains("thread 0"), "{error}");
}

#[test]
fn a_crash_stays_outside_and_says_where() {
    if !available() {
        return;
    }
    let deep = "kernel void k(device uint* y [[buffer(0)]], uint i [[thread_position_in_grid]]) {\n\
        uint big[100000]; for (uint k = 0; k < 100000; ++k) big[k] = k * y[0];\n\
        for (uint k = 0; k < 100000; k += i + 1) y[0] += big[(k * 7919) % 100000];\n}\n";
    let error = launch("deep", deep, Layer::Plain, (1, 1), &[vec![0; 4]]).unwrap_err();
    assert!(error.contains("too many or too large variables in a thread"), "{error}");
    let zero = "kernel void k(device uint* y [[buffer(0)]]) {\ny[0] = 5 / y[1];\n}\n";
    let error = launch("zero", zero, Layer::Bounds, (1, 1), &[vec![0; 8]]).unwrap_err();
    assert!(error.contains("division by zero") && error.contains("zero.metal:4"), "{error}");
    let launched = launch("zero", zero, Layer::Plain, (1, 2000), &[vec![0; 8]]).unwrap_err();
    assert!(launched.contains("a threadgroup of 2000 threads"), "{launched}");
}

#[test]
fn a_source_that_does_not_compile_says_why() {
    if !available() {
        return;
    }
    let error = launch(
        "wrong",
        "kernel void k(device uint* y [[buffer(0)]]) { y[0] = undeclared; }\n",
        Layer::Plain,
        (1, 1),
        &[],
    );
    assert!(error.unwrap_err().contains("wrong.metal:3"));
    let error = launch("open", "kernel void k(device uint* y [[buffer(0)]] { y[0] = 1; }\n", Layer::Plain, (1, 1), &[]);
    assert!(error.unwrap_err().contains("line 3: a parenthesis or brace is never closed"));
}

/// Kernels that read what nothing wrote read the same nonsense every time, and no zeros.
#[test]
fn memory_that_nothing_has_written_is_not_zero() {
    if !available() {
        return;
    }
    let body = "kernel void k(device float* y [[buffer(0)]], uint i [[thread_position_in_grid]]) {\n\
        threadgroup float t[4]; float own[2];\n\
        y[2 * i] = t[i]; y[2 * i + 1] = own[i];\n}\n";
    let outcome = launch("unwritten", body, Layer::Plain, (1, 2), &[vec![0; 16]]).unwrap();
    let got = Type::Float.decode(&outcome.buffers[0]);
    assert!(got[0].is_nan() && got[2].is_nan(), "{got:?}");
}
