//! Measurements that stand in rows, whoever took them: what a row is called, and what was measured about it.

mod bench;
mod comparison;
mod criterion;
mod judge;
mod object;
mod page;
mod rows;
mod sidecar;

pub(super) use bench::{is_row, read as read_bench};
pub(super) use comparison::{Comparison, Limits};
pub(super) use criterion::{holds_benchmarks, read as read_criterion};
pub(super) use object::object;
pub(super) use page::page;
pub(super) use sidecar::read as read_sidecar;

/// Everything of one side.
#[derive(Debug)]
pub(crate) struct Series {
    /// Where it was read.
    pub(super) file: String,
    /// What wrote it; sides of two kinds are not compared.
    pub(super) kind: &'static str,
    /// Rows by name; every name once.
    pub(super) rows: Vec<Row>,
}

/// All that was measured under one name.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) name: String,
    /// Under which conditions: what differs between the sides is warned of.
    pub(super) facts: Vec<(&'static str, String)>,
    pub(super) columns: Vec<Column>,
}

/// One quantity of a row.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) quantity: Quantity,
    /// Every run's value. Never empty, all finite and above 0, save divergences, which may be 0.
    pub(super) values: Vec<f64>,
    /// Standard error of the value, where whoever measured it knows it; of several, the largest.
    pub(super) error: Option<f64>,
}

/// What a number says, and so how it is held against another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantity {
    /// Higher is better. Runs differ by noise.
    TokensPerSecond,
    /// Lower is better. Runs differ by noise.
    Nanoseconds,
    /// Lower is better. Its error is that of the text, not of the run.
    Perplexity,
    /// Nats, lower is better; the same holds of its error.
    Divergence,
    /// Lower is better, and the same in every run.
    Bytes,
}

impl Quantity {
    /// Whether it tells how fast something ran.
    pub(super) fn is_speed(self) -> bool {
        matches!(self, Self::TokensPerSecond | Self::Nanoseconds)
    }
}

impl Column {
    /// A column of those values that can be compared; none where there are none.
    pub(super) fn of(name: &str, quantity: Quantity, values: &[f64], error: Option<f64>) -> Option<Self> {
        let least = if quantity == Quantity::Divergence { 0.0 } else { f64::MIN_POSITIVE };
        let sound = |value: &&f64| value.is_finite() && **value >= least;
        let values: Vec<f64> = values.iter().filter(sound).copied().collect();
        let error = error.filter(|error| error.is_finite() && *error >= 0.0);
        (!values.is_empty()).then(|| Self { name: name.to_owned(), quantity, values, error })
    }
}
