//! Which ops take longer, beyond what the tokens of a run differ by among themselves.

use super::noise::{self, Interval};
use super::pairing::Pairing;
use super::profile::Moment;
use ffai::measure::median;
use std::collections::BTreeSet;

/// Probability with which any of all times is to be called changed where none is. Bounds of trimmed means miss by up to a third more
/// often than asked, simulated for normal noise and 3 to 64 tokens, so that 3 % keeps below 5 %.
pub(super) const ERROR: f64 = 0.03;

/// What can be said about a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Slower,
    Faster,
    Same,
    Unclear,
}

/// A time per token before and after.
#[derive(Debug)]
pub(super) struct TimeChange {
    pub(super) name: String,
    /// Medians.
    pub(super) before_ms: f64,
    pub(super) after_ms: f64,
    /// Of the ratio, as a logarithm. `None` where there are too few tokens.
    pub(super) ratio: Option<Interval>,
    pub(super) finding: Finding,
}

/// What a change is measured by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Of each interval.
    confidence: f64,
    /// What two runs of one program may differ by.
    noise_percent: f64,
}

/// The time of a whole token, on the device or, where that is not known, on the clock; and times of ops that both sides have, the
/// largest loss first.
pub(super) fn changes(tokens: &Pairing, noise_percent: f64) -> (Option<TimeChange>, Vec<TimeChange>) {
    let names = |side: &[&'_ Moment]| -> BTreeSet<String> {
        side.iter().flat_map(|token| token.ops()).map(str::to_owned).collect()
    };
    let shared: Vec<String> = names(&tokens.before).intersection(&names(&tokens.after)).cloned().collect();
    // Bonferroni: the error is shared out, so that among many ops none is called slower by chance.
    let bounds = Bounds { confidence: 1.0 - ERROR / (shared.len() + 1) as f64, noise_percent };
    let change = |name: &str, ms: &dyn Fn(&Moment) -> Option<f64>| {
        let values = tokens.values(|token| ms(token).and_then(positive));
        TimeChange::of(name.to_owned(), tokens.paired, values, bounds)
    };
    let total = change("token (gpu)", &|token| token.gpu_ms).or_else(|| change("token (wall)", &|token| token.wall_ms));
    let mut ops: Vec<TimeChange> =
        shared.iter().filter_map(|name| change(name, &|token| Some(token.op(name).ms))).collect();
    ops.sort_by(|one, other| other.lost_ms().total_cmp(&one.lost_ms()));
    (total, ops)
}

/// The time of a prefill. It runs once, so nothing can be found about it.
pub(super) fn prefill(moments: &Pairing) -> Option<TimeChange> {
    let values = moments.values(|prefill| prefill.gpu_ms.or(prefill.wall_ms).and_then(positive));
    TimeChange::of("prefill".to_owned(), moments.paired, values, Bounds { confidence: 1.0 - ERROR, noise_percent: 0.0 })
}

/// A time of 0 was too short for the clock, and has no ratio to another.
fn positive(ms: f64) -> Option<f64> {
    (ms > 0.0).then_some(ms)
}

impl TimeChange {
    fn of(name: String, paired: bool, (before, after): (Vec<f64>, Vec<f64>), bounds: Bounds) -> Option<Self> {
        let (before_ms, after_ms) = (median(&before)?, median(&after)?);
        let logarithms = |values: Vec<f64>| values.into_iter().map(f64::ln).collect::<Vec<_>>();
        let (before, after) = (logarithms(before), logarithms(after));
        let ratio = if paired {
            let differences = before.iter().zip(&after).map(|(before, after)| after - before).collect();
            noise::of_pairs(differences, bounds.confidence)
        } else {
            noise::of_groups(before, after, bounds.confidence)
        };
        let floor = (bounds.noise_percent / 100.0).ln_1p();
        let finding = match ratio {
            Some(ratio) if ratio.low > floor => Finding::Slower,
            Some(ratio) if ratio.high < -floor => Finding::Faster,
            Some(ratio) if ratio.low >= -floor && ratio.high <= floor => Finding::Same,
            _ => Finding::Unclear,
        };
        Some(Self { name, before_ms, after_ms, ratio, finding })
    }

    /// Milliseconds per token.
    pub(super) fn lost_ms(&self) -> f64 {
        self.after_ms - self.before_ms
    }

    /// What the medians differ by.
    pub(super) fn loss_percent(&self) -> f64 {
        (self.after_ms / self.before_ms - 1.0) * 100.0
    }
}

/// A logarithm of a ratio in percent.
pub(super) fn percent(logarithm: f64) -> f64 {
    logarithm.exp_m1() * 100.0
}

impl Finding {
    /// As it is shown.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Slower => "slower",
            Self::Faster => "faster",
            Self::Same => "same",
            Self::Unclear => "can't tell",
        }
    }
}
