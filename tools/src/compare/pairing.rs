//! Which tokens of two profiles are held against each other.

use super::profile::{Moment, Profile};

/// Fewer tokens at the same positions say less than all tokens of both.
const FEWEST: usize = 3;

/// Tokens of both profiles.
pub(super) struct Pairing<'a> {
    pub(super) before: Vec<&'a Moment>,
    pub(super) after: Vec<&'a Moment>,
    /// Whether the n-th tokens of both stand at the same position, so that they attend to equally many keys.
    pub(super) paired: bool,
}

impl<'a> Pairing<'a> {
    /// Tokens at the same positions; all tokens where there are too few of those.
    pub(super) fn of(before: &'a Profile, after: &'a Profile) -> Self {
        let shared: Vec<(&Moment, &Moment)> =
            before.tokens.iter().filter_map(|(index, token)| Some((token, after.tokens.get(index)?))).collect();
        let most = before.tokens.len().min(after.tokens.len());
        if shared.len() >= FEWEST.min(most) {
            let (before, after) = shared.into_iter().unzip();
            return Self { before, after, paired: true };
        }
        Self { before: before.tokens.values().collect(), after: after.tokens.values().collect(), paired: false }
    }

    /// One moment of each side.
    pub(super) fn single(before: &'a Moment, after: &'a Moment) -> Self {
        Self { before: vec![before], after: vec![after], paired: true }
    }

    /// Values of both sides: of pairs, only where both have one.
    pub(super) fn values(&self, value: impl Fn(&Moment) -> Option<f64>) -> (Vec<f64>, Vec<f64>) {
        let (before, after) =
            (self.before.iter().map(|token| value(token)), self.after.iter().map(|token| value(token)));
        if self.paired {
            return before.zip(after).filter_map(|(before, after)| before.zip(after)).unzip();
        }
        (before.flatten().collect(), after.flatten().collect())
    }
}
