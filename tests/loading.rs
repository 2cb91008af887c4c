//! What loading real models costs.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

#[path = "support/model.rs"]
mod model;

use ffai::generate::{Engine, OpenOptions, SamplingOptions};
use std::path::Path;

/// Set where this program runs itself: the model to load.
const CHILD: &str = "FFAI_TEST_LOAD";

/// What the process may take besides the mapped file and the device's copy.
const ALLOWANCE: u64 = 300 << 20;

fn load(path: &Path) -> Engine {
    let (mut engine, _tokenizer) = ffai::generate::open(path, &OpenOptions::default(), &mut |_, _| {}).unwrap();
    engine.prewarm(SamplingOptions::default().parts()).unwrap();
    engine
}

/// The most memory that this process ever had resident.
fn peak_resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

/// A process of its own, because the peak counts everything that a process ever did. A software driver's device memory counts
/// twice, in the process and in the bound; a card's counts in the bound alone.
#[test]
fn loading_stays_within_its_memory() {
    if let Some(path) = std::env::var_os(CHILD) {
        let begun = std::time::Instant::now();
        let engine = load(Path::new(&path));
        let took = begun.elapsed().as_millis();
        println!("took {took} peak {} device {}", peak_resident().unwrap(), engine.memory().allocated);
        return;
    }
    if peak_resident().is_none() {
        println!("this system does not tell a process's peak");
        return;
    }
    for path in ["smollm2", "gemma3"].into_iter().filter_map(model::real) {
        stays_within(&path);
    }
}

fn stays_within(path: &Path) {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "loading_stays_within_its_memory", "--nocapture"])
        .env(CHILD, path)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let number = |name: &str| -> u64 {
        let rest = text.split(&format!("{name} ")).nth(1).unwrap_or_else(|| panic!("no {name} in:\n{text}"));
        rest.split_whitespace().next().unwrap().parse().unwrap()
    };
    let (peak, device, file) = (number("peak"), number("device"), std::fs::metadata(path).unwrap().len());
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "{}: ready in {} ms, peak {:.1} MiB: file {:.1}, device {:.1}, rest {:.1}",
        path.display(),
        number("took"),
        mib(peak),
        mib(file),
        mib(device),
        mib(peak) - mib(file) - mib(device)
    );
    assert!(peak <= file + device + ALLOWANCE, "peak of {peak} bytes for a file of {file} and {device} on the device");
}

/// The loader finds a driver by these variables on Linux; elsewhere there is no system without one.
#[cfg(target_os = "linux")]
#[test]
fn a_system_without_a_gpu_driver_is_told_a_way_out() {
    if std::env::var_os(CHILD).is_some() {
        let error = ffai::gpu::Gpu::open(&ffai::gpu::GpuOptions::default()).map(drop).unwrap_err();
        println!("{error} / {}", error.hint().unwrap());
        return;
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_system_without_a_gpu_driver_is_told_a_way_out", "--nocapture"])
        .envs([(CHILD, "none"), ("VK_DRIVER_FILES", "/dev/null"), ("VK_ICD_FILENAMES", "/dev/null")])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    for part in ["no GPU adapter was found", "mesa-vulkan-drivers", "--backend cpu"] {
        assert!(output.status.success() && text.contains(part), "expected {part:?} in:\n{text}");
    }
}
