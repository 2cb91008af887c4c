//! Plants faults in shaders and demands that the parity cases find each of them.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

#[path = "support/parity.rs"]
mod support;

use ffai::gpu::{Gpu, GpuOptions};
use ffai::graph::{Cases, Executor};
use ffai::kernels::CATALOGUE;
use ffai::weights::format::FORMATS;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Kernel, what is wrong, the text that is replaced and what replaces it (the first occurrence).
const FAULTS: &[(&str, &str, &str, &str)] = &[
    ("rms_norm", "dropped eps", "f32(VECTORS)) + EPS", "f32(VECTORS))"),
    ("rms_norm", "gain of the next column", "gain[i]", "gain[(i + 1u) % VECTORS]"),
    (
        "rms_norm",
        "skipped last vector",
        "i < VECTORS; i += lanes) {\n            let v",
        "i < VECTORS - 1u; i += lanes) {\n            let v",
    ),
    ("rms_norm", "stray first row", "row < rows", "row < rows - 1u"),
    ("matvec", "dropped eps", " + EPS", ""),
    ("matvec", "skipped last block", "block < BLOCKS; block += lanes", "block < BLOCKS - 1u; block += lanes"),
    ("matvec", "lane that starts late", "var block = lane;", "var block = lane + 1u;"),
    ("matvec", "off-by-one tail", "if row < ROWS {", "if row < ROWS - 1u {"),
    (
        "matvec",
        "uninitialized accumulator",
        "var acc_a: array<vec4<f32>, WIDTH>;",
        "var acc_a: array<vec4<f32>, WIDTH>;\n        acc_a[0] = vec4<f32>(y[0]);",
    ),
    ("matvec", "gain left out", "a3 *= gain[g + 3u];", ""),
    ("matvec", "gate and up swapped", "activation(value) * (second * scale)", "value * activation(second * scale)"),
    ("matvec", "residual of another row", "residual[at]", "residual[at + 1u]"),
    ("matvec", "column of the first", "(column * BLOCKS + block)", "block"),
    ("matvec", "row repeated", "min(row + 5u, ROWS - 1u)", "min(row + 4u, ROWS - 1u)"),
    ("matvec", "squares of half a block", "s = fma(a7, a7, s);", ""),
    ("matvec", "first row of the block ignored", "column * STRIDE + FIRST + row", "column * STRIDE + row"),
    ("matvec", "q4: wrong nibble", "0xF00u, 0xF0000u, 0xF000000u", "0xF00u, 0xF0000u, 0xF00000u"),
    ("matvec", "q4: high nibble not shifted back", "word >> 28u", "word >> 24u"),
    ("matvec", "q4_0: offset of 7", "-8.0 * d", "-7.0 * d"),
    (
        "matvec",
        "q4_1: swapped scale and minimum",
        "let d = pair.x;\n    let m = pair.y;\n    return Raw(low",
        "let d = pair.y;\n    let m = pair.x;\n    return Raw(low",
    ),
    (
        "matvec",
        "q4_0: scale of the neighbour",
        "(block % 2u * 16u)).x;\n    let m = -8.0",
        "(0u)).x;\n    let m = -8.0",
    ),
    ("matvec", "q5_0: fifth bits of the neighbour", "scales[pair + block % 2u]", "scales[pair]"),
    ("matvec", "q5: fifth bit lost", "nibbles | bits", "nibbles"),
    ("matvec", "q5: fifth bits of other weights", "five(q.y, fifth, 4u, 20u)", "five(q.y, fifth, 4u, 16u)"),
    ("matvec", "q8_0: unsigned", "unpack4xI8", "unpack4xU8"),
    ("matvec", "bf16: halves swapped", "low << 16u, low & 0xFFFF0000u", "low & 0xFFFF0000u, low << 16u"),
    ("matvec", "f16: order of words", "widen(a.x, a.y)", "widen(a.y, a.x)"),
    ("matvec", "f32: vector repeated", "bitcast<vec4<f32>>(quants[at + 5u])", "bitcast<vec4<f32>>(quants[at + 4u])"),
    (
        "matvec",
        "q2_k: minimum of the other half",
        "-factors.y * f32((s >> 12u) & 15u)",
        "-factors.y * f32((s >> 4u) & 15u)",
    ),
    ("matvec", "q2_k: bits of the next word", "two(q.y, 4u)", "two(q.x, 4u)"),
    ("matvec", "q3_k: third bit ignored", "(((third >> bit) & 0x01010101u) << 2u)", "0u"),
    ("matvec", "q3_k: factor of the neighbour", "(second * 16u)).x;\n    let packed", "0u).x;\n    let packed"),
    ("matvec", "q3_k: scales unsigned", "((high & 3u) << 4u)) - 32)", "((high & 3u) << 4u)))"),
    ("matvec", "q4_k: high bits of scales lost", "| ((high & 3u) << 4u)", ""),
    ("matvec", "q5_k: fifth bits of the first block", "scales[unit + 4u + block % 8u]", "scales[unit + 4u]"),
    ("matvec", "q5_k: minimum added", "-factors.y * f32(i32(minimum))", "factors.y * f32(i32(minimum))"),
    ("matvec", "q6_k: scales unsigned", "extractBits(i32(pair), 8u, 8u)", "extractBits(pair, 8u, 8u)"),
    ("matvec", "q6_k: scale of the first half for both", "d, -32.0 * d, e, -32.0 * e", "d, -32.0 * d, d, -32.0 * d"),
    ("matvec", "q6_k: sums of both halves", "p = fma(w.m_high, a.high, p);", "p = fma(w.m_high, a.sum, p);"),
    ("matvec", "iq4: upper values for lower", "n >= vec4<u32>(8u)", "n < vec4<u32>(8u)"),
    ("matvec", "iq4: sign lost", "top >> vec4<u32>(24u)", "vec4<u32>(top) >> vec4<u32>(24u)"),
    ("matvec", "iq4_xs: high bits of scales lost", "| (((first >> (16u + b * 2u)) & 3u) << 4u)", ""),
    ("matvec", "mlx3: weight across words cut", "(w0 >> 24u) | (w1 << 8u)", "(w0 >> 24u)"),
    ("matvec", "mlx5: word repeated", "let w4 = quants[block * 5u + 4u];", "let w4 = quants[block * 5u + 3u];"),
    ("matvec", "mlx6: mask too narrow", "0x3F000u", "0x1F000u"),
    ("matvec", "mlx: group of its own per block", "let group = block / GROUP;", "let group = block;"),
    ("matvec", "mlx: bf16 read as f16", "if PAIR == 16u {", "if PAIR != 32u {"),
    ("matmul", "q6_k: one scale for both halves", "select(raw.d, raw.d_high, HALVES)", "raw.d"),
    ("matmul", "q2_k: one minimum for both halves", "select(raw.m, raw.m_high, HALVES)", "raw.m"),
    ("matmul", "skipped last block", "block < BLOCKS; block++", "block < BLOCKS - 1u; block++"),
    (
        "matmul",
        "uninitialized accumulator",
        "var a: array<vec4<f32>, 8>;",
        "var a: array<vec4<f32>, 8>;\n    a[0] = vec4<f32>(y[0]);",
    ),
    ("matmul", "off-by-one tail of tokens", "token < tokens() && row < ROWS", "token + 1u < tokens() && row < ROWS"),
    ("matmul", "off-by-one tail of rows", "token < tokens() && row < ROWS", "token < tokens() && row + 1u < ROWS"),
    ("matmul", "residual lost", "value + residual[at]", "value"),
    ("matmul", "q4: low scale for high nibbles", "let high = HIGH * ", "let high = LOW * "),
    ("matmul_tiled", "skipped last block", "block < BLOCKS; block++", "block < BLOCKS - 1u; block++"),
    ("matmul_tiled", "off-by-one tail of tokens", "token + down + t <= last", "token + down + t < last"),
    ("matmul_tiled", "off-by-one tail of rows", "r < ROWS {", "r + 1u < ROWS {"),
    ("matmul_tiled", "residual lost", "value += residual[at];", ""),
    ("matmul_tiled", "first row of the block ignored", "STRIDE + FIRST + r", "STRIDE + r"),
    (
        "matmul_tiled",
        "a vector of activations left out",
        "i < TILE_TOKENS * 8u; i += LOADERS",
        "i < TILE_TOKENS * 8u - 1u; i += LOADERS",
    ),
    ("matmul_tiled", "weights of the next column", "put(thread, 12u, w.q3)", "put(thread, 12u, w.q2)"),
    ("matmul_tiled", "token of the neighbour", "vec4<f32>(columns[start + 2u])", "vec4<f32>(columns[start + 1u])"),
    ("matmul", "minimum lost", "let m = vec4<f32>(raw.m);", "let m = vec4<f32>(0.0);"),
    ("embed", "first row of the block ignored", "(token - FIRST) * BLOCKS", "token * BLOCKS"),
    ("embed", "token past the block", "token - FIRST >= ROWS", "token - FIRST >= ROWS - 1u"),
    ("rope_store", "wrong rotary pair", "b = pair + ROTARY / 2u;", "b = pair + HEAD_DIM / 2u - 1u;"),
    ("rope_store", "pairs of the other kind", "rotated && !INTERLEAVED", "rotated && INTERLEAVED"),
    ("rope_store", "bias of the next head", "bias[head * HEAD_DIM + b]", "bias[(head + 1u) % ALL * HEAD_DIM + b]"),
    ("rope_store", "dropped eps", "f32(HEAD_DIM) + EPS", "f32(HEAD_DIM)"),
    ("rope_store", "keys take the queries' gain", "select(0u, HEAD_DIM, head >= HEADS)", "0u"),
    ("rope_store", "values normalised too", "if head < HEADS + KV_HEADS && pair < PAIRS {", "if pair < PAIRS {"),
    ("rope_store", "squares of one subgroup", "total += squares[s];", ""),
    ("rope_store", "turned the other way", "first * t.x - second * t.y", "first * t.x + second * t.y"),
    ("rope_store", "values rotated too", "rotated && head < HEADS + KV_HEADS", "rotated"),
    ("rope_store", "whole head rotated", "2u * pair < ROTARY", "2u * pair < HEAD_DIM"),
    ("rope_store", "page of the next token", "row.y / PAGE]", "(row.y + 1u) / PAGE]"),
    ("rope_store", "no range reduction", "r = fma(-turns, 0.0019350051879882812, r);", ""),
    ("rope_store", "sequence ignored", "pages[row.z * MAX_PAGES", "pages[0u * MAX_PAGES"),
    ("attend_decode", "wrong KV head", "page * KV_HEADS + kv_head)", "page * KV_HEADS)"),
    (
        "attend_decode",
        "missing barrier after the scores",
        "        }\n    }\n    workgroupBarrier();\n\n    // Workgroups are",
        "        }\n    }\n\n    // Workgroups are",
    ),
    ("attend_decode", "last key unseen", "min(begin + SPLIT, row.y + 1u)", "min(begin + SPLIT, row.y)"),
    ("attend_decode", "scale lost", "dots[g] * SCALE", "dots[g]"),
    (
        "attend_decode",
        "window one key too far",
        "let seen = select(0u, row.y + 1u - WINDOW",
        "let seen = select(0u, row.y - WINDOW",
    ),
    ("attend_decode", "cap ignored", "s = capped(s);", ""),
    ("attend_decode", "window starts with its split", "max(begin, seen)", "begin"),
    ("attend_decode", "key repeated", "min(quad + 2u, count - 1u)", "min(quad + 1u, count - 1u)"),
    ("attend_decode", "keys of a lane lost", "let lanes = subgroupAdd(1u);", "let lanes = 16u;"),
    ("attend_decode", "split not told apart", "first + key, kv_head) + vector", "key, kv_head) + vector"),
    ("attend_decode_online", "old values not faded", "acc[g] *= fades[g];", ""),
    ("attend_decode_online", "sum not faded", "fma(before.y, fade, sum)", "before.y + sum"),
    ("attend_decode_online", "maximum not kept", "vec2<f32>(peak, fma", "vec2<f32>(before.x, fma"),
    (
        "attend_decode_online",
        "keys of the first tile again",
        "let start = place(row.z, first + base + key",
        "let start = place(row.z, first + key",
    ),
    (
        "attend_decode_online",
        "values of the first tile again",
        "value_at(place(row.z, first + base + key",
        "value_at(place(row.z, first + key",
    ),
    ("attend_decode_online", "last tile taken for a full one", "min(TILE, count - base)", "TILE"),
    ("attend_decode_online", "keys of a lane lost", "let lanes = subgroupAdd(1u);", "let lanes = 16u;"),
    ("attend_decode_online", "window starts with its split", "max(begin, seen)", "begin"),
    ("attend_decode_online", "scale lost", "dots[g] * SCALE", "dots[g]"),
    ("attend_decode_online", "cap ignored", "s = capped(vec4<f32>(s)).x;", ""),
    (
        "attend_decode_online",
        "missing barrier behind a tile",
        "take the place of these.\n        workgroupBarrier();",
        "take the place of these.",
    ),
    ("attend_reduce", "maximum of the first split", "peak = max(peak, peaks[head * slots + s].x);", ""),
    (
        "attend_reduce",
        "dead splits counted",
        "let splits = row.y / SPLIT + 1u - seen / SPLIT;",
        "let splits = arrayLength(&peaks) / (HEADS * arrayLength(&rows));",
    ),
    ("attend_reduce", "sum unweighted", "part.y * weight", "part.y"),
    ("attend_prefill", "wrong KV head", "let kv_head = head / GROUP;", "let kv_head = head % (HEADS / GROUP);"),
    ("attend_prefill", "mask off by one", "(key <= limit)", "(key < limit)"),
    ("attend_prefill", "window off by one", "key + i32(WINDOW) > limit", "key + i32(WINDOW) >= limit"),
    (
        "attend_prefill",
        "tile of the window skipped",
        "(oldest - WINDOW) / KEYS * KEYS",
        "(oldest - WINDOW) / KEYS * KEYS + KEYS",
    ),
    ("attend_prefill", "cap ignored", "s = capped(s);", ""),
    ("attend_prefill", "cap near zero of the wrong sign", "vec4<f32>(-0.33333334)", "vec4<f32>(0.33333334)"),
    ("attend_prefill", "no mask", "(key <= limit)", "(key <= limit + 1000)"),
    ("attend_prefill", "old keys not faded", "acc[4u * i + 1u] * fade.y", "acc[4u * i + 1u]"),
    ("attend_prefill", "sum not faded", "sums[thread] * fade", "sums[thread]"),
    (
        "attend_prefill",
        "missing barrier before the softmax",
        "key + 48, limit);\n        workgroupBarrier();",
        "key + 48, limit);",
    ),
    ("attend_prefill", "scale lost", "dots * SCALE", "dots"),
    ("attend_prefill_two_pass", "maximum of one lane", "largest = max(largest, found[16u * thread + i]);", ""),
    ("attend_prefill_two_pass", "sum of one lane", "all += found[16u * thread + i];", ""),
    ("attend_prefill_two_pass", "sum of half the keys", "sum += (e0 + e1) + (e2 + e3);", "sum += e0 + e1;"),
    ("attend_prefill_two_pass", "last key without its value", "u32(last) + 1u - base", "u32(last) - base"),
    (
        "attend_prefill_two_pass",
        "weights of the neighbours",
        "weights[block * KEYS + lane] = e0;",
        "weights[block * KEYS + lane] = e1;",
    ),
    (
        "attend_prefill_two_pass",
        "missing barrier behind the weights",
        "sum += (e0 + e1) + (e2 + e3);\n        workgroupBarrier();",
        "sum += (e0 + e1) + (e2 + e3);",
    ),
    (
        "attend_prefill_two_pass",
        "wrong KV head",
        "let kv_head = head / GROUP;",
        "let kv_head = head % (HEADS / GROUP);",
    ),
    ("attend_prefill_two_pass", "mask off by one", "(key <= limit)", "(key < limit)"),
    ("attend_prefill_two_pass", "window off by one", "key + i32(WINDOW) > limit", "key + i32(WINDOW) >= limit"),
    ("gate_mul", "gate without its sigmoid", "v / (1.0 + exp(-slope))", "v"),
    ("gate_mul", "cube forgotten", "0.044715 * v * v * v", "0.0"),
    ("softcap", "far branch near zero", "abs(x) < vec4<f32>(0.25)", "false"),
    ("softcap", "series far out", "abs(x) < vec4<f32>(0.25)", "true"),
    ("embed", "scale lost", "w.q5 * SCALE", "w.q5"),
    ("rms_norm", "residual of the next vector", "residual[start + i]", "residual[(start + i + 1u) % arrayLength(&y)]"),
    ("matvec", "gelu for silu", "if GELU {", "if !GELU {"),
    ("gate_mul", "up of the next row", "x[at + COLS]", "x[(at + COLS + 1u) % arrayLength(&x)]"),
    ("gather_rows", "row instead of its pick", "picks[index / VECTORS]", "(index / VECTORS)"),
    ("log_prob", "logit of another token", "wanted[row]", "(wanted[row] + 1u) % VOCAB"),
    ("log_prob", "largest left in the sum", "exp(logits[start + i] - largest)", "exp(logits[start + i])"),
    (
        "log_prob",
        "last logits unseen",
        "i < VOCAB; i += WORKGROUP) {\n            sum",
        "i < VOCAB - 1u; i += WORKGROUP) {\n            sum",
    ),
    ("log_prob", "later one of equal tokens", "token < tokens[thread]", "token > tokens[thread]"),
    ("log_prob", "later one of a thread's equal tokens", "if x > peak", "if x >= peak"),
    ("log_prob", "half of the sums lost", "sums[thread] += sums[thread + half]", "sums[thread] = sums[thread]"),
    ("attend_prefill", "sequence of the first tile", "let sequence = rows[first].z;", "let sequence = rows[0].z;"),
    (
        "attend_prefill_two_pass",
        "sequence of the first tile",
        "let sequence = rows[first].z;",
        "let sequence = rows[0].z;",
    ),
    ("quantize", "edge of the other end", "select(most, least, negative)", "select(least, most, negative)"),
    ("quantize", "scale of one sign", "select(-step, step, negative)", "step"),
    ("quantize", "one step too many", "(1u << BITS) - 1u", "(1u << BITS)"),
    ("quantize", "eps dropped", "max(quotient(most - least, LARGEST), EPS)", "quotient(most - least, LARGEST)"),
    ("quantize", "zero not met", "scale = quotient(edge, steps);", ""),
    ("quantize", "bias where there are no steps", "if steps != 0.0 {", "if true {"),
    ("quantize", "half of the group unseen", "i < VECTORS; i++", "i < VECTORS / 2u; i++"),
    ("quantize", "truncated instead of rounded", "clamp(round(", "clamp(floor("),
    (
        "quantize",
        "not clamped",
        "clamp(round(quotient(w - bias, scale)), 0.0, LARGEST)",
        "round(quotient(w - bias, scale))",
    ),
    ("quantize", "quotient rounded twice", "let q = a / b;", "let q = a * (1.0 / b);"),
    ("quantize", "bits lost between words", "held = q >> (BITS - filled);", "held = 0u;"),
    ("quantize", "words of the next block", "at = block * BITS;", "at = (block + 1u) * BITS;"),
    ("quantize", "scale of the next group", "scales[group] =", "scales[(group + 1u) % arrayLength(&scales)] ="),
    ("quantize", "infinite unseen", "damaged |= select", "damaged &= select"),
    ("quantize", "last block left out", "arrayLength(&words) / BITS {", "arrayLength(&words) / BITS - 1u {"),
    ("sample_scan", "repetition multiplied", "select(s.repetition, s.inverse_repetition, score > 0.0)", "s.repetition"),
    ("sample_scan", "presence of prompt tokens", "if times != 0u {", "if count != 0u {"),
    ("sample_scan", "frequency once", "s.frequency * f32(times)", "s.frequency"),
    ("sample_scan", "temperature lost", "score *= scale;", ""),
    ("sample_scan", "NaN unseen", "damaged = true;", ""),
    ("sample_scan", "later of equals", "if score > top {", "if score >= top {"),
    (
        "sample_best",
        "later of equals",
        "tops[i];\n        if other.x > winner.x || (other.x == winner.x && other.y < winner.y)",
        "tops[i];\n        if other.x >= winner.x",
    ),
    ("sample_best", "position stays", "row.y + 1u", "row.y"),
    ("sample_best", "missing barrier", "    workgroupBarrier();\n    if thread != 0u", "    if thread != 0u"),
    ("sample_histogram", "prefix ignored", "k >> ((32u - 8u * PASS) & 31u) != prefix", "false"),
    ("sample_histogram", "top-k ignored", "k < threshold ||", "false ||"),
    ("sample_narrow", "one bin too far", "counts[bin] >= state.wanted", "counts[bin] > state.wanted"),
    ("sample_narrow", "histogram not cleared", "bins[base + i] = 0u;", ""),
    ("sample_narrow", "top-k's mass forgotten", "!AFTER_TOP_K", "AFTER_TOP_K"),
    ("sample_mass", "floor ignored", "score >= lowest && ", ""),
    ("sample_mass", "threshold counted as mass", "if k > threshold {", "if k >= threshold {"),
    ("sample_draw", "counter ignored", "random(s.seed, position)", "random(s.seed, 0u)"),
    ("sample_draw", "seed's high word ignored", "vec2<u32>(counter, seed.y)", "vec2<u32>(counter, 0u)"),
    ("sample_draw", "ties not counted", "ties -= 1u;", ""),
];

