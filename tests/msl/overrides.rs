//! Hand-written Metal sources in the emulator: the cases of their kernels in three schedules, with bounds and races watched, and with
//! mistakes planted.
//!
//! On a Mac tests/passthrough.rs runs the same cases on the GPU itself.

use crate::msl_emu::executor::{Emulator, MslSource, apple};
use crate::msl_emu::{self, Layer, Schedule};
use ffai::doctor;
use ffai::graph::{Case, Cases, Kernel, Metal, Op, Value};
use ffai::kernels::CATALOGUE;
use ffai::weights::format::FORMATS;
use rayon::prelude::*;
use std::collections::BTreeSet;

/// The override of an op; an error where there is none.
pub(crate) fn translate(op: &Op) -> Result<MslSource, String> {
    let text = ffai::gpu::metal(op).ok_or_else(|| format!("{} has no override for this op", op.kernel.name))?;
    let Some(Value::U32(threads)) = op.constants.find("WORKGROUP") else {
        return Err(format!("{} does not say how many threads a workgroup has", op.kernel.name));
    };
    let lengths = (0..op.operands.len()).collect();
    Ok(MslSource { text, entry: op.kernel.name.to_owned(), threads: [threads, 1, 1], lengths })
}

/// The cases that overrides run alone.
fn cases(kernel: &Kernel) -> Vec<Case> {
    let full = std::env::var_os("FFAI_TEST_FULL").is_some();
    let mut cases = Cases::new(&apple(), &FORMATS, 0x3E7A1, full);
    (kernel.cases)(&mut cases);
    let covered = |case: &Case| case.plan.ops.iter().all(|op| ffai::gpu::metal(op).is_some());
    cases.cases.into_iter().filter(covered).collect()
}

/// Kernels with an override; all, or the one that FFAI_TEST_KERNEL names.
fn overridden() -> impl Iterator<Item = (&'static Kernel, &'static Metal)> {
    let wanted = std::env::var("FFAI_TEST_KERNEL").ok();
    let all = CATALOGUE.iter().filter_map(|kernel| Some((*kernel, kernel.metal.as_ref()?)));
    all.filter(move |(kernel, _)| wanted.as_deref().is_none_or(|name| name == kernel.name))
}

fn judged(kernel: &Kernel, metal: &Metal, case: &Case, mut emulator: Emulator) -> Result<f64, String> {
    let got = doctor::run(&mut emulator, case).map_err(|error| format!("{}: {error}", case.label))?;
    doctor::compare(kernel.name, case, &got, &doctor::twin(case).unwrap(), metal.tolerance)
}

/// Every case of every kernel in one layer and schedule.
fn agree(layer: Layer, schedule: Schedule) {
    if !msl_emu::available() {
        return;
    }
    for (kernel, metal) in overridden() {
        let cases = cases(kernel);
        let run = |case: &Case| judged(kernel, metal, case, Emulator::new(translate, layer, schedule));
        let results: Vec<Result<f64, String>> = cases.par_iter().map(run).collect();
        let failures: Vec<&str> =
            results.iter().filter_map(|result| result.as_ref().err()).map(String::as_str).collect();
        assert!(failures.is_empty(), "{} ({layer:?}, {schedule:?}):\n{}", kernel.name, failures.join("\n"));
        let largest = results.iter().flatten().fold(0.0, |a: f64, b| a.max(*b));
        println!("{} ({layer:?}, {schedule:?}): {} cases, largest nmse {largest:e}", kernel.name, cases.len());
        assert!(!cases.is_empty(), "{} has no case that its override runs", kernel.name);
    }
}

#[test]
fn overrides_pass_the_front_end() {
    if !msl_emu::available() {
        return;
    }
    for (kernel, _) in overridden() {
        let sources: BTreeSet<String> =
            cases(kernel).iter().flat_map(|case| case.plan.ops.iter().filter_map(ffai::gpu::metal)).collect();
        let failures: Vec<String> = sources
            .par_iter()
            .filter_map(|source| msl_emu::check(&format!("{}.metal", kernel.name), source).err())
            .collect();
        assert!(failures.is_empty(), "{}", failures.join("\n"));
        println!("{}: {} sources", kernel.name, sources.len());
    }
}

#[test]
fn overrides_agree_with_their_twins() {
    agree(Layer::Plain, Schedule::Forward);
}

