//! The ways to run ops on a device: algorithms by sources.

use crate::graph::{Algorithm, Choices, Format, Kernel, SOURCES};
use crate::kernels::{sources, ways};

/// A way to run some ops, as choices that lead to it.
pub struct Candidate {
    /// The algorithm, where there are several, and the source: `shared, wgsl`.
    pub label: String,
    choices: Vec<(&'static str, &'static str)>,
}

impl Candidate {
    /// What a device has to be told, for ops with weights of a format.
    pub fn choices(&self, format: Option<&str>) -> Choices {
        let mut choices = Choices::default();
        for (kernel, variant) in &self.choices {
            choices.set(kernel, format, variant);
        }
        choices
    }
}

/// Every way to run `ops` together on a device whose kernels are compiled from `native`, as its report says. One of the ops may have
/// several algorithms. A kernel that lacks the source of a candidate runs from WGSL.
pub fn candidates(native: &'static str, ops: &[&'static str], format: Option<&Format>) -> Vec<Candidate> {
    let overridden = native == "msl";
    let mut found = Vec::new();
    for algorithm in algorithms(ops) {
        let label =
            |source: &str| algorithm.map_or(source.to_owned(), |algorithm| format!("{}, {source}", algorithm.name));
        let chosen: Vec<(&str, &str)> = algorithm.map(|algorithm| (algorithm.of, algorithm.name)).into_iter().collect();
        if !overridden {
            found.push(Candidate { label: label(native), choices: chosen });
            continue;
        }
        let runs = running(ops, algorithm);
        let reads = |source: &str| source == "wgsl" || format.is_none_or(|format| !format.metal.is_empty());
        for source in SOURCES.into_iter().filter(|source| reads(source)) {
            let with =
                runs.iter().filter(|kernel| sources(kernel).contains(&source)).map(|kernel| (kernel.name, source));
            let choices: Vec<(&str, &str)> = with.chain(chosen.iter().copied()).collect();
            if choices.len() > chosen.len() {
                found.push(Candidate { label: label(source), choices });
            }
        }
    }
    found
}

/// The algorithms of the ops; one that is none where there is nothing to choose.
fn algorithms(ops: &[&'static str]) -> Vec<Option<Algorithm>> {
    let several: Vec<_> = ops.iter().flat_map(|op| ways(op)).filter_map(|way| way.algorithm).map(Some).collect();
    if several.is_empty() { vec![None] } else { several }
}

/// The kernels that run with an algorithm.
fn running(ops: &[&'static str], algorithm: Option<Algorithm>) -> Vec<&'static Kernel> {
    ops.iter().flat_map(|op| ways(op)).filter(|way| way.algorithm.is_none() || way.algorithm == algorithm).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::format::FORMATS;

    fn labels(native: &'static str, ops: &[&'static str], format: Option<&str>) -> Vec<String> {
        let format = format.map(|name| *FORMATS.iter().find(|format| format.name == name).unwrap());
        candidates(native, ops, format).into_iter().map(|candidate| candidate.label).collect()
    }

    #[test]
    fn candidates_are_algorithms_by_the_sources_that_there_are() {
        assert_eq!(labels("wgsl", &["matmul"], Some("q4_0")), ["registers, wgsl", "shared, wgsl"]);
        assert_eq!(labels("msl", &["matmul"], Some("q4_0")), ["registers, wgsl", "shared, wgsl", "shared, msl"]);
        assert_eq!(labels("msl", &["matmul"], Some("q5_1")), ["registers, wgsl", "shared, wgsl"]);
        assert_eq!(labels("msl", &["matvec"], Some("q4_0")), ["wgsl", "msl"]);
        assert_eq!(labels("msl", &["attend_prefill"], None), ["online, wgsl", "online, msl", "two-pass, wgsl"]);
        assert_eq!(labels("spirv", &["rms_norm"], None), ["spirv"]);
        // What joins the splits has a source of its own, whichever way they were made.
        let decode = labels("msl", &["attend_decode", "attend_reduce"], None);
        assert_eq!(decode, ["two-pass, wgsl", "two-pass, msl", "online, wgsl", "online, msl"]);
    }
}
