//! Runs a case on an executor and compares it with the twin; what cannot run fails the test.

use ffai::graph::{Case, Executor};

pub(crate) use ffai::doctor::compare;

/// What a case leaves in the places it checks.
pub(crate) fn run(executor: &mut dyn Executor, case: &Case) -> Vec<Vec<u8>> {
    ffai::doctor::run(executor, case).unwrap()
}

/// The reference for every case.
pub(crate) fn twin(case: &Case) -> Vec<Vec<u8>> {
    ffai::doctor::twin(case).unwrap()
}