#[test]
fn overrides_agree_whatever_the_order_of_threads() {
    agree(Layer::Plain, Schedule::Reverse);
    agree(Layer::Plain, Schedule::Random(5));
}

#[test]
fn overrides_stay_inside_their_buffers() {
    agree(Layer::Bounds, Schedule::Forward);
}

#[test]
fn overrides_have_no_races() {
    agree(Layer::Races, Schedule::Forward);
}

/// A column's sum is made in the same order whatever stands beside it: width 1's.
#[test]
fn columns_do_not_depend_on_their_neighbours() {
    use ffai::graph::{Element, Format};
    use ffai::kernels::matvec::{Around, matvec};
    if !msl_emu::available() {
        return;
    }
    let shared: Vec<&'static Format> =
        FORMATS.iter().copied().filter(|format| !format.metal.is_empty() && !format.variant).collect();
    shared.par_iter().for_each(|format| {
        let cols = 1024;
        let rows = 24;
        let x: Vec<f32> = {
            let mut rng = ffai::graph::Rng(3);
            (0..8 * cols).map(|_| rng.normal()).collect()
        };
        let product = |columns: std::ops::Range<usize>| -> Vec<f32> {
            let mut cases = Cases::new(&apple(), &FORMATS, 9, false);
            cases.case(format.name, |c| {
                let w = c.matrix(&[(*format, rows)], cols as u32);
                let gain = c.normal_buffer(cols as u32, 1.0, 0.3);
                let width = columns.len() as u32;
                let x = c.input(width, cols as u32, &x[columns.start * cols..columns.end * cols]);
                let around = Around { norm: Some((gain, 1e-5)), ..Around::default() };
                let y = matvec(&mut c.recorder, &w, x, around);
                c.check(y, Element::F32);
            });
            let mut emulator = Emulator::new(translate, Layer::Plain, Schedule::Forward);
            let got = doctor::run(&mut emulator, &cases.cases[0]).unwrap();
            bytemuck::pod_collect_to_vec(&got[0])
        };
        let together = product(0..8);
        for column in [0, 3, 4, 7] {
            let alone = product(column..column + 1);
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<u32>>();
            let beside = &together[column * rows as usize..][..rows as usize];
            assert_eq!(bits(&alone), bits(beside), "{}, column {column}", format.name);
        }
    });
}

