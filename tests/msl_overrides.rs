//! Hand-written Metal sources in the emulator: the cases of their kernels, in three schedules, with bounds and races watched.
//!
//! On a Mac tests/passthrough.rs runs the same cases on the GPU itself.

#![cfg(not(target_os = "macos"))]
#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

mod msl_emu;
#[path = "support/parity.rs"]
mod support;

use ffai::graph::{Case, Cases, Kernel, Op};
use ffai::kernels::CATALOGUE;
use ffai::weights::format::FORMATS;
use msl_emu::executor::{Emulator, MslSource, apple};
use msl_emu::{Layer, Schedule};

/// The override of an op; an error where there is none.
fn translate(op: &Op) -> Result<MslSource, String> {
    let text = ffai::gpu::metal(op).ok_or_else(|| format!("{} has no override for this op", op.kernel.name))?;
    let threads = match op.constants.get("WORKGROUP") {
        ffai::graph::Value::U32(threads) => threads,
        other => return Err(format!("WORKGROUP is {other:?}")),
    };
    let lengths = (0..op.operands.len()).collect();
    Ok(MslSource { text, entry: op.kernel.name.to_owned(), threads: [threads, 1, 1], lengths })
}

/// The cases that overrides run alone.
fn cases(kernel: &Kernel) -> Vec<Case> {
    let full = std::env::var_os("FFAI_TEST_FULL").is_some();
    let mut cases = Cases::new(&apple(), &FORMATS, 0x3E7A1, full);
    (kernel.cases)(&mut cases);
    let covered = |case: &Case| case.plan.ops.iter().all(|op| ffai::gpu::metal(op).is_some());
    cases.cases.into_iter().filter(covered).collect()
}

fn overridden() -> impl Iterator<Item = (&'static Kernel, &'static ffai::graph::Metal)> {
    CATALOGUE.iter().filter_map(|kernel| Some((*kernel, kernel.metal.as_ref()?)))
}

/// Every `step`-th case of every kernel in one layer and schedule.
fn agree(layer: Layer, schedule: Schedule, step: usize) {
    if !msl_emu::available() {
        return;
    }
    let wanted = std::env::var("FFAI_TEST_KERNEL").ok();
    let mut failures = Vec::new();
    for (kernel, metal) in overridden().filter(|(kernel, _)| wanted.as_deref().is_none_or(|name| name == kernel.name)) {
        let cases = cases(kernel);
        let mut largest: f64 = 0.0;
        let mut count = 0;
        for case in cases.iter().step_by(step) {
            count += 1;
            let mut emulator = Emulator::new(translate, layer, schedule);
            let got = match ffai::doctor::run(&mut emulator, case) {
                Ok(got) => got,
                Err(error) => {
                    failures.push(format!("{}: {}: {error}", kernel.name, case.label));
                    continue;
                }
            };
            match support::compare(kernel.name, case, &got, &support::twin(case), metal.tolerance) {
                Ok(nmse) => largest = largest.max(nmse),
                Err(message) => failures.push(message),
            }
        }
        println!(
            "{} ({layer:?}, {schedule:?}): {count} of {} cases, largest nmse {largest:e}",
            kernel.name,
            cases.len()
        );
        assert!(count > 0, "{} has no case that its override runs", kernel.name);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn overrides_agree_with_their_twins() {
    agree(Layer::Plain, Schedule::Forward, 1);
}

#[test]
fn overrides_agree_whatever_the_order_of_threads() {
    agree(Layer::Plain, Schedule::Reverse, 1);
    agree(Layer::Plain, Schedule::Random(5), 1);
}

#[test]
fn overrides_stay_inside_their_buffers() {
    agree(Layer::Bounds, Schedule::Forward, 3);
}

#[test]
fn overrides_have_no_races() {
    agree(Layer::Races, Schedule::Forward, 3);
}
