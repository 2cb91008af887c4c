//! Which variant of a kernel a device runs: as somebody asked, as it was measured, or as usual.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What kernels can be compiled from, as choices spell it. Every other word of a choice is an algorithm.
pub const SOURCES: [&str; 3] = ["wgsl", "msl", "spirv"];

/// Who chose a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// Nobody: it is the usual one for such a device.
    Default,
    /// A measurement on this device.
    Tuned,
    /// The user.
    Forced,
}

/// Variants that were asked for, by what a kernel computes or by its name. They hold whatever was measured.
///
/// `crate::kernels::forced` makes them of the environment and refuses what is in no catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forced(BTreeMap<&'static str, String>);

impl Forced {
    /// Asks for an algorithm or a source; the other of the two stays as it was.
    pub(crate) fn set(&mut self, kernel: &'static str, variant: &str) {
        let words = self.0.remove(kernel);
        self.0.insert(kernel, joined(words.as_deref(), variant));
    }

    /// Takes back what was asked of a kernel.
    pub(crate) fn clear(&mut self, kernel: &str) {
        self.0.remove(kernel);
    }

    /// Kernels and what each is to be compiled from, where that was asked for.
    pub fn sources(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().filter_map(|(kernel, words)| Some((*kernel, source(words)?)))
    }

    /// Whether nothing was asked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Variants by kernel and weight format, where somebody found one to be faster than what is taken otherwise, and those that were
/// asked for.
///
/// A kernel's variants are its sources (`wgsl`, `msl`, `spirv`) and, where what it computes can be computed in several ways, these
/// (`registers` and `shared` of `matmul`). One of each kind may be chosen; in a file the two are joined by a blank.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Choices {
    tuned: BTreeMap<String, String>,
    #[serde(skip)]
    forced: Forced,
}

impl Choices {
    /// The same with `forced` on top.
    #[must_use]
    pub fn with(self, forced: Forced) -> Self {
        Self { forced, ..self }
    }

    /// The algorithm for what is called `op`, and who chose it; `None` leaves it at the usual one.
    pub fn algorithm(&self, op: &str, format: Option<&str>) -> Option<(&str, Why)> {
        let forced = self.forced.0.get(op).and_then(|words| algorithm(words));
        let tuned = || self.tuned(op, format).and_then(algorithm);
        forced.map(|name| (name, Why::Forced)).or_else(|| Some((tuned()?, Why::Tuned)))
    }

    /// What `kernel` is compiled from, and who chose it; `None` leaves it at the usual source. Its own name outweighs that of what
    /// it computes.
    pub fn source(&self, kernel: &super::Kernel, format: Option<&str>) -> Option<(&str, Why)> {
        let mut names = [kernel.name, kernel.op()].into_iter();
        let forced = names.find_map(|name| source(self.forced.0.get(name)?));
        let tuned = || self.tuned(kernel.name, format).and_then(source);
        forced.map(|name| (name, Why::Forced)).or_else(|| Some((tuned()?, Why::Tuned)))
    }

    fn tuned(&self, kernel: &str, format: Option<&str>) -> Option<&str> {
        if self.tuned.is_empty() {
            return None;
        }
        self.tuned.get(&key(kernel, format)).map(String::as_str)
    }

    /// Chooses an algorithm or a source as measured; the other of the two stays as it was.
    pub fn set(&mut self, kernel: &str, format: Option<&str>, variant: &str) {
        let key = key(kernel, format);
        let words = joined(self.tuned.get(&key).map(String::as_str), variant);
        self.tuned.insert(key, words);
    }

    /// Chooses what others choose as measured.
    pub(crate) fn add(&mut self, others: &Self) {
        self.tuned.extend(others.tuned.clone());
    }

    /// Chooses an algorithm as a user does.
    pub(super) fn force(&mut self, kernel: &'static str, variant: &str) {
        self.forced.set(kernel, variant);
    }

    /// Kernel and format, joined by a blank, with the variant of each, as measured.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.tuned.iter().map(|(key, variant)| (key.as_str(), variant.as_str()))
    }
}

fn key(kernel: &str, format: Option<&str>) -> String {
    format.map_or_else(|| kernel.to_owned(), |format| format!("{kernel} {format}"))
}

fn is_source(word: &str) -> bool {
    SOURCES.contains(&word)
}

fn source(words: &str) -> Option<&str> {
    words.split(' ').find(|word| is_source(word))
}

fn algorithm(words: &str) -> Option<&str> {
    words.split(' ').find(|word| !is_source(word))
}

/// `variant` and, of what was chosen before, the word of the other kind. The algorithm comes first.
fn joined(before: Option<&str>, variant: &str) -> String {
    let other =
        before.unwrap_or_default().split(' ').find(|word| !word.is_empty() && is_source(word) != is_source(variant));
    match other {
        None => variant.to_owned(),
        Some(other) if is_source(variant) => format!("{other} {variant}"),
        Some(other) => format!("{variant} {other}"),
    }
}

/// What is wrong with a variant that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{asked}: expected {expected}, found `{}`", found.escape_debug())]
pub struct VariantError {
    /// Who asked, or of which kernel.
    pub asked: String,
    /// What there is.
    pub expected: String,
    /// What was asked for.
    pub found: String,
    /// What to do.
    pub hint: String,
}

impl VariantError {
    /// Of a kernel on a device that runs only what is `expected`.
    pub(crate) fn on(device: &str, kernel: &str, expected: &str, found: &str) -> Self {
        let variable = kernel.to_uppercase();
        Self {
            asked: format!("kernel `{kernel}` on {device}"),
            expected: expected.to_owned(),
            found: found.to_owned(),
            hint: format!("change or unset FFAI_KERNEL_{variable}, or FFAI_KERNEL_SOFTMAX if that is what asks"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithm_and_source_are_chosen_apart() {
        let mut choices = Choices::default();
        choices.set("attend", Some("q4_0"), "msl");
        choices.set("attend", Some("q4_0"), "online");
        choices.set("attend", Some("q4_0"), "two-pass");
        assert_eq!(choices.iter().collect::<Vec<_>>(), [("attend q4_0", "two-pass msl")]);
        assert_eq!(choices.algorithm("attend", Some("q4_0")), Some(("two-pass", Why::Tuned)));
        assert_eq!(choices.algorithm("attend", None), None);
    }

    #[test]
    fn what_is_forced_beats_what_was_measured() {
        let mut choices = Choices::default();
        choices.set("attend", Some("q4_0"), "online");
        let mut forced = Forced::default();
        forced.set("attend", "two-pass");
        let choices = choices.with(forced);
        assert_eq!(choices.algorithm("attend", Some("q4_0")), Some(("two-pass", Why::Forced)));
        assert_eq!(choices.algorithm("attend", None), Some(("two-pass", Why::Forced)));
    }
}
