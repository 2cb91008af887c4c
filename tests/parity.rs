//! Every kernel against its f64 twin, on the GPU: checked and trusted builds, at several subgroup sizes.

#[path = "support/parity.rs"]
mod support;

use ffai::graph::Cases;
use ffai::gpu::{Gpu, GpuOptions};
use ffai::kernels::CATALOGUE;
use ffai::weights::format::FORMATS;

fn kernels_agree(checked: bool) {
    let mut gpu = Gpu::open(&GpuOptions { checked, ..GpuOptions::default() }).unwrap();
    let full = std::env::var_os("FFAI_TEST_FULL").is_some();
    let mut failures = Vec::new();
    for kernel in CATALOGUE {
        let mut cases = Cases::new(ffai::graph::Executor::target(&gpu), FORMATS, 0x5EED, full);
        (kernel.cases)(&mut cases);
        let count = cases.cases.len();
        let started = std::time::Instant::now();
        let mut largest: f64 = 0.0;
        for case in &cases.cases {
            let want = support::twin(case);
            let got = support::run(&mut gpu, case);
            match support::compare(kernel.name, case, &got, &want, kernel.tolerance) {
                Ok(nmse) => largest = largest.max(nmse),
                Err(message) => failures.push(message),
            }
        }
        println!("{}: {count} cases, largest nmse {largest:e}, {:?}", kernel.name, started.elapsed());
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
