//! Arithmetic and conversions of single numbers against the same in double precision, or exactly.

use crate::bench::{INTEGERS, Type, close, emulate, kernel};
use crate::msl_emu::available;
use ffai::graph::Rng;
use half::{bf16, f16};
use rayon::prelude::*;

fn bytes_of<const N: usize>(values: impl Iterator<Item = [u8; N]>) -> Vec<u8> {
    values.flatten().collect()
}

/// Floats of every size, ties between two halves or two bfloats among them.
fn floats(rng: &mut Rng) -> Vec<f32> {
    let mut all: Vec<f32> = (0..20_000).map(|_| f32::from_bits(rng.bits() as u32)).filter(|v| !v.is_nan()).collect();
    for _ in 0..5_000 {
        let bits = rng.bits() as u32;
        all.push(f32::from_bits((bits & 0xFFFF_0000) | 0x8000));
        all.push(f32::from_bits((bits & 0xFFFF_0000) | 0x8001));
        all.push(f32::from_bits((bits & 0x8FFF_E000 | 0x3000_0000) | 0x1000));
        all.push(f16::from_bits(bits as u16).to_f32() * (1.0 + 2f32.powi(-11)));
        all.push((rng.normal() * 2f32.powi(-20)).abs());
    }
    all.retain(|v| !v.is_nan());
    all
}

#[test]
fn halves_and_bfloats_become_floats_and_back_rounding_to_nearest_even() {
    if !available() {
        return;
    }
    // Every half and every bfloat there is.
    let every = bytes_of((0..=u16::MAX).map(u16::to_le_bytes));
    let text = "kernel void k(device const half* a [[buffer(0)]], device const bfloat* b [[buffer(1)]], device float* y [[buffer(2)]], \
        device float* z [[buffer(3)]], uint i [[thread_position_in_grid]]) { y[i] = float(a[i]); z[i] = b[i]; }\n";
    let got = emulate("widen", text, (64, 1024), &[every.clone(), every], &[4 << 16, 4 << 16]);
    let (halves, bfloats) = (Type::Float.decode(&got[0]), Type::Float.decode(&got[1]));
    let bits = || 0..=u16::MAX;
    close("half", &halves, &bits().map(|b| f16::from_bits(b).to_f64()).collect::<Vec<_>>(), 0.0, 0.0);
    close("bfloat", &bfloats, &bits().map(|b| bf16::from_bits(b).to_f64()).collect::<Vec<_>>(), 0.0, 0.0);

    let mut values = floats(&mut Rng(1));
    values.resize(values.len().next_multiple_of(512), 1.0);
    let count = values.len();
    let text = "kernel void k(device const float* a [[buffer(0)]], device half* y [[buffer(1)]], device bfloat* z [[buffer(2)]], \
        device half2* v [[buffer(3)]], uint i [[thread_position_in_grid]]) {\n\
        y[i] = half(a[i]); z[i] = bfloat(a[i]); v[i] = half2(float2(a[i], -a[i])); }\n";
    let input = bytes_of(values.iter().map(|v| v.to_le_bytes()));
    let got = emulate("narrow", text, (count as u32 / 512, 512), &[input], &[2 * count, 2 * count, 4 * count]);
    for (index, value) in values.iter().enumerate() {
        let word = |buffer: usize, at: usize| u16::from_le_bytes([got[buffer][2 * at], got[buffer][2 * at + 1]]);
        assert_eq!(word(0, index), f16::from_f32(*value).to_bits(), "half({value:e})");
        assert_eq!(word(1, index), bf16::from_f32(*value).to_bits(), "bfloat({value:e})");
        assert_eq!(word(2, 2 * index + 1), f16::from_f32(-value).to_bits(), "half2({value:e}).y");
    }
}

/// The half nearest to a double: by way of a float that remembers whether something was cut off.
fn nearest_half(value: f64) -> f64 {
    let mut float = value as f32;
    if f64::from(float) != value && value.is_finite() && float.is_finite() {
        if f64::from(float).abs() > value.abs() {
            float = f32::from_bits(float.to_bits() - 1);
        }
        float = f32::from_bits(float.to_bits() | 1);
    }
    f16::from_f32(float).to_f64()
}

