//! Ops that are called more or less often per token, that are new or gone, and the zones they stand in.

use super::pairing::Pairing;
use super::profile::{Moment, Work};
use ffai::measure::median;
use std::collections::BTreeSet;

/// Groups of zones that a line names before it counts the rest.
const SHOWN_GROUPS: usize = 4;

/// Calls of an op per token, and the zones in which they differ.
#[derive(Debug)]
pub(super) struct CallChange {
    pub(super) op: String,
    pub(super) before: f64,
    pub(super) after: f64,
    pub(super) zones: Vec<ZoneChange>,
}

/// Calls of an op per token in one zone.
#[derive(Clone, Debug)]
pub(super) struct ZoneChange {
    pub(super) path: String,
    pub(super) before: f64,
    pub(super) after: f64,
}

/// Calls per token that differ, in total or in some zone; the largest rise first.
pub(super) fn changes(tokens: &Pairing) -> Vec<CallChange> {
    let all = || tokens.before.iter().chain(&tokens.after);
    let ops: BTreeSet<&str> = all().flat_map(|token| token.ops()).collect();
    let places: BTreeSet<&(String, String)> = all().flat_map(|token| token.work.keys()).collect();
    let mut changes = Vec::new();
    for op in ops {
        let zones = places.iter().filter(|(_, of)| of == op).map(|&place| {
            let (before, after) =
                typical(tokens, |token| token.work.get(place).copied().unwrap_or_else(Work::default).calls);
            ZoneChange { path: place.0.clone(), before, after }
        });
        let zones: Vec<ZoneChange> = zones.filter(|zone| zone.before != zone.after).collect();
        let (before, after) = typical(tokens, |token| token.op(op).calls);
        if before != after || !zones.is_empty() {
            changes.push(CallChange { op: op.to_owned(), before, after, zones });
        }
    }
    changes.sort_by(|one, other| (other.after - other.before).total_cmp(&(one.after - one.before)));
    changes
}

/// All calls per token.
pub(super) fn total(tokens: &Pairing) -> (f64, f64) {
    typical(tokens, |token| token.work.values().map(|work| work.calls).sum())
}

/// The mean over tokens at the same positions, where counts agree unless something changed and a rare call still shows. At other
/// positions counts differ by themselves, and the middle one stands for most.
fn typical(tokens: &Pairing, count: impl Fn(&Moment) -> f64) -> (f64, f64) {
    let (before, after) = tokens.values(|token| Some(count(token)));
    if tokens.paired {
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len().max(1) as f64;
        return (mean(before), mean(after));
    }
    (median(&before).unwrap_or(0.0), median(&after).unwrap_or(0.0))
}

impl CallChange {
    /// Where the calls came and went: `+1 in each of layer 0 … layer 29/attention`.
    pub(super) fn places(&self) -> String {
        let mut differences: Vec<f64> = self.zones.iter().map(|zone| zone.after - zone.before).collect();
        differences.sort_by(|one, other| other.total_cmp(one));
        differences.dedup();
        let place = |&difference: &f64| {
            let zones = self.zones.iter().filter(|zone| zone.after - zone.before == difference);
            let paths: Vec<&str> = zones.map(|zone| zone.path.as_str()).collect();
            let each = if paths.len() > 1 { "each of " } else { "" };
            format!("{} in {each}{}", signed(difference), summary(&paths))
        };
        differences.iter().map(place).collect::<Vec<_>>().join("; ")
    }
}

/// A count, with decimals only where it is a mean.
pub(super) fn count(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value}") } else { format!("{value:.2}") }
}

/// A difference of counts.
pub(super) fn signed(difference: f64) -> String {
    if difference < 0.0 { format!("−{}", count(-difference)) } else { format!("+{}", count(difference)) }
}

/// Zones that differ by a number alone are one group: `layer 0 … layer 29/attention`.
fn summary(paths: &[&str]) -> String {
    let mut groups: Vec<(&str, Vec<u64>, &str)> = Vec::new();
    for path in paths {
        let (stem, number, rest) = parts(path);
        match groups.iter_mut().find(|group| (group.0, group.2) == (stem, rest)) {
            Some(group) => group.1.extend(number),
            None => groups.push((stem, number.into_iter().collect(), rest)),
        }
    }
    let mut shown: Vec<String> = groups.iter_mut().map(|(stem, numbers, rest)| runs(stem, numbers, rest)).collect();
    if shown.len() > SHOWN_GROUPS {
        let more = shown.split_off(SHOWN_GROUPS).len();
        shown.push(format!("{more} more"));
    }
    shown.join(", ")
}

/// A path before, in and after its first number. Without a number all of it stands before.
fn parts(path: &str) -> (&str, Option<u64>, &str) {
    let from = path.find(|c: char| c.is_ascii_digit()).unwrap_or(path.len());
    let (stem, rest) = path.split_at(from);
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    match rest[..digits].parse() {
        Ok(number) => (stem, Some(number), &rest[digits..]),
        Err(_) => (path, None, ""),
    }
}

fn runs(stem: &str, numbers: &mut [u64], rest: &str) -> String {
    numbers.sort_unstable();
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for &number in numbers.iter() {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => runs.push((number, number)),
        }
    }
    if runs.is_empty() {
        return if stem.is_empty() { "no zone".to_owned() } else { stem.to_owned() };
    }
    let run = |&(first, last): &(u64, u64)| match first == last {
        true => format!("{stem}{first}"),
        false => format!("{stem}{first} … {stem}{last}"),
    };
    runs.iter().map(run).collect::<Vec<_>>().join(", ") + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_that_differ_by_a_number_are_one_group() {
        let layers: Vec<String> = (0..30).rev().map(|layer| format!("layer {layer}/attention")).collect();
        let layers: Vec<&str> = layers.iter().map(String::as_str).collect();
        assert_eq!(summary(&layers), "layer 0 … layer 29/attention");
        assert_eq!(
            summary(&["layer 5/mlp", "head", "layer 11/mlp", "layer 12/mlp"]),
            "layer 5, layer 11 … layer 12/mlp, head"
        );
        assert_eq!(summary(&["a", "b", "c", "d", "e", "f"]), "a, b, c, d, 2 more");
        assert_eq!(summary(&[""]), "no zone");
        assert_eq!(summary(&["layer 99999999999999999999999"]), "layer 99999999999999999999999");
    }
}
