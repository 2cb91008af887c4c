//! Kernels that compute the same in different ways: which of them runs, and how users ask for one.

use super::CATALOGUE;
use crate::graph::{ExecuteError, Forced, Kernel, SOURCES, Target, VariantError};

/// What names the variables that ask for variants.
const PREFIX: &str = "FFAI_KERNEL_";

/// Leaves a kernel at what is usual, also where a group asks for something else.
const USUAL: &str = "auto";

/// A name that speaks for several kernels.
const GROUP: &str = "softmax";

/// Kernels that contain a softmax: attention, and the sampler, whose masses are one.
const SOFTMAX: &[&str] = &[
    "attend_decode",
    "attend_prefill",
    "attend_reduce",
    "sample_best",
    "sample_draw",
    "sample_histogram",
    "sample_mass",
    "sample_narrow",
    "sample_scan",
];

/// Every kernel that computes `op`: those of its algorithms, or the one of that name.
pub fn ways(op: &str) -> impl Iterator<Item = &'static Kernel> + '_ {
    CATALOGUE.iter().copied().filter(move |kernel| kernel.op() == op)
}

/// What a kernel can be compiled from: names of sources.
pub fn sources(kernel: &Kernel) -> &'static [&'static str] {
    if kernel.metal.is_some() { &SOURCES[..2] } else { &SOURCES[..1] }
}

/// The kernel that was chosen for the device in place of `usual`, where others compute the same.
pub(super) fn pick(target: &Target, usual: &'static Kernel, format: Option<&str>) -> &'static Kernel {
    let Some((wanted, _)) = target.choices.algorithm(usual.op(), format) else { return usual };
    let is_wanted = |kernel: &&Kernel| kernel.algorithm.is_some_and(|algorithm| algorithm.name == wanted);
    match ways(usual.op()).find(is_wanted) {
        Some(kernel) => kernel,
        None => panic!("`{}` has no algorithm `{wanted}`", usual.op()),
    }
}

/// What the variables of the environment ask for: `FFAI_KERNEL_<NAME>` of a kernel, and `FFAI_KERNEL_SOFTMAX` of all with one.
///
/// # Errors
/// Those of [`forced`].
pub fn forced_by_environment() -> Result<Forced, ExecuteError> {
    let text = |word: std::ffi::OsString| word.to_string_lossy().into_owned();
    forced(std::env::vars_os().map(|(name, value)| (text(name), text(value))))
}

/// What variables ask for, by name and value; others than `FFAI_KERNEL_…` and empty ones ask for nothing.
///
/// A value is an algorithm, a source, both joined by a comma, or `auto`. The variable of a kernel outweighs that of a group.
///
/// # Errors
/// [`ExecuteError::Variant`] where a name is no kernel's, or a value no variant of it. Whether a device can run it is another question.
pub fn forced(variables: impl IntoIterator<Item = (String, String)>) -> Result<Forced, ExecuteError> {
    let asks = |(name, value): (String, String)| {
        let kernel = name.strip_prefix(PREFIX)?.to_owned();
        (!value.is_empty()).then_some((kernel, value))
    };
    let mut wanted: Vec<(String, String)> = variables.into_iter().filter_map(asks).collect();
    // The group first, so that a kernel's own variable replaces its words.
    wanted.sort_by_key(|(name, _)| (name != &GROUP.to_uppercase(), name.clone()));
    let mut found = Forced::default();
    for (name, value) in &wanted {
        let asked = Asked { name, value };
        if *name == GROUP.to_uppercase() {
            asked.of_group(&mut found)?;
        } else {
            let kernel = CATALOGUE.iter().find(|kernel| kernel.name.to_uppercase() == *name);
            asked.of_kernel(kernel.ok_or_else(|| asked.unknown())?, &mut found)?;
        }
    }
    Ok(found)
}

/// A variable's name without what all begin with, and its value.
struct Asked<'a> {
    name: &'a str,
    value: &'a str,
}