#[test]
fn halves_and_bfloats_round_after_every_operation() {
    if !available() {
        return;
    }
    const COUNT: usize = 4096;
    for kind in [Type::Half, Type::Bfloat] {
        let mut lines =
            "y[i] = a[i] + b[i]; y[4096 + i] = a[i] - b[i]; y[8192 + i] = a[i] * b[i]; y[12288 + i] = a[i] / b[i];\n\
            y[16384 + i] = a[i] * b[i] + c[i]; y[20480 + i] = -a[i]; y[24576 + i] = a[i] < b[i] ? a[i] : b[i];\n"
                .to_owned();
        if kind == Type::Half {
            lines += "y[28672 + i] = fma(a[i], b[i], c[i]);\n";
        }
        let mut rng = Rng(2);
        let ((a, x), (b, y), (c, z)) =
            (kind.random(&mut rng, COUNT), kind.random(&mut rng, COUNT), kind.random(&mut rng, COUNT));
        let outputs = [8 * COUNT * kind.bytes()];
        let got = emulate(kind.name(), &kernel(&[kind; 3], kind, &lines), (8, 512), &[a, b, c], &outputs);
        let got = kind.decode(&got[0]);
        let round = |v: f64| kind.decode(&kind.encode(v))[0];
        // Of two operands, a float is exact enough that rounding twice changes nothing.
        let two = |f: fn(f32, f32) -> f32| -> Vec<f64> {
            x.iter().zip(&y).map(|(x, y)| round(f64::from(f(*x as f32, *y as f32)))).collect()
        };
        let part = |index: usize| &got[index * COUNT..][..COUNT];
        close("+", part(0), &two(|x, y| x + y), 0.0, 0.0);
        close("-", part(1), &two(|x, y| x - y), 0.0, 0.0);
        close("*", part(2), &two(|x, y| x * y), 0.0, 0.0);
        close("/", part(3), &two(|x, y| x / y), 0.0, 0.0);
        let product = two(|x, y| x * y);
        let sum = |p: &f64, z: &f64| round(f64::from(*p as f32 + *z as f32));
        close("a * b + c", part(4), &product.iter().zip(&z).map(|(p, z)| sum(p, z)).collect::<Vec<_>>(), 0.0, 0.0);
        close("-a", part(5), &x.iter().map(|x| -x).collect::<Vec<_>>(), 0.0, 0.0);
        close("<", part(6), &two(f32::min), 0.0, 0.0);
        if kind == Type::Half {
            let exact: Vec<f64> = (0..COUNT).map(|i| nearest_half(x[i] * y[i] + z[i])).collect();
            close("fma", part(7), &exact, 0.0, 0.0);
        }
    }
}

