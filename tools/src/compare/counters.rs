//! Counters that differ.

use super::calls;
use super::pairing::Pairing;
use super::profile::Profile;
use ffai::measure::median;
use std::collections::BTreeSet;

/// What is counted in place of dispatches where no counters were written.
const CALLS: &str = "calls";

/// A counter or a size that differs.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) name: String,
    pub(super) before: f64,
    pub(super) after: f64,
}

impl Change {
    /// Whether it rose.
    pub(super) fn rose(&self) -> bool {
        self.after > self.before
    }

    /// By how much.
    pub(super) fn difference(&self) -> f64 {
        self.after - self.before
    }

    /// By how much, as a share; infinite from nothing.
    fn share(&self) -> f64 {
        (self.after - self.before) / self.before
    }
}

/// Counters that differ, the largest rise first. Counted in a step that was not profiled where both sides have that, else in the
/// middle of the profiled tokens.
pub(super) fn changes(before: &Profile, after: &Profile, tokens: &Pairing) -> Vec<Change> {
    let counted = |profile: &Profile| -> BTreeSet<String> {
        profile.steady.keys().chain(profile.tokens.values().flat_map(|token| token.counters.keys())).cloned().collect()
    };
    let shared: BTreeSet<String> = counted(before).intersection(&counted(after)).cloned().collect();
    let value = |name: &String| {
        let steady = before.steady.get(name).copied().zip(after.steady.get(name).copied());
        steady.or_else(|| {
            let (before, after) = tokens.values(|token| token.counters.get(name).copied());
            median(&before).zip(median(&after))
        })
    };
    let mut values: Vec<(String, (f64, f64))> =
        shared.iter().filter_map(|name| Some((name.replace('_', " "), value(name)?))).collect();
    if !shared.contains("dispatches") {
        values.push((CALLS.to_owned(), calls::total(tokens)));
    }
    let change = |(name, (before, after))| Change { name, before, after };
    let mut changes: Vec<Change> =
        values.into_iter().map(change).filter(|change| change.before != change.after).collect();
    changes.sort_by(|one, other| other.share().total_cmp(&one.share()));
    changes
}
