//! Every kernel against its f64 twin, on the GPU: checked and trusted builds, at several subgroup sizes.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

#[path = "support/parity.rs"]
mod support;

use ffai::gpu::{Gpu, GpuOptions};
use ffai::graph::{Cases, Executor};
use ffai::kernels::CATALOGUE;
use ffai::weights::format::FORMATS;

/// Subgroup sizes of the software driver, by the variable that sets them; it is read once per process.
const WIDTHS: [(&str, u32); 3] = [("128", 4), ("256", 8), ("512", 16)];

fn kernels_agree(checked: bool) {
    let mut gpu = Gpu::open(&GpuOptions { checked, ..GpuOptions::default() }).unwrap();
    println!("{}, subgroups of {}, checked {checked}", gpu.device().name, gpu.target().subgroup);
    if let Ok(wanted) = std::env::var("FFAI_TEST_SUBGROUP") {
        assert_eq!(gpu.target().subgroup.to_string(), wanted, "the driver did not take the subgroup size");
    }
    let full = std::env::var_os("FFAI_TEST_FULL").is_some();
    let mut failures = Vec::new();
    for kernel in CATALOGUE {
        let mut cases = Cases::new(gpu.target(), &FORMATS, 0x5EED, full);
        (kernel.cases)(&mut cases);
        let count = cases.cases.len();
        let mut largest: f64 = 0.0;
        for case in &cases.cases {
            let want = support::twin(case);
            let got = support::run(&mut gpu, case);
            match support::compare(kernel.name, case, &got, &want, kernel.tolerance) {
                Ok(nmse) => largest = largest.max(nmse),
                Err(message) => failures.push(message),
            }
        }
        println!("{}: {count} cases, largest nmse {largest:e}", kernel.name);
        assert!(count > 0, "{} has no cases", kernel.name);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn trusted_kernels_agree_with_their_twins() {
    kernels_agree(false);
}

#[test]
fn checked_kernels_agree_with_their_twins() {
    kernels_agree(true);
}

/// Runs this test program again with other vector widths.
fn agree_at_other_sizes(test: &str) {
    let gpu = Gpu::open(&GpuOptions::default()).unwrap();
    if !gpu.target().software {
        println!("{} has one subgroup size, {}", gpu.device().name, gpu.target().subgroup);
        return;
    }
    for (width, size) in WIDTHS.into_iter().filter(|(_, size)| *size != gpu.target().subgroup) {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env("LP_NATIVE_VECTOR_WIDTH", width)
            // The driver's cache of compiled kernels does not tell vector widths apart.
            .env("MESA_SHADER_CACHE_DIR", format!("{}/mesa-{width}", env!("CARGO_TARGET_TMPDIR")))
            .env("FFAI_TEST_SUBGROUP", size.to_string())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains("1 passed"), "at subgroups of {size}:\n{text}");
    }
}

#[test]
fn trusted_kernels_agree_at_other_subgroup_sizes() {
    agree_at_other_sizes("trusted_kernels_agree_with_their_twins");
}

#[test]
fn checked_kernels_agree_at_other_subgroup_sizes() {
    agree_at_other_sizes("checked_kernels_agree_with_their_twins");
}
