//! Our WGSL, as naga writes it for Metal, gives in the emulator what the CPU twins give: a check of the emulator by kernels that
//! are known to be right.

use crate::msl_emu::executor::{Emulator, apple};
use crate::msl_emu::{Layer, Schedule, available, naga_msl};
use crate::support;
use ffai::graph::{Case, Cases};
use ffai::kernels::CATALOGUE;
use ffai::weights::format::FORMATS;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Cases of one kernel and format that run unless everything is asked for.
const EACH: usize = 2;

/// The first cases of every kernel and format, or all of them.
fn chosen(cases: Vec<Case>, kernel: &str, full: bool) -> Vec<Case> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let format = |case: &Case| {
        let op = case.plan.ops.iter().find(|op| op.kernel.name == kernel);
        op.and_then(|op| op.format).map_or(String::new(), |format| format.name.to_owned())
    };
    let mut take = |case: &Case| {
        let count = seen.entry(format(case)).or_default();
        *count += 1;
        // Later cases of a kind are the odd shapes; one of those for every two.
        full || *count <= EACH
    };
    cases.into_iter().filter(|case| take(case)).collect()
}

#[test]
fn kernels_that_naga_writes_agree_with_their_twins() {
    if !available() {
        return;
    }
    let full = std::env::var_os("FFAI_TEST_FULL").is_some();
    for kernel in CATALOGUE {
        let mut cases = Cases::new(&apple(), &FORMATS, 0x5EED, full);
        (kernel.cases)(&mut cases);
        let begun = std::time::Instant::now();
        let cases = chosen(cases.cases, kernel.name, full);
        let results: Vec<Result<f64, String>> = cases
            .par_iter()
            .map(|case| {
                let mut emulator = Emulator::new(naga_msl::source, Layer::Plain, Schedule::Random(case.seed));
                let got = support::run(&mut emulator, case);
                support::compare(kernel.name, case, &got, &support::twin(case), kernel.tolerance)
            })
            .collect();
        let failures: Vec<&str> =
            results.iter().filter_map(|result| result.as_ref().err()).map(String::as_str).collect();
        assert!(failures.is_empty(), "{}", failures.join("\n"));
        let largest = results.iter().flatten().fold(0.0, |a: f64, b| a.max(*b));
        println!("{}: {} cases, largest nmse {largest:e}, {:.1?}", kernel.name, cases.len(), begun.elapsed());
        assert!(!cases.is_empty(), "{} has no cases", kernel.name);
    }
}