impl Asked<'_> {
    fn words(&self) -> impl Iterator<Item = &str> {
        self.value.split(',').map(str::trim).filter(|word| *word != USUAL)
    }

    /// Words that the kernel's name takes: algorithms, then sources of any.
    fn taken(kernel: &'static Kernel) -> Vec<&'static str> {
        let all = ways(kernel.op()).filter(|way| kernel.name == kernel.op() || way.name == kernel.name);
        let mut taken = Vec::new();
        if kernel.name == kernel.op() {
            taken.extend(ways(kernel.op()).filter_map(|way| Some(way.algorithm?.name)));
        }
        let most = all.map(sources).max_by_key(|sources| sources.len());
        taken.extend(most.unwrap_or_default());
        taken
    }

    fn of_kernel(&self, kernel: &'static Kernel, found: &mut Forced) -> Result<(), ExecuteError> {
        found.clear(kernel.name);
        let taken = Self::taken(kernel);
        for word in self.words() {
            if !taken.contains(&word) {
                return Err(self.wrong(&taken));
            }
            found.set(kernel.name, word);
        }
        self.check(kernel, &taken)
    }

    /// One word of each kind, and a source that the algorithm has.
    fn check(&self, kernel: &Kernel, taken: &[&str]) -> Result<(), ExecuteError> {
        let (asked, algorithms): (Vec<&str>, Vec<&str>) = self.words().partition(|word| SOURCES.contains(word));
        let way =
            ways(kernel.op()).find(|way| way.algorithm.is_some_and(|algorithm| algorithms.contains(&algorithm.name)));
        let lacks = way.is_some_and(|way| asked.iter().any(|source| !sources(way).contains(source)));
        match (asked.len() > 1 || algorithms.len() > 1, way.filter(|_| lacks)) {
            (true, _) => Err(self.wrong(taken)),
            (false, Some(way)) => Err(self.wrong(sources(way))),
            (false, None) => Ok(()),
        }
    }

    /// Each kernel of the group takes the words that it knows; every word has to be known to one.
    fn of_group(&self, found: &mut Forced) -> Result<(), ExecuteError> {
        let members = || CATALOGUE.iter().copied().filter(|kernel| SOFTMAX.contains(&kernel.name));
        let mut known: Vec<&str> = Vec::new();
        for word in members().flat_map(Self::taken) {
            if !known.contains(&word) {
                known.push(word);
            }
        }
        if self.words().any(|word| !known.contains(&word)) {
            return Err(self.wrong(&known));
        }
        for kernel in members() {
            let taken = Self::taken(kernel);
            let own: Vec<&str> = self.words().filter(|word| taken.contains(word)).collect();
            Asked { name: self.name, value: &own.join(",") }.check(kernel, &taken)?;
            own.into_iter().for_each(|word| found.set(kernel.name, word));
        }
        Ok(())
    }

    fn wrong(&self, taken: &[&str]) -> ExecuteError {
        let expected = format!("one of {}, {USUAL}", taken.join(", "));
        self.error(expected, self.value)
    }

    fn unknown(&self) -> ExecuteError {
        let names: Vec<String> = CATALOGUE.iter().map(|kernel| kernel.name.to_uppercase()).collect();
        let expected = format!("the name of a kernel behind {PREFIX} ({}, {})", names.join(", "), GROUP.to_uppercase());
        self.error(expected, self.name)
    }

    fn error(&self, expected: String, found: &str) -> ExecuteError {
        let asked = format!("{PREFIX}{}", self.name.escape_debug());
        let hint = format!("change or unset {asked}; `ffai inspect MODEL --kernels` shows what a model runs");
        ExecuteError::Variant(VariantError { asked, expected, found: found.to_owned(), hint })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_with_the_weights_of_a_softmax_are_in_its_group() {
        for kernel in CATALOGUE {
            let shader = kernel.wgsl.concat();
            let grouped = SOFTMAX.contains(&kernel.name) || SOFTMAX.contains(&kernel.op());
            assert!(!shader.contains("- peak)") || grouped, "{}", kernel.name);
        }
        for name in SOFTMAX {
            assert!(CATALOGUE.iter().any(|kernel| kernel.name == *name), "{name} is no kernel");
        }
    }

    #[test]
    fn what_several_kernels_compute_has_the_name_of_one_and_ways_of_different_names() {
        for kernel in CATALOGUE {
            let names: Vec<&str> =
                ways(kernel.op()).map(|way| way.algorithm.map_or("", |algorithm| algorithm.name)).collect();
            assert!(ways(kernel.op()).any(|way| way.name == kernel.op()), "{}", kernel.name);
            assert!(names.len() == 1 || names.iter().all(|name| !name.is_empty()), "{}: {names:?}", kernel.name);
            assert!(names.iter().all(|name| names.iter().filter(|other| other == &name).count() == 1), "{names:?}");
            assert!(names.iter().all(|name| !SOURCES.contains(name) && *name != USUAL), "{names:?}");
        }
    }
}