/// Whether some case of the kernel shows the fault. `None` where it has no place in the source. A fault that is named
/// `q5: …` is one of the formats whose names begin so.
fn found(kernel: &str, fault: &str, from: &'static str, to: &'static str) -> Option<bool> {
    let mut gpu = Gpu::open(&GpuOptions { checked: true, ..GpuOptions::default() }).unwrap();
    let kernel = CATALOGUE.iter().find(|k| k.name == kernel).unwrap();
    let planted = Arc::new(AtomicBool::new(false));
    let (name, flag) = (kernel.name, planted.clone());
    gpu.set_source_hook(Box::new(move |compiled, source| {
        if compiled != name || !source.contains(from) {
            return source;
        }
        flag.store(true, Ordering::Relaxed);
        source.replacen(from, to, 1)
    }));
    let mut cases = Cases::new(gpu.target(), &FORMATS, 0x5EED, false);
    (kernel.cases)(&mut cases);
    let format = fault.split_once(": ").map_or("", |(format, _)| format);
    let caught = cases.cases.iter().filter(|case| case.label.contains(format)).any(|case| {
        let want = support::twin(case);
        let got = support::run(&mut gpu, case);
        support::compare(kernel.name, case, &got, &want, kernel.tolerance).is_err()
    });
    planted.load(Ordering::Relaxed).then_some(caught)
}

/// `FFAI_TEST_FAULTS=q6_k` plants only those whose kernel or name contains the text.
#[test]
fn every_planted_fault_is_found() {
    let wanted = std::env::var("FFAI_TEST_FAULTS").unwrap_or_default();
    let mut planted = 0;
    let mut survivors = Vec::new();
    for (kernel, fault, from, to) in FAULTS.iter().filter(|(k, f, ..)| k.contains(&wanted) || f.contains(&wanted)) {
        planted += 1;
        match found(kernel, fault, from, to) {
            Some(true) => {}
            Some(false) => survivors.push(format!("{kernel}: {fault}: no parity case finds it")),
            None => survivors.push(format!("{kernel}: {fault}: `{from}` is in no source")),
        }
    }
    assert!(survivors.is_empty(), "{}", survivors.join("\n"));
    println!("{planted} faults planted and found");
}
