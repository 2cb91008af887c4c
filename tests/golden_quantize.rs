//! Quantizing against MLX's own quantizer (tests/golden/quantize/README.md), on both executors: the same words, and scales and biases
//! that round to the same numbers.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

use ffai::cpu::Cpu;
use ffai::gpu::{Gpu, GpuOptions};
use ffai::graph::{Executor, Operand, Recorder};
use ffai::kernels::quantize::{BITS, GROUPS, quantize};
use half::{bf16, f16};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use std::path::Path;
use std::sync::Arc;

fn floats(tensor: &TensorView<'_>) -> Vec<f32> {
    use safetensors::Dtype::{BF16, F16, F32};
    let data = tensor.data();
    match tensor.dtype() {
        F32 => bytemuck::pod_collect_to_vec(data),
        F16 => bytemuck::pod_collect_to_vec::<u8, f16>(data).into_iter().map(f16::to_f32).collect(),
        BF16 => bytemuck::pod_collect_to_vec::<u8, bf16>(data).into_iter().map(bf16::to_f32).collect(),
        other => panic!("{other:?}"),
    }
}

/// As the type of the weights stores a number.
fn rounded(kind: &str, value: f32) -> f32 {
    match kind {
        "f16" => f16::from_f32(value).to_f32(),
        "bf16" => bf16::from_f32(value).to_f32(),
        _ => value,
    }
}

/// Words, scales and biases of rows.
fn run(executor: &mut dyn Executor, rows: &[f32], cols: u32, bits: u32, group: u32) -> (Vec<u32>, Vec<f32>, Vec<f32>) {
    let mut r = Recorder::new(executor.target());
    let x = r.input(rows.len() as u32 / cols, cols);
    let made = quantize(&mut r, x, bits, group);
    let results = [made.words, made.scales, made.biases];
    results.iter().for_each(|&result| r.keep(result));
    let plan = executor.prepare(Arc::new(r.finish())).unwrap();
    executor.write_tensor(plan, x, bytemuck::cast_slice(rows));
    let ticket = executor.submit(plan, &results.map(Operand::from)).unwrap();
    let all: Vec<u32> = bytemuck::pod_collect_to_vec(&executor.wait(ticket).unwrap());
    let (words, rest) = all.split_at(made.words.bytes() as usize / 4);
    let numbers: Vec<f32> = rest.iter().map(|&bits| f32::from_bits(bits)).collect();
    let (scales, biases) = numbers.split_at(numbers.len() / 2);
    (words.to_vec(), scales.to_vec(), biases.to_vec())
}

/// Nothing may differ where divisions round correctly, as on CPUs and their drivers. A card's quotients are corrected, and what
/// may slip through is one word of 3456 (2 to 8 KB per case) and one unit in the last place of a scale.
#[test]
fn quantizing_gives_the_words_that_mlx_gives() {
    let executors: [Box<dyn Executor>; 2] = [
        Box::new(Cpu::new(None)),
        Box::new(Gpu::open(&GpuOptions { checked: true, ..GpuOptions::default() }).unwrap()),
    ];
    let mut seen = 0;
    for mut executor in executors {
        let exact = executor.target().software || executor.device().backend == "cpu";
        for kind in ["f16", "bf16", "f32"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/quantize");
            let bytes = std::fs::read(folder.join(format!("{kind}.safetensors"))).unwrap();
            let tensors = SafeTensors::deserialize(&bytes).unwrap();
            let matrix = tensors.tensor("matrix").unwrap();
            let (rows, cols) = (floats(&matrix), matrix.shape()[1] as u32);
            for (bits, group) in BITS.into_iter().flat_map(|bits| GROUPS.map(|group| (bits, group))) {
                let what = format!("{bits} bits, groups of {group}, {kind} on {}", executor.device().name);
                let golden = |part: &str| tensors.tensor(&format!("b{bits}_g{group}.{part}")).unwrap();
                let (words, scales, biases) = run(&mut *executor, &rows, cols, bits, group);
                let want: Vec<u32> = bytemuck::pod_collect_to_vec(golden("weight").data());
                assert_eq!(words.len(), want.len(), "{what}");
                let others = words.iter().zip(&want).filter(|(got, want)| got != want).count();
                assert!(others <= usize::from(!exact), "{what}: {others} of {} words differ", want.len());
                for (part, got) in [("scales", scales), ("biases", biases)] {
                    let want = floats(&golden(part));
                    assert_eq!(got.len(), want.len(), "{what}");
                    for (index, (got, want)) in got.iter().zip(&want).enumerate() {
                        let apart = rounded(kind, *got).to_bits().abs_diff(want.to_bits());
                        let unit = match kind {
                            "f32" => 1,
                            "bf16" => 1 << 16,
                            _ => 1 << 13,
                        };
                        let allowed = if exact { 0 } else { unit };
                        assert!(apart <= allowed, "{what}, {part} {index}: {got}, expected {want}");
                    }
                }
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 2 * 3 * 18);
}