/// Kernel, what is wrong, the text that is replaced and what replaces it (the first occurrence), and the layer that sees it.
const PLANTED: &[(&str, &str, &str, &str, Layer)] = &[
    ("rms_norm", "dropped eps", "float(VECTORS)) + EPS", "float(VECTORS))", Layer::Plain),
    ("rms_norm", "gain of the next column", "gain[i]", "gain[(i + 1) % VECTORS]", Layer::Plain),
    ("rms_norm", "a row too many", "row < rows", "row <= rows", Layer::Bounds),
    ("rms_norm", "length of another slot", "lengths[3]", "lengths[0]", Layer::Plain),
    ("matvec", "dropped eps", " + EPS", "", Layer::Plain),
    ("matvec", "late lane", "uint at = lane;", "uint at = lane + 1u;", Layer::Plain),
    ("matvec", "last part skipped", "at < PARTS", "at < PARTS - 1u", Layer::Plain),
    ("matvec", "a part too many", "at < PARTS", "at < PARTS + 1u", Layer::Bounds),
    ("matvec", "rows past the end stored", "lane < OWNED && row + lane < ROWS", "lane < OWNED", Layer::Bounds),
    ("matvec", "rows past the end loaded", "min(row + r % OWNED, ROWS - 1u)", "row + r % OWNED", Layer::Bounds),
    (
        "matvec",
        "gate and up swapped",
        "activation(value) * (second * scale)",
        "value * activation(second * scale)",
        Layer::Plain,
    ),
    ("matvec", "residual of another row", "residual[at]", "residual[at ^ 1u]", Layer::Plain),
    ("matvec", "first column for all", "x + (first + c) * 8u * BLOCKS", "x", Layer::Plain),
    ("matvec", "first row ignored", "c * STRIDE + FIRST + row", "c * STRIDE + row", Layer::Plain),
    ("matvec", "gain left out", "a3 *= gain[second + 1u];", "", Layer::Plain),
    ("matvec", "squares of half a part", "fma(a3, a3, fma(a2, a2,", "fma(a2, a2, fma(a2, a2,", Layer::Plain),
    (
        "matvec",
        "sum over half of the lanes",
        "simd_sum(sums[c][r])",
        "(lane < 16 ? simd_sum(sums[c][r]) : 0.0f)",
        Layer::Plain,
    ),
    (
        "matvec",
        "lanes that leave before a sum",
        "float squares[WIDTH] = {};",
        "float squares[WIDTH] = {};\n    if (lane >= PARTS) return;",
        Layer::Plain,
    ),
    ("matvec", "q4: wrong nibble", "0xF00u, 0xF0000u, 0xF000000u", "0xF00u, 0xF0000u, 0xF00000u", Layer::Plain),
    ("matvec", "q4_0: offset of 7", "-8.0f * d", "-7.0f * d", Layer::Plain),
    (
        "matvec",
        "q4_1: scale and minimum swapped",
        "float(p.s.x), float(p.s.y)",
        "float(p.s.y), float(p.s.x)",
        Layer::Plain,
    ),
    ("matvec", "q5_0: fifth bits of the neighbour", "scales[pair + odd]", "scales[pair]", Layer::Plain),
    ("matvec", "q8_0: unsigned", "as_type<char4>", "as_type<uchar4>", Layer::Plain),
    ("matvec", "q4_k: minimum added", "-factors.y * float(minimum)", "factors.y * float(minimum)", Layer::Plain),
    (
        "matvec",
        "q5_k: fifth bits of the first block",
        "scales[unit + 4u + block % 8u]",
        "scales[unit + 4u]",
        Layer::Plain,
    ),
    ("matvec", "q6_k: one scale for both halves", "p.e, -32.0f * p.e", "p.d, -32.0f * p.d", Layer::Plain),
    ("matvec", "q6_k: high bits of the next block", "block % 16u * 2u;", "(block + 1u) % 16u * 2u;", Layer::Plain),
    ("matvec", "mlx: group of one block", "block / GROUP", "block", Layer::Bounds),
    (
        "matvec",
        "mlx4: weights of the other half",
        "four(p.q.x), four(p.q.x >> 16u)",
        "four(p.q.x >> 16u), four(p.q.x)",
        Layer::Plain,
    ),
    (
        "matvec",
        "mlx8: words swapped",
        "unsigned_bytes(p.q.z), unsigned_bytes(p.q.w)",
        "unsigned_bytes(p.q.w), unsigned_bytes(p.q.z)",
        Layer::Plain,
    ),
    (
        "matvec",
        "bf16: halves swapped",
        "words.x << 16u, words.x & 0xFFFF0000u",
        "words.x & 0xFFFF0000u, words.x << 16u",
        Layer::Plain,
    ),
    (
        "sample_draw",
        "all on the threshold are kept",
        "return min(ties - min(ties, before), more);",
        "return more;",
        Layer::Plain,
    ),
    (
        "sample_draw",
        "what earlier chunks weigh is forgotten",
        "left -= from_lane(passed, chunk / SPAN);",
        "",
        Layer::Plain,
    ),
    (
        "sample_draw",
        "a lane starts where another ends",
        "sum = sum_before(own, lane);",
        "sum = sum_before(own, lane) + own;",
        Layer::Plain,
    ),
    ("sample_draw", "past the last token", "if (first + i < VOCAB) {", "{", Layer::Bounds),
    ("sample_draw", "written while it is read", "    simdgroup_barrier(mem_flags::mem_device);\n", "", Layer::Races),
    ("sample_histogram", "carry lost", "before + low < before ? 1u : 0u", "0u", Layer::Plain),
    ("sample_histogram", "the first pass looks at the prefix", "PASS > 0u && ", "", Layer::Plain),
    (
        "sample_histogram",
        "past the last token",
        "min((group.x + 1u) * CHUNK, VOCAB)",
        "(group.x + 1u) * CHUNK",
        Layer::Bounds,
    ),
    (
        "sample_histogram",
        "no barrier after clearing",
        "    threadgroup_barrier(mem_flags::mem_threadgroup);\n    const float peak",
        "    const float peak",
        Layer::Races,
    ),
    ("sample_mass", "those on the threshold are not counted", "ties++;", "", Layer::Plain),
    ("sample_mass", "one simdgroup of two", "total += sums[i];", "", Layer::Plain),
    (
        "sample_mass",
        "no barrier before the sum",
        "    threadgroup_barrier(mem_flags::mem_threadgroup);\n    if (thread_index == 0u) {\n        uint4",
        "    if (thread_index == 0u) {\n        uint4",
        Layer::Races,
    ),
    (
        "sample_narrow",
        "a lane counts its own as before it",
        "uint tokens_above = simd_prefix_exclusive_sum(count);",
        "uint tokens_above = simd_prefix_inclusive_sum(count);",
        Layer::Plain,
    ),
    ("sample_narrow", "masses stay for the next pass", "        own[256u + bin] = 0u;\n", "", Layer::Plain),
    ("sample_narrow", "no last bin", "(enough || place == 255u)", "enough", Layer::Plain),
    ("sample_narrow", "written while it is read", "    simdgroup_barrier(mem_flags::mem_device);\n", "", Layer::Races),
    (
        "matmul_tiled",
        "no barrier after loading",
        "        threadgroup_barrier(mem_flags::mem_threadgroup);\n        #pragma unroll\n        for (uint k",
        "        #pragma unroll\n        for (uint k",
        Layer::Races,
    ),
    (
        "matmul_tiled",
        "no barrier before loading again",
        "        threadgroup_barrier(mem_flags::mem_threadgroup);\n    }",
        "    }",
        Layer::Races,
    ),
    (
        "matmul_tiled",
        "no barrier before results",
        "    threadgroup_barrier(mem_flags::mem_threadgroup);\n    for (uint i",
        "    for (uint i",
        Layer::Races,
    ),
    (
        "matmul_tiled",
        "a barrier that orders no memory",
        "mem_flags::mem_threadgroup",
        "mem_flags::mem_none",
        Layer::Races,
    ),
    ("matmul_tiled", "weights not turned", "W_PITCH, ulong2(0), true", "W_PITCH, ulong2(0), false", Layer::Plain),
    ("matmul_tiled", "rows past the end stored", "t < tokens && r < ROWS", "t < tokens", Layer::Bounds),
    ("matmul_tiled", "tokens past the end stored", "t < tokens && r < ROWS", "r < ROWS", Layer::Bounds),
    (
        "matmul_tiled",
        "tokens past the end loaded",
        "min(token + own_token, tokens - 1u)",
        "(token + own_token)",
        Layer::Bounds,
    ),
    (
        "matmul_tiled",
        "tile too small",
        "constant constexpr uint X_PITCH = 36u;",
        "constant constexpr uint X_PITCH = 28u;",
        Layer::Plain,
    ),
    (
        "matmul_tiled",
        "shared memory too small",
        "TILE_ROWS * W_PITCH / 2u + TILE_TOKENS * X_PITCH;",
        "TILE_ROWS * W_PITCH / 2u + TILE_TOKENS * X_PITCH - 16u;",
        Layer::Bounds,
    ),
    ("matmul_tiled", "minimum left out", "LOW * p.d, float4(p.m)", "LOW * p.d, float4(0.0f)", Layer::Plain),
    (
        "attend_decode",
        "early return before a barrier",
        "    threadgroup_barrier(mem_flags::mem_threadgroup);\n\n    const uint eighth",
        "    if (thread_index >= 32u) return;\n    threadgroup_barrier(mem_flags::mem_threadgroup);\n\n    const uint eighth",
        Layer::Plain,
    ),
    (
        "attend_decode",
        "no barrier after the scores",
        "    threadgroup_barrier(mem_flags::mem_threadgroup);\n\n    for (uint g = simdgroup",
        "    for (uint g = simdgroup",
        Layer::Races,
    ),
    (
        "attend_decode",
        "no barrier after the queries",
        "    threadgroup_barrier(mem_flags::mem_threadgroup);\n\n    const uint eighth",
        "    const uint eighth",
        Layer::Races,
    ),
    (
        "attend_decode",
        "a key too many",
        "const uint count = min(begin + SPLIT, row.y + 1u) - first;",
        "const uint count = min(begin + SPLIT, row.y + 2u) - first;",
        Layer::Plain,
    ),
    ("attend_decode", "page of another sequence", "sequence * MAX_PAGES", "0u * MAX_PAGES", Layer::Plain),
    ("attend_decode", "sum of half of the lanes", "s += simd_shuffle_xor(s, 4);", "", Layer::Plain),
    ("attend_decode", "window ignored", "max(begin, seen)", "begin", Layer::Plain),
    ("attend_decode", "cap forgotten", "if (CAPPED)", "if (false && CAPPED)", Layer::Plain),
    ("attend_reduce", "first maximum for all", "peak = max(peak, peaks[head * slots + s].x);", "", Layer::Plain),
    (
        "attend_reduce",
        "slots that nothing wrote",
        "for (uint s = 0; s < splits; s++)",
        "for (uint s = 0; s < slots; s++)",
        Layer::Plain,
    ),
    ("attend_prefill", "no fading", "const float fade = exp(before - now);", "const float fade = 1.0f;", Layer::Plain),
    ("attend_prefill", "keys past the end", "key <= limit && ", "", Layer::Plain),
    ("attend_prefill", "values past the end", "position + i / HEAD_DIM <= last", "true", Layer::Plain),
    ("attend_prefill", "keys not turned", "HEAD_DIM, ulong2(0), true", "HEAD_DIM, ulong2(0), false", Layer::Plain),
    ("attend_prefill", "window ignored", " && key + int(WINDOW) > limit", "", Layer::Plain),
    ("attend_prefill", "rows past the end stored", "if (row < count) {", "if (true) {", Layer::Bounds),
    (
        "attend_prefill",
        "no barrier after the queries",
        "    threadgroup_barrier(mem_flags::mem_threadgroup);\n\n    threadgroup float* own",
        "    threadgroup float* own",
        Layer::Races,
    ),
    (
        "attend_prefill",
        "no barrier before softmax",
        "        simdgroup_barrier(mem_flags::mem_threadgroup);\n\n        for (uint r",
        "        for (uint r",
        Layer::Races,
    ),
    (
        "attend_prefill",
        "no barrier after the tail",
        "                threadgroup_barrier(mem_flags::mem_threadgroup);\n",
        "",
        Layer::Races,
    ),
    (
        "sample_scan",
        "last token of a chunk",
        "min((group.x + 1u) * CHUNK, VOCAB)",
        "min((group.x + 1u) * CHUNK - 1u, VOCAB)",
        Layer::Plain,
    ),
    (
        "sample_scan",
        "tokens past the end",
        "min((group.x + 1u) * CHUNK, VOCAB)",
        "((group.x + 1u) * CHUNK)",
        Layer::Bounds,
    ),
    ("sample_scan", "no barrier", "    threadgroup_barrier(mem_flags::mem_threadgroup);\n", "", Layer::Races),
    (
        "sample_scan",
        "highest token among equals",
        "simd_min(own.x == top ? own.y : 0xFFFFFFFFu)",
        "simd_max(own.x == top ? own.y : 0u)",
        Layer::Plain,
    ),
    ("sample_scan", "penalty by presence alone", " - s.frequency * float(times)", "", Layer::Plain),
    ("sample_best", "position kept", "row.y + 1u", "row.y", Layer::Plain),
    ("sample_best", "bins left", "i < 768u; i += WORKGROUP", "i < 700u; i += WORKGROUP", Layer::Plain),
];

