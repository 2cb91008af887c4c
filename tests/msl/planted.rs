//! Kernels that are right pass every layer in every order; a mistake planted in one is caught by the layer that is there for it.

use crate::msl_emu::{Launch, Layer, Program, Schedule, available};
use ffai::graph::Rng;
use half::f16;
use rayon::prelude::*;
use std::fs;

/// A kernel with what it is run on.
struct Setup {
    entry: &'static str,
    workgroups: [u32; 3],
    threads: [u32; 3],
    buffers: Vec<Vec<u8>>,
    output: usize,
    /// Results in double precision.
    want: Vec<f64>,
    /// As what the output is read.
    read: fn(&[u8]) -> Vec<f64>,
    tolerance: f64,
}

fn halves(bytes: &[u8]) -> Vec<f64> {
    bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f64()).collect()
}

fn floats(bytes: &[u8]) -> Vec<f64> {
    bytes.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect()
}

fn words(bytes: &[u8]) -> Vec<f64> {
    bytes.chunks_exact(4).map(|b| f64::from(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect()
}

fn of_words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Random halves, as bytes and as what they are.
fn random_halves(rng: &mut Rng, count: usize) -> (Vec<u8>, Vec<f64>) {
    let values: Vec<f16> = (0..count).map(|_| f16::from_f32(rng.normal())).collect();
    (values.iter().flat_map(|v| v.to_le_bytes()).collect(), values.iter().map(|v| v.to_f64()).collect())
}

fn norm() -> Setup {
    const ROWS: usize = 2;
    const COLS: usize = 512;
    let mut rng = Rng(1);
    let (x, xs) = random_halves(&mut rng, ROWS * COLS);
    let w: Vec<f32> = (0..COLS).map(|_| rng.normal()).collect();
    let eps = 0.01f32;
    let mut parameters = of_words(&[COLS as u32]);
    parameters.extend(eps.to_le_bytes());
    let want = xs.chunks(COLS).flat_map(|row| {
        let mean = row.iter().map(|v| v * v).sum::<f64>() / COLS as f64;
        let scale = (mean + f64::from(eps)).sqrt().recip();
        row.iter().zip(&w).map(move |(v, w)| v * scale * f64::from(*w)).collect::<Vec<_>>()
    });
    Setup {
        entry: "rms_norm",
        workgroups: [ROWS as u32, 1, 1],
        threads: [128, 1, 1],
        want: want.collect(),
        buffers: vec![x, w.iter().flat_map(|v| v.to_le_bytes()).collect(), vec![0xFF; ROWS * COLS * 2], parameters],
        output: 2,
        read: halves,
        tolerance: 2e-3,
    }
}

fn gemv() -> Setup {
    const ROWS: usize = 60;
    const COLS: usize = 512;
    let mut rng = Rng(2);
    let (mut blocks, mut weights) = (Vec::new(), Vec::new());
    for _ in 0..ROWS * COLS / 32 {
        let d = f16::from_f32(0.001 + 0.02 * rng.unit() as f32);
        let q: Vec<u8> = (0..32).map(|_| rng.below(16) as u8).collect();
        blocks.extend(d.to_le_bytes());
        blocks.extend((0..16).map(|i| q[i] | q[i + 16] << 4));
        weights.extend(q.iter().map(|q| d.to_f64() * (f64::from(*q) - 8.0)));
    }
    let (x, xs) = random_halves(&mut rng, COLS);
    let (bias, biases) = random_halves(&mut rng, ROWS);
    let want = weights
        .chunks(COLS)
        .zip(&biases)
        .map(|(row, bias)| row.iter().zip(&xs).map(|(w, x)| w * x).sum::<f64>() + bias);
    Setup {
        entry: "gemv_q4_f16",
        workgroups: [ROWS.div_ceil(8) as u32, 1, 1],
        threads: [64, 1, 1],
        want: want.collect(),
        buffers: vec![blocks, x, vec![0xFF; ROWS * 2], of_words(&[ROWS as u32, COLS as u32]), bias],
        output: 2,
        read: halves,
        tolerance: 2e-3,
    }
}

fn gemm() -> Setup {
    const M: usize = 50;
    const N: usize = 40;
    const K: usize = 48;
    let mut rng = Rng(3);
    let ((a, left), (b, right)) = (random_halves(&mut rng, M * K), random_halves(&mut rng, N * K));
    let product = |m: usize, n: usize| (0..K).map(|k| left[m * K + k] * right[n * K + k]).sum::<f64>();
    Setup {
        entry: "gemm_f16",
        workgroups: [N.div_ceil(32) as u32, M.div_ceil(32) as u32, 1],
        threads: [128, 1, 1],
        want: (0..M * N).map(|i| product(i / N, i % N)).collect(),
        buffers: vec![a, b, vec![0xFF; M * N * 4], of_words(&[M as u32, N as u32, K as u32])],
        output: 2,
        read: floats,
        tolerance: 1e-5,
    }
}

fn scan() -> Setup {
    let mut rng = Rng(4);
    let x: Vec<u32> = (0..512).map(|_| rng.below(1000)).collect();
    let want = x.chunks(256).flat_map(|part| {
        part.iter().scan(0, |sum, v| {
            *sum += v;
            Some(f64::from(*sum))
        })
    });
    Setup {
        entry: "scan",
        workgroups: [2, 1, 1],
        threads: [256, 1, 1],
        want: want.collect(),
        buffers: vec![of_words(&x), vec![0xFF; 512 * 4]],
        output: 1,
        read: words,
        tolerance: 0.0,
    }
}

fn histogram() -> Setup {
    let mut rng = Rng(5);
    let x: Vec<u32> = (0..1000).map(|_| rng.below(1 << 30)).collect();
    let want = (0..16).map(|bin| x.iter().filter(|v| **v % 16 == bin).count() as f64).collect();
    Setup {
        entry: "histogram",
        workgroups: [3, 1, 1],
        threads: [64, 1, 1],
        want,
        buffers: vec![of_words(&x), vec![0; 16 * 4], of_words(&[1000])],
        output: 1,
        read: words,
        tolerance: 0.0,
    }
}

/// A kernel's name, and what it is run on.
type Named = (&'static str, fn() -> Setup);

const KERNELS: [Named; 5] = [("norm", norm), ("gemv", gemv), ("gemm", gemm), ("scan", scan), ("histogram", histogram)];

fn source(kernel: &str) -> String {
    fs::read_to_string(format!("{}/tests/msl_emu/kernels/{kernel}.metal", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

const SCHEDULES: [Schedule; 3] = [Schedule::Forward, Schedule::Reverse, Schedule::Random(7)];

/// Runs a source and compares the result; the error says what is wrong.
fn judge(kernel: &str, text: &str, layer: Layer, schedule: Schedule) -> Result<(), String> {
    let setup = KERNELS.iter().find(|(name, _)| *name == kernel).unwrap().1();
    let writable: Vec<bool> = (0..setup.buffers.len()).map(|slot| slot == setup.output).collect();
    let outcome = Program::build(&format!("{kernel}.metal"), text, layer)?.run(&Launch {
        entry: setup.entry,
        workgroups: setup.workgroups,
        threads: setup.threads,
        buffers: &setup.buffers,
        writable: &writable,
        schedule,
    })?;
    let got = (setup.read)(&outcome.buffers[setup.output]);
    assert_eq!(got.len(), setup.want.len());
    for (index, (got, want)) in got.iter().zip(&setup.want).enumerate() {
        let error = (got - want).abs();
        if error.is_nan() || error > setup.tolerance * (1.0 + want.abs()) {
            return Err(format!("wrong result: element {index} is {got}, not {want}"));
        }
    }
    Ok(())
}

#[test]
fn sound_kernels_pass_every_layer_in_every_order() {
    if !available() {
        return;
    }
    let mut runs = Vec::new();
    for (kernel, _) in KERNELS {
        for layer in [Layer::Plain, Layer::Bounds, Layer::Races, Layer::Loads] {
            runs.extend(SCHEDULES.map(|schedule| (kernel, layer, schedule)));
        }
    }
    let wrong: Vec<String> = runs
        .par_iter()
        .filter_map(|&(kernel, layer, schedule)| judge(kernel, &source(kernel), layer, schedule).err())
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A mistake: in which kernel, what stands there, what is put there, which layer must say so, and what.
struct Planted(&'static str, &'static str, &'static str, Layer, &'static str);

const BARRIER: &str = "threadgroup_barrier(mem_flags::mem_threadgroup);";
const WRONG: &str = "wrong result";

const PLANTED: &[Planted] = &[
    // Barriers that are missing: between write and read, between read and the next write, between results and their use.
    Planted("norm", BARRIER, "", Layer::Races, "nothing has written"),
    Planted(
        "gemm",
        "        threadgroup_barrier(mem_flags::mem_threadgroup);\n        for (uint kk",
        "        for (uint kk",
        Layer::Races,
        "race on byte",
    ),
    Planted(
        "gemm",
        "        threadgroup_barrier(mem_flags::mem_threadgroup);\n    }\n",
        "    }\n",
        Layer::Races,
        "race on byte",
    ),
    Planted("gemm", "BN);\n    threadgroup_barrier(mem_flags::mem_threadgroup);\n", "BN);\n", Layer::Races, "`out`"),
    Planted("scan", BARRIER, "", Layer::Races, "`partial`"),
    Planted("scan", "simdgroup_barrier(mem_flags::mem_threadgroup);", "", Layer::Races, "`turned`"),
    Planted("histogram", BARRIER, "", Layer::Plain, WRONG),
    // Barriers of the wrong kind.
    Planted(
        "norm",
        "mem_flags::mem_threadgroup",
        "mem_flags::mem_none",
        Layer::Races,
        "no barrier with mem_threadgroup",
    ),
    Planted(
        "norm",
        "mem_flags::mem_threadgroup",
        "mem_flags::mem_device",
        Layer::Races,
        "no barrier with mem_threadgroup",
    ),
    Planted("gemm", "        threadgroup_barrier", "        simdgroup_barrier", Layer::Races, "nothing has written"),
    Planted(
        "scan",
        "simdgroup_barrier(mem_flags::mem_threadgroup)",
        "simdgroup_barrier(mem_flags::mem_device)",
        Layer::Races,
        "race on byte",
    ),
    // Threadgroup memory that nothing has written.
    Planted("norm", "lane < nsg ? partial[lane] : 0.0f", "partial[lane]", Layer::Races, "nothing has written"),
    Planted("norm", "lane < nsg ? partial[lane] : 0.0f", "partial[lane]", Layer::Plain, WRONG),
    Planted(
        "histogram",
        "if (tid < BINS) atomic_store",
        "if (tid < BINS - 1) atomic_store",
        Layer::Races,
        "nothing has written",
    ),
    // Out of bounds: device memory read and written, threadgroup and private arrays, arrays in structs.
    Planted("gemv", "b < nb; b += 16", "b < nb + 16; b += 16", Layer::Bounds, "bytes past its end"),
    Planted("gemv", "b < nb; b += 16", "b < nb + 16; b += 16", Layer::Races, "bytes past its end"),
    Planted("gemv", "lane == 0 && row0 + r < p.rows", "lane == 0", Layer::Bounds, "buffer 4 (`bias`)"),
    Planted("gemv", "half(t + (HAS_BIAS ? float(bias[row0 + r]) : 0.0f))", "half(t)", Layer::Plain, WRONG),
    Planted("scan", "y[gid] =", "y[gid + 1] =", Layer::Bounds, "writes 4 bytes of buffer 1 (`y`)"),
    Planted("scan", "y[gid] =", "y[gid + 1] =", Layer::Plain, "buffer 1 (`y`)"),
    Planted("scan", "y[gid] =", "y[gid - 1] =", Layer::Plain, "none of its buffers"),
    Planted("gemm", "r < rows_left ?", "true ?", Layer::Bounds, "bytes past its end"),
    Planted("gemm", "if (r < p.M && c < p.N)", "if (c < p.N)", Layer::Bounds, "writes 4 bytes of buffer 2 (`C`)"),
    Planted("gemm", "Bs[BN * BK]", "Bs[BN * BK - 8]", Layer::Bounds, "threadgroup variable"),
    Planted("norm", "partial[32]", "partial[2]", Layer::Bounds, "out of bounds for type"),
    Planted("scan", "partial[8]", "partial[4]", Layer::Bounds, "out of bounds for type"),
    Planted("gemv", "acc[ROWS_PER_SG] =", "acc[ROWS_PER_SG - 1] =", Layer::Bounds, "out of bounds for type"),
    Planted("gemv", "int(q[i + 4] & 0xF)", "int(blk.qs[i + 16] & 0xF)", Layer::Bounds, "out of bounds for type"),
    Planted("histogram", "local[x[i] % BINS]", "local[x[i] % (BINS + 1)]", Layer::Bounds, "local"),
    Planted("histogram", "&bins[tid]", "&bins[tid + 1]", Layer::Bounds, "buffer 1 (`bins`)"),
    // Vectors where no vector may be.
    Planted("gemv", "(xb + 4)", "(xb + 3)", Layer::Bounds, "misaligned"),
    // Memory that the kernel was given to read only.
    Planted(
        "norm",
        "y[row * p.n + i] =",
        "((device half*)x)[row * p.n + i] =",
        Layer::Plain,
        "buffer 0 (`x`), which it may only read",
    ),
    Planted(
        "gemv",
        "        const float t = simd_sum",
        "((device half*)bias)[0] = 1.0h; const float t = simd_sum",
        Layer::Bounds,
        "buffer 4 (`bias`), which it may only read",
    ),
    // Threads that do not come.
    Planted(
        "norm",
        "    threadgroup_barrier",
        "    if (tid >= 96) return;\n    threadgroup_barrier",
        Layer::Plain,
        "thread 96 has returned",
    ),
    Planted(
        "norm",
        "    threadgroup_barrier",
        "    if (sg == 0) threadgroup_barrier",
        Layer::Plain,
        "threadgroup_barrier in non-uniform control flow",
    ),
    Planted(
        "gemm",
        "        threadgroup_barrier(mem_flags::mem_threadgroup);\n    }\n",
        "        if (sg > 0) threadgroup_barrier(mem_flags::mem_threadgroup);\n    }\n",
        Layer::Plain,
        "threadgroup_barrier in non-uniform",
    ),
    Planted(
        "norm",
        "    s = simd_sum(s);",
        "    if (lane > 20) return;\n    s = simd_sum(s);",
        Layer::Plain,
        "simd_sum in non-uniform control flow",
    ),
    Planted(
        "norm",
        "    s = simd_sum(s);",
        "    if (lane < 16) s = simd_sum(s); else s = simd_max(s);",
        Layer::Plain,
        "non-uniform control flow",
    ),
    Planted(
        "norm",
        "    s = simd_sum(s);",
        "    if (lane < 16) { s = simd_sum(s); } else { s = simd_sum(s); }",
        Layer::Plain,
        "called from another place",
    ),
    Planted(
        "gemv",
        "        const float t = simd_sum",
        "        if (lane < 16) continue;\n        const float t = simd_sum",
        Layer::Plain,
        "non-uniform control flow",
    ),
    Planted(
        "scan",
        "    const uint own =",
        "    if (gid >= 500) return;\n    const uint own =",
        Layer::Plain,
        "has returned",
    ),
    Planted(
        "gemm",
        "            for (uint i = 0; i < 2; ++i) {\n",
        "            if (tid % 2) continue;\n            for (uint i = 0; i < 2; ++i) {\n",
        Layer::Plain,
        "in non-uniform control flow",
    ),
    // Arguments that must be the same in all lanes, or name a lane that is there.
    Planted(
        "gemm",
        "As + (sm + i * 8) * BK + kk, BK)",
        "As + (sm + i * 8) * BK + kk, BK + tid % 2)",
        Layer::Plain,
        "bring different arguments",
    ),
    Planted(
        "scan",
        "simd_shuffle(across, 31 - lane)",
        "simd_shuffle(across, 32 - lane)",
        Layer::Plain,
        "takes the value of lane 32",
    ),
    Planted(
        "scan",
        "simd_shuffle(across, 31 - lane)",
        "simd_broadcast(across, 31 - lane)",
        Layer::Plain,
        "must be the same in all lanes",
    ),
    // Threadgroups that write to one place, and counts that are not atomic.
    Planted(
        "gemv",
        "(tgpig.x * SG_PER_TG",
        "(tgpig.x / 2 * SG_PER_TG",
        Layer::Races,
        "a thread of another threadgroup",
    ),
    Planted(
        "histogram",
        "atomic_fetch_add_explicit(&bins[tid], atomic_load_explicit(&local[tid], memory_order_relaxed), memory_order_relaxed);",
        "((device uint*)bins)[tid] += atomic_load_explicit(&local[tid], memory_order_relaxed);",
        Layer::Races,
        "race on byte",
    ),
    Planted(
        "histogram",
        "atomic_fetch_add_explicit(&local[x[i] % BINS], 1u, memory_order_relaxed)",
        "atomic_store_explicit(&local[x[i] % BINS], atomic_load_explicit(&local[x[i] % BINS], memory_order_relaxed) + 1u, memory_order_relaxed)",
        Layer::Plain,
        WRONG,
    ),
    // Mistakes of arithmetic and of places.
    Planted("gemm", "ulong2(0), true", "ulong2(0), false", Layer::Plain, WRONG),
    Planted("gemm", "(sg % 2) * 16", "(sg % 2) * 8", Layer::Plain, WRONG),
    Planted("gemv", "q[i] >> 4", "q[i] & 15", Layer::Plain, WRONG),
    Planted("gemv", "q[i + 4] >> 4", "q[i] >> 4", Layer::Plain, WRONG),
    Planted("norm", "tot / float(p.n) + p.eps", "tot / float(p.n)", Layer::Plain, WRONG),
    Planted("scan", "simd_prefix_inclusive_sum", "simd_prefix_exclusive_sum", Layer::Plain, WRONG),
    Planted("norm", "[[buffer(2)]]", "[[buffer(5)]]", Layer::Plain, "nothing is bound to buffer 5 (`y`)"),
    Planted(
        "gemv",
        "bias  [[buffer(4)]]",
        "bias  [[buffer(9)]]",
        Layer::Plain,
        "nothing is bound to buffer 9 (`bias`)",
    ),
    Planted(
        "norm",
        "struct NormParams { uint n; float eps; }",
        "struct NormParams { uint n; uint pad[2]; float eps; }",
        Layer::Plain,
        "buffer 3 (`p`) has 8 bytes, its type needs 16",
    ),
    // What never ends, ends.
    Planted(
        "norm",
        "kernel void",
        "[[max_total_threads_per_threadgroup(64)]] kernel void",
        Layer::Plain,
        "max_total_threads_per_threadgroup is 64",
    ),
];

#[test]
fn planted_mistakes_are_caught_by_the_layer_that_is_there_for_them() {
    if !available() {
        return;
    }
    let missed: Vec<String> = PLANTED
        .par_iter()
        .filter_map(|Planted(kernel, from, to, layer, reason)| {
            let text = source(kernel);
            assert!(text.contains(from), "{kernel} has no `{from}`");
            let text = text.replacen(from, to, 1);
            let said: Vec<String> = SCHEDULES.iter().filter_map(|&s| judge(kernel, &text, *layer, s).err()).collect();
            // What depends on the order of threads may show in one order only.
            let caught = said.iter().any(|error| error.contains(reason));
            let certain = *layer == Layer::Plain || said.len() == SCHEDULES.len();
            (!caught || !certain)
                .then(|| format!("{kernel}: `{from}` -> `{to}`: wanted `{reason}` from {layer:?}, got {said:#?}"))
        })
        .collect();
    assert!(missed.is_empty(), "{} of {} were missed:\n{}", missed.len(), PLANTED.len(), missed.join("\n"));
}
