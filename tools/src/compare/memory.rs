//! Memory that grew or shrank.

use super::counters::Change;
use super::profile::{Memory, Profile};
use std::collections::BTreeMap;

/// A size changed when it changed by more than both: a share of it, and bytes.
struct Allowance {
    share: f64,
    bytes: f64,
}

impl Allowance {
    fn exceeded(&self, before: f64, after: f64) -> bool {
        let difference = (after - before).abs();
        difference > self.bytes && difference > before.min(after) * self.share
    }
}

const MIB: f64 = 1024.0 * 1024.0;
/// Allocators round, and small buffers come and go.
const DEVICE: Allowance = Allowance { share: 0.01, bytes: MIB };
/// What the system keeps of a process in memory is its own choice, and differs from run to run.
const HOST: Allowance = Allowance { share: 0.05, bytes: 8.0 * MIB };
const HOST_ROWS: &str = "Host";

/// Sizes that changed, the largest growth first. A row that changed because of one row within it is left out: the inner one says
/// more.
pub(super) fn changes(before: &Profile, after: &Profile) -> Vec<Change> {
    let mut changes = Vec::new();
    // A side without any rows did not look; of one that has some, a row that is not there takes nothing.
    if !before.memory.is_empty() && !after.memory.is_empty() {
        let absent = |name: &str| Memory { name: name.to_owned(), current: Some(0.0), peak: Some(0.0) };
        let (old, new) = (by_name(&before.memory), by_name(&after.memory));
        for row in &before.memory {
            let after = new.get(row.name.as_str()).map_or_else(|| absent(&row.name), |&after| after.clone());
            changes.extend(change(row, &after).map(|change| (row.name.clone(), change)));
        }
        for row in after.memory.iter().filter(|row| !old.contains_key(row.name.as_str())) {
            changes.extend(change(&absent(&row.name), row).map(|change| (row.name.clone(), change)));
        }
    }
    let mut innermost: Vec<Change> = Vec::new();
    for (index, (name, outer)) in changes.iter().enumerate() {
        let within = format!("{name}/");
        let explains = |(name, inner): &(String, Change)| {
            name.starts_with(&within) && (inner.difference() - outer.difference()).abs() <= DEVICE.bytes
        };
        if !changes[index..].iter().any(explains) {
            innermost.push(outer.clone());
        }
    }
    let sizes = by_name(&after.sizes);
    innermost.extend(before.sizes.iter().filter_map(|size| change(size, sizes.get(size.name.as_str())?)));
    innermost.sort_by(|one, other| other.difference().total_cmp(&one.difference()));
    innermost
}

fn by_name(rows: &[Memory]) -> BTreeMap<&str, &Memory> {
    rows.iter().map(|row| (row.name.as_str(), row)).collect()
}

/// A size of the device before and after, where it changed.
pub(super) fn device_change(name: String, (before, after): (f64, f64)) -> Option<Change> {
    DEVICE.exceeded(before, after).then_some(Change { name, before, after })
}

/// The current size where it differs, else the peak: what stays is in the peak, too.
fn change(before: &Memory, after: &Memory) -> Option<Change> {
    let host = before.name == HOST_ROWS || before.name.starts_with("Host/");
    let allowance = if host { HOST } else { DEVICE };
    let change = |name: String, sides: (Option<f64>, Option<f64>)| {
        let (before, after) = (sides.0?, sides.1?);
        allowance.exceeded(before, after).then_some(Change { name, before, after })
    };
    let name = &before.name;
    change(name.clone(), (before.current, after.current))
        .or_else(|| change(format!("{name}, peak"), (before.peak, after.peak)))
}