#[test]
fn mistakes_in_overrides_are_found_by_their_layer() {
    if !msl_emu::available() {
        return;
    }
    let wanted = std::env::var("FFAI_TEST_FAULTS").unwrap_or_default();
    let missed: Vec<String> = PLANTED
        .par_iter()
        .filter(|(kernel, what, ..)| format!("{kernel}: {what}").contains(&wanted))
        .filter_map(|&(name, what, old, new, layer)| {
            let kernel = *CATALOGUE.iter().find(|kernel| kernel.name == name).unwrap();
            let metal = kernel.metal.as_ref().unwrap();
            let holds = |case: &&Case| {
                let mut sources = case.plan.ops.iter().filter_map(ffai::gpu::metal);
                sources.any(|source| source.contains(old))
            };
            let cases = cases(kernel);
            let mut tried = 0;
            let found = cases.iter().filter(holds).any(|case| {
                tried += 1;
                let planted = move |op: &Op| {
                    let mut source = translate(op)?;
                    source.text = source.text.replacen(old, new, 1);
                    Ok(source)
                };
                judged(kernel, metal, case, Emulator::new(planted, layer, Schedule::Forward)).is_err()
            });
            (!found).then(|| format!("{name}: {what}: not found in {tried} cases"))
        })
        .collect();
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
