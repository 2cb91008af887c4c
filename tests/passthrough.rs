//! Shaders that the driver gets as they are: the path that overrides for Metal take, walked here with the SPIR-V of their twins.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

#[path = "support/parity.rs"]
mod support;

use ffai::gpu::{Gpu, GpuOptions, KernelChoice};
use ffai::graph::{Cases, Executor};
use ffai::kernels::CATALOGUE;
use ffai::weights::format::FORMATS;

fn open(kernels: KernelChoice) -> Gpu {
    Gpu::open(&GpuOptions { kernels, ..GpuOptions::default() }).unwrap()
}

/// Metal is where overrides run: there the cases run with them, and elsewhere with SPIR-V.
fn choice() -> KernelChoice {
    if cfg!(target_os = "macos") { KernelChoice::Msl } else { KernelChoice::Spirv }
}

#[test]
fn shaders_handed_over_as_they_are_agree_with_their_twins() {
    let mut gpu = open(choice());
    println!("{}: {}", gpu.device().name, gpu.device().kernels);
    let full = std::env::var_os("FFAI_TEST_FULL").is_some() || gpu.device().kernels == "msl";
    let mut failures = Vec::new();
    for kernel in CATALOGUE {
        let mut cases = Cases::new(gpu.target(), &FORMATS, 0x5EED, false);
        (kernel.cases)(&mut cases);
        // The text is the one that tests/parity.rs runs everywhere: here a part of the cases shows that the path is right.
        for case in cases.cases.iter().step_by(if full { 1 } else { 8 }) {
            let want = support::twin(case);
            let got = support::run(&mut gpu, case);
            let own = kernel.metal.as_ref().filter(|_| gpu.device().kernels == "msl");
            let tolerance = own.map_or(kernel.tolerance, |metal| metal.tolerance);
            if let Err(message) = support::compare(kernel.name, case, &got, &want, tolerance) {
                failures.push(message);
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The hook sees what is compiled, so a planted fault must show on this path too.
#[test]
fn a_fault_in_a_shader_that_is_handed_over_shows() {
    let mut gpu = open(choice());
    let kernel = CATALOGUE.iter().find(|kernel| kernel.name == "rms_norm").unwrap();
    gpu.set_source_hook(Box::new(|name, text| {
        assert!(text.contains("+ EPS"), "{name} has no epsilon to lose");
        text.replace("+ EPS", "")
    }));
    let mut cases = Cases::new(gpu.target(), &FORMATS, 7, false);
    (kernel.cases)(&mut cases);
    let caught = cases.cases.iter().any(|case| {
        let (want, got) = (support::twin(case), support::run(&mut gpu, case));
        support::compare(kernel.name, case, &got, &want, kernel.tolerance).is_err()
    });
    assert!(caught, "a norm without its epsilon went unnoticed");
}

#[cfg(not(target_os = "macos"))]
#[test]
fn overrides_are_refused_where_there_is_no_metal() {
    let error = Gpu::open(&GpuOptions { kernels: KernelChoice::Msl, ..GpuOptions::default() }).map(drop).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("has no Metal") && text.contains("--kernels msl"), "{text}");
    assert!(error.hint().is_some());
}
