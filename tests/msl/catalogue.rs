//! Our WGSL, as naga writes it for Metal, gives in the emulator what the CPU twins give: a check of the emulator by kernels that
//! are known to be right.

use crate::msl_emu::executor::{Emulator, apple};
use crate::msl_emu::{Layer, Schedule, available, naga_msl};
use ffai::doctor;
use ffai::graph::{Case, Cases};
use ffai::kernels::CATALOGUE;
use ffai::weights::format::FORMATS;
use rayon::prelude::*;

/// Cases of one kernel and format that run unless everything is asked for: two that differ from format to format, so that every
/// kind of case is met. Of a kernel without formats, all.
fn chosen(cases: Vec<Case>, kernel: &str, full: bool) -> Vec<Case> {
    let format =
        |case: &Case| case.plan.ops.iter().find(|op| op.kernel.name == kernel).and_then(|op| Some(op.format?.name));
    let mut kinds: Vec<(Option<&str>, Vec<Case>)> = Vec::new();
    for case in cases {
        let name = format(&case);
        match kinds.iter_mut().find(|(known, _)| *known == name) {
            Some((_, cases)) => cases.push(case),
            None => kinds.push((name, vec![case])),
        }
    }
    let mut taken = Vec::new();
    for (index, (name, cases)) in kinds.into_iter().enumerate() {
        let count = cases.len();
        let wanted = [index % count, (index + count / 2) % count];
        let all = full || name.is_none();
        taken.extend(cases.into_iter().enumerate().filter(|(at, _)| all || wanted.contains(at)).map(|(_, case)| case));
    }
    taken
}

/// Runs cases of every kernel and compares them with their twins; what went wrong, by kernel.
fn disagreements(layer: Layer, choose: impl Fn(Vec<Case>, &str) -> Vec<Case>) -> Vec<(&'static str, String)> {
    let full = std::env::var_os("FFAI_TEST_FULL").is_some();
    let mut failures = Vec::new();
    for kernel in CATALOGUE {
        let mut cases = Cases::new(&apple(), &FORMATS, 0x5EED, full);
        (kernel.cases)(&mut cases);
        let begun = std::time::Instant::now();
        let cases = choose(cases.cases, kernel.name);
        let results: Vec<Result<f64, String>> = cases
            .par_iter()
            .map(|case| {
                let mut emulator = Emulator::new(naga_msl::source, layer, Schedule::Random(case.seed));
                let got = doctor::run(&mut emulator, case).map_err(|error| format!("{}: {error}", case.label))?;
                doctor::compare(kernel.name, case, &got, &doctor::twin(case).unwrap(), kernel.tolerance)
            })
            .collect();
        let largest = results.iter().flatten().fold(0.0, |a: f64, b| a.max(*b));
        println!("{}: {} cases, largest nmse {largest:e}, {:.1?}", kernel.name, cases.len(), begun.elapsed());
        assert!(!cases.is_empty(), "{} has no cases", kernel.name);
        failures.extend(results.into_iter().filter_map(|result| Some((kernel.name, result.err()?))));
    }
    failures
}

fn agree(layer: Layer, choose: impl Fn(Vec<Case>, &str) -> Vec<Case>) {
    let failures = disagreements(layer, choose);
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn kernels_that_naga_writes_agree_with_their_twins() {
    if available() {
        let full = std::env::var_os("FFAI_TEST_FULL").is_some();
        agree(Layer::Plain, |cases, kernel| chosen(cases, kernel, full));
    }
}

/// The middle case of each kernel. Our WGSL itself is under test here: on a GPU nobody would notice.
fn one(cases: Vec<Case>, _: &str) -> Vec<Case> {
    let middle = cases.len() / 2;
    cases.into_iter().skip(middle).take(1).collect()
}

#[test]
fn kernels_stay_in_their_buffers() {
    if available() {
        agree(Layer::Bounds, one);
    }
}

/// Kernels that have a race, and which: a repaired one is to be taken off the list.
const RACES: &[(&str, &str)] = &[];

#[test]
fn kernels_have_no_races() {
    if !available() {
        return;
    }
    let mut failures = disagreements(Layer::Races, one);
    for (kernel, reason) in RACES {
        let before = failures.len();
        failures.retain(|(name, error)| name != kernel || !error.contains(reason));
        assert!(failures.len() < before, "{kernel} has no race any more: take it off the list");
    }
    assert!(failures.is_empty(), "{failures:#?}");
}
