//! Every weight format against an implementation that is not ours: PyPI `gguf` (tests/golden/formats/README.md) and `mlx`
//! (tests/golden/mlx/README.md), on both executors.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

use ffai::cpu::Cpu;
use ffai::gpu::{Gpu, GpuOptions};
use ffai::graph::{BufferRole, Executor, Format, Matrix, MatrixBlock, Operand, Recorder, Slice};
use ffai::kernels::embed::embed;
use ffai::weights::format::{FORMATS, named};
use safetensors::SafeTensors;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn golden(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder)
}

/// The rows of a matrix of golden blocks, as the embedding kernel of `executor` reads them.
fn unpacked(executor: &mut dyn Executor, format: &'static Format, file: [&[u8]; 3], cols: usize) -> Vec<f32> {
    let blocks = file[0].len() / format.unit.bytes[0] * format.unit.blocks;
    let rows = (blocks * Format::BLOCK / cols) as u32;
    let (mut quants, mut scales) = (vec![0; format.quants_len(blocks)], vec![0; format.scales_len(blocks)]);
    (format.repack)(file, &mut quants, &mut scales);
    let device = (quants.len() + scales.len()) as f64;
    let stored = file.iter().map(|plane| plane.len()).sum::<usize>() as f64;
    assert!((device / stored - 1.0).abs() <= 0.02, "{}: {device} bytes for the file's {stored}", format.name);
    let mut buffer = |bytes: &[u8]| {
        let buffer = executor.allocate("golden", BufferRole::Weights, bytes.len() as u64).unwrap();
        executor.write(buffer, 0, bytes);
        Slice { buffer, offset: 0, bytes: bytes.len() as u64 }
    };
    let quants = buffer(&quants);
    let scales = if scales.is_empty() { quants } else { buffer(&scales) };
    let tokens: Vec<u32> = (0..rows).flat_map(|row| [row, 0, 0, 0]).collect();
    let tokens = buffer(bytemuck::cast_slice(&tokens));
    let matrix = Matrix { blocks: vec![MatrixBlock { format, rows, quants, scales }], cols: cols as u32 };
    let mut r = Recorder::new(executor.target());
    let x = embed(&mut r, &matrix, tokens, 1.0);
    r.keep(x);
    let prepared = executor.prepare(Arc::new(r.finish())).unwrap();
    let ticket = executor.submit(prepared, &[Operand::Tensor(x)]).unwrap();
    bytemuck::pod_collect_to_vec(&executor.wait(ticket).unwrap())
}

/// Two roundings of the largest weight of a row are forgiven: where a minimum is subtracted, engines fuse or do not.
fn check(what: &str, got: &[f32], want: &[f32], cols: usize) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (row, (got, want)) in got.chunks_exact(cols).zip(want.chunks_exact(cols)).enumerate() {
        let largest = want.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        for (col, (got, want)) in got.iter().zip(want).enumerate() {
            let error = (got - want).abs();
            assert!(error <= largest * 2.4e-7, "{what}, row {row}, column {col}: {got}, expected {want}");
        }
    }
}

fn executors() -> [Box<dyn Executor>; 2] {
    [Box::new(Cpu::new(None)), Box::new(Gpu::open(&GpuOptions { checked: true, ..GpuOptions::default() }).unwrap())]
}

#[test]
fn gguf_formats_unpack_as_pypi_gguf_unpacks_them() {
    let mut seen = 0;
    for mut executor in executors() {
        for entry in std::fs::read_dir(golden("formats")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "blocks") {
                continue;
            }
            let format = named(path.file_stem().unwrap().to_str().unwrap()).unwrap();
            let file = std::fs::read(&path).unwrap();
            let want: Vec<f32> = bytemuck::pod_collect_to_vec(&std::fs::read(path.with_extension("f32")).unwrap());
            let cols = format.granule();
            let got = unpacked(&mut *executor, format, [&file, &[], &[]], cols);
            check(&format!("{} on {}", format.name, executor.device().name), &got, &want, cols);
            seen += 1;
        }
    }
    // Plain floats are what they are.
    let golden =
        FORMATS.iter().filter(|format| format.unit.bytes[1] == 0 && format.unit.blocks * 32 * 2 > format.unit.bytes[0]);
    assert_eq!(seen, 2 * golden.count());
}

#[test]
fn mlx_formats_unpack_as_mlx_unpacks_them() {
    const COLS: usize = 256;
    let mut seen = 0;
    for mut executor in executors() {
        for pair in ["f16", "bf16", "f32"] {
            let bytes = std::fs::read(golden("mlx").join(format!("{pair}.safetensors"))).unwrap();
            let tensors = SafeTensors::deserialize(&bytes).unwrap();
            for format in FORMATS.iter().filter(|format| format.name.ends_with(&format!("_{pair}"))) {
                let name = format.name.trim_start_matches("mlx").trim_end_matches(&format!("_{pair}"));
                let tensor = |part: &str| tensors.tensor(&format!("b{name}.{part}")).unwrap().data().to_vec();
                let planes = [tensor("weight"), tensor("scales"), tensor("biases")];
                let want: Vec<f32> = bytemuck::pod_collect_to_vec(&tensor("expected"));
                let got = unpacked(&mut *executor, format, planes.each_ref().map(Vec::as_slice), COLS);
                check(&format!("{} on {}", format.name, executor.device().name), &got, &want, COLS);
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 2 * 54);
}
