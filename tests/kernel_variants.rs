//! Variants of kernels: what may be asked for, what outweighs what, and what a device refuses.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

use ffai::Error;
use ffai::generate::{Backend, OpenOptions};
use ffai::gpu::{Gpu, GpuOptions};
use ffai::graph::{Cases, Choices, ExecuteError, Executor, Forced, Why};
use ffai::inspect::{Inspection, KernelRow, inspect};
use ffai::kernels::{CATALOGUE, forced};
use ffai::weights::Checkpoint;
use std::collections::BTreeMap;
use std::path::Path;

fn asked(variables: &[(&str, &str)]) -> Result<Forced, ExecuteError> {
    forced(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn tiny() -> Checkpoint {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/llama/llama2.gguf");
    Checkpoint::open(&path).unwrap()
}

fn inspected(options: OpenOptions) -> Result<Inspection, Error> {
    // No room for a cache is no reason here, and a small context needs a plan with splits all the same.
    inspect(&tiny(), &OpenOptions { context: Some(256), ..options })
}

fn row(inspection: &Inspection, kernel: &str) -> KernelRow {
    inspection.kernels.as_ref().unwrap().iter().find(|row| row.kernel == kernel).unwrap().clone()
}

fn message(error: &ExecuteError) -> String {
    let text = format!("{error} / {}", error.hint().unwrap());
    assert!(!text.contains(char::is_control), "{text:?}");
    text
}

#[test]
fn what_no_kernel_has_is_refused_with_what_there_is() {
    for (name, value, parts) in [
        ("FFAI_KERNEL_ATTEND", "online", ["the name of a kernel", "ATTEND_DECODE, ", "SOFTMAX", "found `ATTEND`"]),
        ("FFAI_KERNEL_\u{1b}[2J", "wgsl", ["the name of a kernel", "found `\\u{1b}", "change or unset", "inspect"]),
        ("FFAI_KERNEL_ATTEND_DECODE", "fast", ["two-pass", "online", "wgsl, msl", "found `fast`"]),
        ("FFAI_KERNEL_EMBED", "msl", ["one of wgsl", "auto", "found `msl`", "change or unset FFAI_KERNEL_EMBED"]),
        ("FFAI_KERNEL_EMBED", "spirv", ["one of wgsl", "auto", "found `spirv`", "change or unset"]),
        ("FFAI_KERNEL_MATMUL", "shared,registers", ["registers, shared", "wgsl, msl", "found `shared,registers`", ""]),
        ("FFAI_KERNEL_ATTEND_DECODE", "online,msl", ["one of wgsl, auto", "found `online,msl`", "", ""]),
        ("FFAI_KERNEL_ATTEND_DECODE_ONLINE", "online", ["one of wgsl, auto", "found `online`", "", ""]),
        ("FFAI_KERNEL_SOFTMAX", "shared", ["two-pass", "online", "wgsl, msl", "found `shared`"]),
    ] {
        let text = message(&asked(&[(name, value)]).unwrap_err());
        for part in parts {
            assert!(text.contains(part), "{name}={value}: expected {part:?} in {text}");
        }
    }
}

#[test]
fn other_variables_and_empty_ones_ask_for_nothing() {
    let nothing = asked(&[("FFAI_KERNELS", "fast"), ("FFAI_KERNEL_MATVEC", ""), ("PATH", "/bin")]).unwrap();
    assert!(nothing.is_empty());
    assert!(asked(&[("FFAI_KERNEL_MATVEC", "auto")]).unwrap().is_empty());
}

#[test]
fn every_kernel_of_the_catalogue_takes_its_name_in_capitals() {
    for kernel in CATALOGUE {
        let variable = format!("FFAI_KERNEL_{}", kernel.name.to_uppercase());
        assert!(!asked(&[(&variable, "wgsl")]).unwrap().is_empty(), "{variable}");
    }
}

#[test]
fn forced_outweighs_tuned_and_tuned_the_usual() {
    let identity = Gpu::open(&GpuOptions::default()).unwrap().identity();
    let mut choices = Choices::default();
    choices.set("attend_decode", None, "online");
    let tuned = BTreeMap::from([(identity, choices)]);
    let two_pass = asked(&[("FFAI_KERNEL_ATTEND_DECODE", "two-pass")]).unwrap();
    for (tuned, forced, name, why) in [
        (BTreeMap::new(), Forced::default(), "two-pass", Why::Default),
        (tuned.clone(), Forced::default(), "online", Why::Tuned),
        (tuned, two_pass, "two-pass", Why::Forced),
    ] {
        let inspection = inspected(OpenOptions { tuned, forced, ..OpenOptions::default() }).unwrap();
        let chosen = row(&inspection, "attend_decode").algorithm.unwrap();
        assert_eq!((chosen.name, chosen.why), (name, why));
    }
}

#[test]
fn a_kernel_outweighs_its_group() {
    let variables = [("FFAI_KERNEL_ATTEND_PREFILL", "auto"), ("FFAI_KERNEL_SOFTMAX", "two-pass,wgsl")];
    let inspection = inspected(OpenOptions { forced: asked(&variables).unwrap(), ..OpenOptions::default() }).unwrap();
    let (decode, prefill) = (row(&inspection, "attend_decode"), row(&inspection, "attend_prefill"));
    assert_eq!(decode.algorithm.map(|chosen| (chosen.name, chosen.why)), Some(("two-pass", Why::Forced)));
    assert_eq!(prefill.algorithm.map(|chosen| (chosen.name, chosen.why)), Some(("online", Why::Default)));
    // The sampler has no algorithm to choose, and takes the source.
    assert_eq!(row(&inspection, "sample_mass").source.why, Why::Forced);
    assert_eq!(row(&inspection, "matvec").source.why, Why::Default);
}

#[test]
fn what_the_device_cannot_run_is_refused_before_a_model_loads() {
    let load = |backend, variable| {
        let forced = asked(&[(variable, "msl")]).unwrap();
        let options = OpenOptions { backend, forced, ..OpenOptions::default() };
        let mut read = 0;
        let error = ffai::generate::load(&tiny(), &options, &mut |done, _| read = done).err();
        assert_eq!(read, 0, "weights were read");
        match error {
            Some(Error::Device(error @ ExecuteError::Variant(_))) => message(&error),
            other => panic!("{variable}: {other:?}"),
        }
    };
    let text = load(Backend::Cpu, "FFAI_KERNEL_MATVEC");
    assert!(text.contains("kernel `matvec` on the CPU reference") && text.contains("found `msl`"), "{text}");
    if !cfg!(target_os = "macos") {
        let text = load(Backend::Gpu, "FFAI_KERNEL_MATVEC");
        assert!(text.contains("kernel `matvec` on ") && text.contains("unset FFAI_KERNEL_MATVEC"), "{text}");
        let text = load(Backend::Gpu, "FFAI_KERNEL_SOFTMAX");
        assert!(text.contains("kernel `attend_decode` on ") && text.contains("FFAI_KERNEL_SOFTMAX"), "{text}");
    }
}

/// Cases ask for their kernel, so that each way is judged by them whatever is usual on the device.
#[test]
fn every_case_of_a_kernel_runs_that_kernel_and_says_so() {
    let gpu = Gpu::open(&GpuOptions::default()).unwrap();
    for kernel in CATALOGUE {
        let mut cases = Cases::new(gpu.target(), &ffai::weights::format::FORMATS, 1, false);
        (kernel.cases)(&mut cases);
        let way = kernel.algorithm.map_or_else(String::new, |algorithm| format!(" ({})", algorithm.name));
        for case in &cases.cases {
            let op = case.plan.ops.iter().find(|op| op.kernel.op() == kernel.op()).unwrap();
            assert_eq!(op.kernel.name, kernel.name, "{}", case.label);
            // What is fused in it is named beside it.
            assert!(op.name.split('+').any(|part| part == kernel.op()), "{} in {}", kernel.op(), op.name);
            assert_eq!(op.label(), format!("{}{way}", op.name), "{}", case.label);
        }
    }
}
