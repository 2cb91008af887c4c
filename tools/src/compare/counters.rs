//! Counters and memory that differ.

use super::calls;
use super::noise::median;
use super::pairing::Pairing;
use super::profile::{Memory, Profile};
use std::collections::BTreeSet;

/// Memory grew when it grew by more than both: allocators round, and small buffers come and go.
const GROWTH_SHARE: f64 = 0.01;
const GROWTH_BYTES: f64 = 1024.0 * 1024.0;

/// What is counted in place of dispatches where no counters were written.
const CALLS: &str = "calls";

/// A counter or a size that differs.
#[derive(Debug)]
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
            median(before).zip(median(after))
        })
    };
    let mut values: Vec<(String, (f64, f64))> =
        shared.iter().filter_map(|name| Some((name.replace('_', " "), value(name)?))).collect();
    if !shared.contains("dispatches") {
        values.push((CALLS.to_owned(), calls::total(tokens)));
    }
    let change = |(name, (before, after))| Change { name, before, after };
    sorted(values.into_iter().map(change).filter(|change| change.before != change.after).collect())
}

/// Sizes that grew or shrank by more than allocators round, the largest growth first.
pub(super) fn memory(before: &Profile, after: &Profile) -> Vec<Change> {
    let absent = |name: &str| Memory { name: name.to_owned(), current: Some(0.0), peak: Some(0.0) };
    let find = |rows: &[Memory], name: &str| rows.iter().find(|row| row.name == name).cloned();
    let mut changes = Vec::new();
    // A side without any rows did not look; of one that has some, a row that is not there takes nothing.
    if !before.memory.is_empty() && !after.memory.is_empty() {
        for row in &before.memory {
            let after = find(&after.memory, &row.name).unwrap_or_else(|| absent(&row.name));
            changes.extend(memory_change(row, &after));
        }
        for row in after.memory.iter().filter(|row| find(&before.memory, &row.name).is_none()) {
            changes.extend(memory_change(&absent(&row.name), row));
        }
    }
    for size in &before.sizes {
        changes.extend(find(&after.sizes, &size.name).and_then(|after| memory_change(size, &after)));
    }
    sorted(changes)
}

/// The current size where it differs, else the peak: what stays is in the peak, too.
fn memory_change(before: &Memory, after: &Memory) -> Option<Change> {
    let change = |name: String, sides: (Option<f64>, Option<f64>)| {
        let (before, after) = (sides.0?, sides.1?);
        let difference = (after - before).abs();
        let counts = difference > GROWTH_BYTES && difference > before.min(after) * GROWTH_SHARE;
        counts.then_some(Change { name, before, after })
    };
    let name = &before.name;
    change(name.clone(), (before.current, after.current))
        .or_else(|| change(format!("{name}, peak"), (before.peak, after.peak)))
}

fn sorted(mut changes: Vec<Change>) -> Vec<Change> {
    changes.sort_by(|one, other| other.share().total_cmp(&one.share()));
    changes
}