/// A function of one to three numbers, its value, and where it is looked at: below and above which numbers.
type Function = (&'static str, fn(f64, f64, f64) -> f64, f64, f64);

const FUNCTIONS: &[Function] = &[
    ("exp(x)", |x, _, _| x.exp(), -20.0, 11.0),
    ("exp2(x)", |x, _, _| x.exp2(), -14.0, 15.0),
    ("exp10(x)", |x, _, _| 10f64.powf(x), -4.0, 4.0),
    ("log(x)", |x, _, _| x.ln(), 0.001, 1000.0),
    ("log2(x)", |x, _, _| x.log2(), 0.001, 1000.0),
    ("log10(x)", |x, _, _| x.log10(), 0.001, 1000.0),
    ("sin(x)", |x, _, _| x.sin(), -100.0, 100.0),
    ("cos(x)", |x, _, _| x.cos(), -100.0, 100.0),
    ("tan(x)", |x, _, _| x.tan(), -1.5, 1.5),
    ("asin(x)", |x, _, _| x.asin(), -1.0, 1.0),
    ("acos(x)", |x, _, _| x.acos(), -1.0, 1.0),
    ("atan(x)", |x, _, _| x.atan(), -50.0, 50.0),
    ("sinh(x)", |x, _, _| x.sinh(), -8.0, 8.0),
    ("cosh(x)", |x, _, _| x.cosh(), -8.0, 8.0),
    ("tanh(x)", |x, _, _| x.tanh(), -12.0, 12.0),
    ("sqrt(x)", |x, _, _| x.sqrt(), 0.0, 1000.0),
    ("rsqrt(x)", |x, _, _| x.sqrt().recip(), 0.001, 1000.0),
    ("floor(x)", |x, _, _| x.floor(), -50.0, 50.0),
    ("ceil(x)", |x, _, _| x.ceil(), -50.0, 50.0),
    ("trunc(x)", |x, _, _| x.trunc(), -50.0, 50.0),
    ("round(x)", |x, _, _| x.round(), -50.0, 50.0),
    ("rint(x)", |x, _, _| x.round_ties_even(), -50.0, 50.0),
    ("fabs(x)", |x, _, _| x.abs(), -50.0, 50.0),
    ("abs(x)", |x, _, _| x.abs(), -50.0, 50.0),
    ("fract(x)", |x, _, _| x - x.floor(), -50.0, 50.0),
    ("saturate(x)", |x, _, _| x.clamp(0.0, 1.0), -2.0, 2.0),
    ("sign(x)", |x, _, _| if x == 0.0 { 0.0 } else { x.signum() }, -2.0, 2.0),
    ("pow(fabs(x), y)", |x, y, _| x.abs().powf(y), -4.0, 4.0),
    ("powr(fabs(x), y)", |x, y, _| x.abs().powf(y), -4.0, 4.0),
    ("atan2(x, y)", |x, y, _| x.atan2(y), -4.0, 4.0),
    ("fmod(x, y)", |x, y, _| x % y, -40.0, 40.0),
    ("copysign(x, y)", |x, y, _| x.copysign(y), -40.0, 40.0),
    ("step(x, y)", |x, y, _| f64::from(u8::from(y >= x)), -4.0, 4.0),
    ("min(x, y)", |x, y, _| x.min(y), -4.0, 4.0),
    ("max(x, y)", |x, y, _| x.max(y), -4.0, 4.0),
    ("fmin(x, y)", |x, y, _| x.min(y), -4.0, 4.0),
    ("fmax(x, y)", |x, y, _| x.max(y), -4.0, 4.0),
    ("clamp(x, T(-0.5), T(1.5))", |x, _, _| x.clamp(-0.5, 1.5), -4.0, 4.0),
    ("min3(x, y, z)", |x, y, z| x.min(y).min(z), -4.0, 4.0),
    ("max3(x, y, z)", |x, y, z| x.max(y).max(z), -4.0, 4.0),
    ("select(x, y, z > 0)", |x, y, z| if z > 0.0 { y } else { x }, -4.0, 4.0),
    ("fma(x, y, z)", |x, y, z| x * y + z, -4.0, 4.0),
    ("mix(x, y, z)", |x, y, z| x + (y - x) * z, 0.0, 1.0),
    ("ldexp(x, 3)", |x, _, _| x * 8.0, -4.0, 4.0),
    (
        "smoothstep(T(-1), T(2), x)",
        |x, _, _| {
            let t = ((x + 1.0) / 3.0).clamp(0.0, 1.0);
            t * t * (3.0 - 2.0 * t)
        },
        -4.0,
        4.0,
    ),
];

#[test]
fn functions_of_real_numbers_agree_with_double_precision() {
    if !available() {
        return;
    }
    const COUNT: usize = 512;
    let kinds = [
        (Type::Float, ""),
        (Type::Half, ""),
        (Type::Float, "precise::"),
        (Type::Float, "fast::"),
        (Type::Float, "vectors"),
    ];
    kinds.par_iter().for_each(|&(kind, how)| {
        let of_namespace = |call: &str| !["copysign", "step", "min3", "max3", "select", "fma", "mix", "ldexp", "smooth"].iter().any(|n| call.starts_with(n));
        let chosen: Vec<&Function> = FUNCTIONS.iter().filter(|(call, ..)| !how.contains(':') || of_namespace(call)).collect();
        let (t, wide) = if how == "vectors" { ("float4", 4) } else { (kind.name(), 1) };
        let mut lines = String::new();
        for (index, (call, ..)) in chosen.iter().enumerate() {
            let namespace = if how.contains(':') { how } else { "" };
            let call = call.replace("T(", &format!("{t}("));
            let index = index * COUNT / wide;
            lines += &format!("{{ const {t} x = a[{index} + i], y = b[{index} + i], z = c[{index} + i]; o[{index} + i] = {namespace}{call}; }}\n");
        }
        let text = format!(
            "kernel void k(device const {t}* a [[buffer(0)]], device const {t}* b [[buffer(1)]], device const {t}* c [[buffer(2)]], \
             device {t}* o [[buffer(3)]], uint i [[thread_position_in_grid]]) {{\n{lines}}}\n"
        );
        let mut rng = Rng(3);
        let mut draw = || -> Vec<f64> {
            let one = |(_, _, low, high): &&Function| (0..COUNT).map(|_| low + (high - low) * rng.unit()).collect::<Vec<_>>();
            chosen.iter().flat_map(one).collect()
        };
        let inputs: Vec<Vec<u8>> = (0..3).map(|_| draw().into_iter().flat_map(|v| kind.encode(v)).collect()).collect();
        let values: Vec<Vec<f64>> = inputs.iter().map(|bytes| kind.decode(bytes)).collect();
        let size = chosen.len() * COUNT * kind.bytes();
        let name = format!("functions_{}_{}", kind.name(), how.replace(':', ""));
        let got = kind.decode(&emulate(&name, &text, (1, (COUNT / wide) as u32), &inputs, &[size])[0]);
        for (index, (call, reference, ..)) in chosen.iter().enumerate() {
            let range = index * COUNT..(index + 1) * COUNT;
            let want: Vec<f64> = range.clone().map(|i| reference(values[0][i], values[1][i], values[2][i])).collect();
            // Two units in the last place of what comes out, and of one where sums cancel.
            let sums = ["fma", "mix", "sin", "cos", "tan", "log", "acos", "fract"].iter().any(|n| call.starts_with(n));
            let bound = 4.0 * kind.rounding();
            // Small halves have fewer bits.
            let tiny = if kind == Type::Half { 2f64.powi(-24) } else { 0.0 };
            close(&format!("{name} {call}"), &got[range], &want, bound, tiny + if sums { 4.0 * bound } else { 0.0 });
        }
    });
}

#[test]
fn functions_of_integers_do_what_rusts_do() {
    if !available() {
        return;
    }
    const COUNT: usize = 256;
    INTEGERS.par_iter().for_each(|&kind| {
        type Of = fn(Type, i64, i64) -> i64;
        let functions: [(&str, Of); 16] = [
            ("popcount(x)", |t, x, _| i64::from((x as u64 & (u64::MAX >> (64 - 8 * t.bytes()))).count_ones())),
            ("clz(x)", |t, x, _| {
                let bits = 8 * t.bytes() as i64;
                i64::from((x as u64 & (u64::MAX >> (64 - bits))).leading_zeros()) - (64 - bits)
            }),
            ("ctz(x)", |t, x, _| i64::from(x.trailing_zeros()).min(8 * t.bytes() as i64)),
            ("reverse_bits(x)", |t, x, _| (x as u64).reverse_bits() as i64 >> (64 - 8 * t.bytes())),
            ("min(x, z)", |_, x, y| x.min(y)),
            ("max(x, z)", |_, x, y| x.max(y)),
            ("abs(x)", |_, x, _| x.abs()),
            ("clamp(x, T(20), T(100))", |_, x, _| x.clamp(20, 100)),
            ("rotate(x, T(z & 7))", |t, x, y| {
                let (bits, n) = (8 * t.bytes() as u32, (y & 7) as u32);
                let v = x as u64 & (u64::MAX >> (64 - bits));
                (v << n | v >> (bits - n)) as i64
            }),
            ("absdiff(x, z)", |_, x, y| (x - y).abs()),
            ("mulhi(x, z)", |t, x, y| x.wrapping_mul(y) >> (8 * t.bytes())),
            ("extract_bits(x, 2, 5)", |t, x, _| {
                let signed = matches!(t, Type::Integer(_, true));
                if signed { x << (64 - 7) >> (64 - 5) } else { x >> 2 & 31 }
            }),
            ("insert_bits(x, z, 3, 4)", |_, x, y| x & !(15 << 3) | (y & 15) << 3),
            ("select(x, z, x < z)", |_, x, y| if x < y { y } else { x }),
            ("T(x << 1) ^ ~z", |_, x, y| x << 1 ^ !y),
            ("x / T(z | 1)", |t, x, y| if t.wrap((y | 1) as u64) == 0 { 0 } else { x / t.wrap((y | 1) as u64) }),
        ];
        let t = kind.name();
        let mut lines = format!("const {t} x = a[i], z = b[i];\n");
        for (index, (call, _)) in functions.iter().enumerate() {
            let call = call.replace("T(", &format!("{t}("));
            lines += &format!("y[{index} * 256 + i] = {t}({call});\n");
        }
        let mut rng = Rng(4);
        let ((a, x), (b, y)) = (kind.random(&mut rng, COUNT), kind.random(&mut rng, COUNT));
        let size = functions.len() * COUNT * kind.bytes();
        let name = format!("integers_{t}");
        let got =
            kind.decode(&emulate(&name, &kernel(&[kind; 2], kind, &lines), (1, COUNT as u32), &[a, b], &[size])[0]);
        for ((call, reference), got) in functions.iter().zip(got.chunks(COUNT)) {
            let want: Vec<f64> =
                (0..COUNT).map(|i| kind.wrap(reference(kind, x[i] as i64, y[i] as i64) as u64) as f64).collect();
            close(&format!("{name} {call}"), got, &want, 0.0, 0.0);
        }
    });
}

#[test]
fn vectors_are_built_cut_packed_and_reread_as_metal_does() {
    if !available() {
        return;
    }
    let text = "constant float4 TABLE[2] = {float4(1, 2, 3, 4), float4(5)};\n\
        struct Block { packed_half2 d; packed_uchar4 q; packed_float3 f; };\n\
        template <typename T> T as_sum(T v) { return v + T(1); }\n\
        kernel void k(device const Block* a [[buffer(0)]], device float* y [[buffer(1)]]) {\n\
        const Block b = a[1];\n\
        const float3 f = b.f;\n\
        const uint4 q = uint4(b.q);\n\
        const float4 v = float4(f.zx, float2(1.5h, q.w));\n\
        y[0] = b.d.y; y[1] = f.y; y[2] = q.x + q.y; y[3] = v.x; y[4] = v.z; y[5] = v.w;\n\
        y[6] = as_type<float>(0x40490fdbu); y[7] = as_type<half2>(0x3c004000u).y; y[8] = as_type<uchar4>(0x01020304u).x;\n\
        y[9] = float4(v.yxwz).x; y[10] = dot(v, float4(1, 10, 100, 1000)); y[11] = TABLE[1].w + TABLE[0].z;\n\
        y[12] = as_sum(int4(q)).x; y[13] = vec<float, 2>(as_sum(half2(2.5h))).y; y[14] = select(1.0f, 2.0f, true);\n\
        y[15] = select(v, -v, v > 2.0f).x; y[16] = all(q > 0u) + 2 * any(q > 250u); y[17] = int3(-1.9f).y; y[18] = uint(255.9f);\n\
        y[19] = unpack_unorm4x8_to_float(0xff008000u).w; y[20] = float2x(as_type<ushort2>(7u)).x; y[21] = length(float2(3, 4));\n\
        y[22] = char(200); y[23] = ushort(70000); y[24] = sizeof(Block); y[25] = sizeof(float3) + 100 * sizeof(packed_float3);\n\
        y[26] = clamp(v, 0.0f, 2.0f).x; y[27] = bool3(true, false, true)[1] ? 1 : 2; y[28] = (half)65519.0f; y[29] = (half)65520.0f;\n}\n"
        .replace("float2x(", "float2(");
    let mut block = vec![0; 20];
    block.extend([2.0f32, -3.5].map(f16::from_f32).iter().flat_map(|v| v.to_le_bytes()));
    block.extend([10, 20, 30, 251]);
    block.extend([0.25f32, -0.5, 8.0].iter().flat_map(|v| v.to_le_bytes()));
    let got = Type::Float.decode(&emulate("vectors_built", &text, (1, 1), &[block], &[30 * 4])[0]);
    let want = [
        -3.5,
        -0.5,
        30.0,
        8.0,
        1.5,
        251.0,
        f64::from(std::f32::consts::PI),
        1.0,
        4.0,
        0.25,
        8.0 + 2.5 + 150.0 + 251_000.0,
        8.0,
        11.0,
        3.5,
        2.0,
        -8.0,
        3.0,
        -1.0,
        255.0,
        1.0,
        7.0,
        5.0,
        -56.0,
        4464.0,
        20.0,
        1216.0,
        2.0,
        2.0,
        65504.0,
        f64::INFINITY,
    ];
    close("built", &got, &want, 0.0, 0.0);
}
