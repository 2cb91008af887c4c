//! What can be said about one quantity before and after.

use super::{Column, Quantity};
use crate::compare::noise::{self, Interval};
use ffai::measure::median;

/// A quantity of a row that both sides have.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) row: String,
    pub(super) column: String,
    pub(super) quantity: Quantity,
    /// Medians.
    pub(super) before: f64,
    pub(super) after: f64,
    /// Standard errors, where they are known.
    pub(super) errors: (Option<f64>, Option<f64>),
    /// How many values each side has.
    pub(super) counts: (usize, usize),
    /// The loss: of speeds and perplexities the logarithm of a ratio, of divergences a difference in nats. `None` where the noise
    /// is not known.
    pub(super) loss: Option<Interval>,
    pub(super) finding: Finding,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Worse,
    Better,
    Same,
    Unclear,
}

/// What a loss is measured by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Of each interval.
    pub(super) confidence: f64,
    /// What speeds may differ by between two runs of the same program.
    pub(super) noise_percent: f64,
    /// What a perplexity may rise by, and a divergence by as many nats.
    pub(super) quality_percent: f64,
}

impl Judged {
    /// Holds `after` against `before`. `None` of sizes, which have no noise, and where a side has no value.
    pub(super) fn of(row: &str, before: &Column, after: &Column, bounds: Bounds) -> Option<Self> {
        let quantity = before.quantity;
        let middles = (median(&before.values)?, median(&after.values)?);
        let floor = if quantity.is_speed() { bounds.noise_percent } else { bounds.quality_percent };
        let loss = match quantity {
            Quantity::TokensPerSecond | Quantity::Nanoseconds => speed(before, after, middles, bounds.confidence),
            Quantity::Perplexity | Quantity::Divergence => quality(before, after, middles, bounds.confidence),
            Quantity::Bytes => return None,
        };
        Some(Self {
            row: row.to_owned(),
            column: before.name.clone(),
            quantity,
            before: middles.0,
            after: middles.1,
            errors: (before.error, after.error),
            counts: (before.values.len(), after.values.len()),
            loss,
            finding: Finding::of(loss, (floor / 100.0).ln_1p()),
        })
    }

    /// What the medians differ by; above 0 where the later side is larger.
    pub(super) fn change_percent(&self) -> f64 {
        (self.after / self.before - 1.0) * 100.0
    }

    /// How much more time the later side takes.
    pub(super) fn lost_percent(&self) -> f64 {
        match self.quantity {
            Quantity::TokensPerSecond => (self.before / self.after - 1.0) * 100.0,
            _ => self.change_percent(),
        }
    }

    /// The finding in the words of its quantity.
    pub(super) fn verdict(&self) -> &'static str {
        match (self.finding, self.quantity.is_speed()) {
            (Finding::Worse, true) => "slower",
            (Finding::Worse, false) => "worse",
            (Finding::Better, true) => "faster",
            (Finding::Better, false) => "better",
            (Finding::Same, _) => "same",
            (Finding::Unclear, _) => "can't tell",
        }
    }
}

impl Finding {
    fn of(loss: Option<Interval>, floor: f64) -> Self {
        match loss {
            Some(loss) if loss.low > floor => Self::Worse,
            Some(loss) if loss.high < -floor => Self::Better,
            Some(loss) if loss.low >= -floor && loss.high <= floor => Self::Same,
            _ => Self::Unclear,
        }
    }
}

/// The logarithm of the ratio of times, from every run's value, or from a mean with its error where nothing else was kept.
fn speed(before: &Column, after: &Column, middles: (f64, f64), confidence: f64) -> Option<Interval> {
    let sign = if before.quantity == Quantity::TokensPerSecond { -1.0 } else { 1.0 };
    if let (Some(one), Some(other)) = (before.error, after.error) {
        let errors = (one / middles.0, other / middles.1);
        return Some(noise::of_estimates((middles.0.ln(), errors.0), (middles.1.ln(), errors.1), confidence));
    }
    let logarithms = |column: &Column| column.values.iter().map(|value| sign * value.ln()).collect();
    noise::of_groups(logarithms(before), logarithms(after), confidence)
}

/// In nats per token: a perplexity's logarithm is that, too. Equal values were measured over equal logits, and need no error.
fn quality(before: &Column, after: &Column, middles: (f64, f64), confidence: f64) -> Option<Interval> {
    if middles.0 == middles.1 {
        return Some(Interval { centre: 0.0, low: 0.0, high: 0.0 });
    }
    let errors = (before.error?, after.error?);
    let nats = |value: f64, error: f64| match before.quantity {
        Quantity::Perplexity => (value.ln(), error / value),
        _ => (value, error),
    };
    Some(noise::of_estimates(nats(middles.0, errors.0), nats(middles.1, errors.1), confidence))
}
