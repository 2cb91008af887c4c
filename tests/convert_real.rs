//! Converts the real model: what it costs in memory and in accuracy.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

#[path = "support/conversion.rs"]
#[expect(dead_code, reason = "other tests convert golden models")]
mod conversion;
#[path = "support/model.rs"]
mod model;

use conversion::{converted, encode, logits, scratch};
use ffai::convert::{ConvertOptions, Float, convert};
use ffai::generate::{Backend, OpenOptions, executor};
use ffai::measure::difference;
use ffai::weights::Checkpoint;
use std::ops::ControlFlow;
use std::path::Path;

/// Set where this program runs itself: the folder to convert.
const CHILD: &str = "FFAI_TEST_CONVERT";

/// The most that a conversion may hold, whatever the size of the model: less than this one has alone. Measured 171 MiB with a
/// software driver, whose device memory counts in, and 154 MiB for a model of 512 MiB.
const MOST: u64 = 240 << 20;

/// The most memory that this process ever had resident.
fn peak_resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

fn to_four_bits(source: &Path, out: &Path) {
    let options = ConvertOptions { bits: Some(4), ..ConvertOptions::default() };
    let checkpoint = Checkpoint::open(source).unwrap();
    let mut executor = executor(&OpenOptions::default()).unwrap();
    convert(&checkpoint, out, &options, &mut *executor, &mut |_, _| ControlFlow::Continue(())).unwrap();
}

/// A process of its own, because the peak counts everything that a process ever did.
#[test]
fn memory_stays_bounded_whatever_the_model() {
    if let Some(source) = std::env::var_os(CHILD) {
        let out = scratch("child");
        to_four_bits(Path::new(&source), &out);
        println!("peak {}", peak_resident().unwrap());
        std::fs::remove_dir_all(out).unwrap();
        return;
    }
    let Some(path) = model::real("smollm2") else { return };
    if peak_resident().is_none() {
        println!("this system does not tell a process's peak");
        return;
    }
    let (folder, report) = converted("smollm2-plain", &path, &ConvertOptions::default());
    assert!(report.bytes_after > MOST, "the model is too small to tell");
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "memory_stays_bounded_whatever_the_model", "--nocapture"])
        .env(CHILD, &folder)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let peak = text.split("peak ").nth(1).unwrap_or_else(|| panic!("no peak in:\n{text}"));
    let peak: u64 = peak.split_whitespace().next().unwrap().parse().unwrap();
    println!("{} bytes of weights, {peak} resident at most", report.bytes_after);
    assert!(peak <= MOST, "{peak} bytes resident, at most {MOST}");
    std::fs::remove_dir_all(folder).unwrap();
}

/// Measured: 1.7e-6 unquantized in f16, 4.0e-5 in bf16; 2.7e-3 and 1.5e-3 in 8 bits with scales of bf16 and of f16, whose weights are
/// 5e-5 and 3e-5 from the source's.
#[test]
fn eight_bits_compute_nearly_what_the_source_computes() {
    let Some(path) = model::real("smollm2") else { return };
    let tokenizer = ffai::generate::tokenizer(&Checkpoint::open(&path).unwrap()).unwrap();
    let prompt = encode(&tokenizer, "The capital of France is Paris, and the capital of Germany is");
    let want = logits(Backend::Gpu, &path, std::slice::from_ref(&prompt)).concat();
    let best = |logits: &[f32]| (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
    for (name, bits, dtype, at_most) in [
        ("plain-f16", None, Float::F16, 5e-6),
        ("plain-bf16", None, Float::Bf16, 1.2e-4),
        ("8-bf16", Some(8), Float::Bf16, 8e-3),
        ("8-f16", Some(8), Float::F16, 4.5e-3),
    ] {
        let options = ConvertOptions { bits, dtype: Some(dtype), ..ConvertOptions::default() };
        let (folder, _) = converted(&format!("smollm2-{name}"), &path, &options);
        let got = logits(Backend::Gpu, &folder, std::slice::from_ref(&prompt)).concat();
        let nmse = difference(&got.concat(), &want.concat()).nmse;
        let same = got.iter().zip(&want).filter(|(got, want)| best(got) == best(want)).count();
        println!("{name}: nmse {nmse:e}, {same} of {} best tokens", want.len());
        assert!(nmse <= at_most, "{name}: nmse {nmse:e}, at most {at_most:e}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
