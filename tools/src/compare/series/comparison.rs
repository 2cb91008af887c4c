//! All that changed between two sides, and what it comes to.

use super::judge::{Bounds, Finding, Judged};
use super::{Column, Quantity, Row, Series};
use crate::compare::counters::Change;
use crate::compare::memory;
use crate::compare::times::ERROR;
use crate::compare::verdict::Verdict;
use crate::failure::Failure;
use ffai::measure::median;

/// From where on a change counts.
#[derive(Clone, Copy, Debug)]
pub(in crate::compare) struct Limits {
    /// What a speed may lose before the comparison fails.
    pub(in crate::compare) threshold_percent: f64,
    /// What a speed may differ by between two runs of the same program.
    pub(in crate::compare) noise_percent: f64,
    /// What a perplexity may rise by.
    pub(in crate::compare) quality_percent: f64,
}

/// What changed. Every list has the worst first.
pub(in crate::compare) struct Comparison<'a> {
    pub(super) before: &'a Series,
    pub(super) after: &'a Series,
    pub(super) limits: Limits,
    /// Why the two may not be comparable.
    pub(super) warnings: Vec<String>,
    pub(super) speeds: Vec<Judged>,
    pub(super) quality: Vec<Judged>,
    pub(super) memory: Vec<Change>,
    /// Rows that one side alone has.
    pub(super) gone: Vec<&'a str>,
    pub(super) new: Vec<&'a str>,
}

impl<'a> Comparison<'a> {
    /// Compares rows of the same name. Sides without any such row, or of two kinds, have status 2.
    pub(in crate::compare) fn of(before: &'a Series, after: &'a Series, limits: Limits) -> Result<Self, Failure> {
        let pair = |row: &'a Row| Some((row, after.rows.iter().find(|other| other.name == row.name)?));
        let pairs: Vec<(&Row, &Row)> = before.rows.iter().filter_map(pair).collect();
        if pairs.is_empty() {
            let name = |series: &'a Series| series.rows.first().map_or("", |row| row.name.as_str());
            let message = format!(
                "{} and {}: expected rows of the same name, found none: `{}` there, `{}` here",
                before.file,
                after.file,
                name(before),
                name(after)
            );
            let hint = "rows are the same by model, method, quantization and context, or by model and test; benchmarks by name";
            return Err(Failure::usage(message).with_hint(hint.to_owned()));
        }
        let columns: Vec<(&str, &Column, &Column)> = pairs.iter().flat_map(|(one, other)| shared(one, other)).collect();
        let judged = judged(&columns, limits);
        let (speeds, quality) = judged.into_iter().partition(|judged| judged.quantity.is_speed());
        let lone = |of: &'a Series, other: &Series| -> Vec<&'a str> {
            let names = of.rows.iter().map(|row| row.name.as_str());
            names.filter(|name| other.rows.iter().all(|row| row.name != *name)).collect()
        };
        Ok(Self {
            before,
            after,
            limits,
            warnings: warnings(&pairs),
            speeds,
            quality,
            memory: sizes(&columns),
            gone: lone(before, after),
            new: lone(after, before),
        })
    }

    /// Whether the comparison fails.
    pub(in crate::compare) fn is_worse(&self) -> bool {
        !self.reasons().is_empty()
    }

    /// Why the comparison fails.
    pub(super) fn reasons(&self) -> Vec<String> {
        let allowed = self.limits.threshold_percent;
        let lost = |judged: &&Judged| judged.finding == Finding::Worse && judged.lost_percent() > allowed;
        let slower = self.speeds.iter().filter(lost);
        let mut reasons: Vec<String> = slower
            .map(|judged| {
                format!(
                    "{}, {} is slower by {:.1} % (allowed: {allowed} %)",
                    judged.row,
                    judged.column,
                    judged.lost_percent()
                )
            })
            .collect();
        let poorer = self.quality.iter().filter(|judged| judged.finding == Finding::Worse);
        reasons.extend(poorer.map(|judged| format!("{}, {} is worse", judged.row, judged.column)));
        match self.memory.iter().filter(|change| change.rose()).count() {
            0 => {}
            1 => reasons.push("memory grew in 1 row".to_owned()),
            many => reasons.push(format!("memory grew in {many} rows")),
        }
        reasons
    }

    /// How many speeds or qualities were found to be so.
    pub(super) fn found(&self, finding: Finding) -> usize {
        self.speeds.iter().chain(&self.quality).filter(|judged| judged.finding == finding).count()
    }

    pub(super) fn verdict(&self) -> Verdict {
        if self.is_worse() {
            Verdict::Worse
        } else if self.found(Finding::Worse) > 0 {
            Verdict::Slower
        } else if self.found(Finding::Better) > 0 || !self.memory.is_empty() {
            Verdict::Better
        } else if self.found(Finding::Unclear) > 0 {
            Verdict::Unclear
        } else {
            Verdict::Same
        }
    }
}

/// Columns that both rows have, with the name of the row. Of decode rates the steady one alone where both have it: two looks at
/// the same steps would widen the bounds of all.
fn shared<'a>(before: &'a Row, after: &'a Row) -> Vec<(&'a str, &'a Column, &'a Column)> {
    let same = |one: &Column, other: &&Column| one.name == other.name && one.quantity == other.quantity;
    let pair =
        |one: &'a Column| Some((before.name.as_str(), one, after.columns.iter().find(|other| same(one, other))?));
    let mut pairs: Vec<_> = before.columns.iter().filter_map(pair).collect();
    if pairs.iter().any(|(_, column, _)| column.name == "decode (steady)") {
        pairs.retain(|(_, column, _)| column.name != "decode");
    }
    pairs
}

/// Bonferroni: the error is shared out, so that among many quantities none is called changed by chance.
fn judged(columns: &[(&str, &Column, &Column)], limits: Limits) -> Vec<Judged> {
    let count = columns.iter().filter(|(_, column, _)| column.quantity != Quantity::Bytes).count();
    let bounds = Bounds {
        confidence: 1.0 - ERROR / count.max(1) as f64,
        noise_percent: limits.noise_percent,
        quality_percent: limits.quality_percent,
    };
    let mut judged: Vec<Judged> =
        columns.iter().filter_map(|(row, before, after)| Judged::of(row, before, after, bounds)).collect();
    judged.sort_by(|one, other| other.lost_percent().total_cmp(&one.lost_percent()));
    judged
}

fn sizes(columns: &[(&str, &Column, &Column)]) -> Vec<Change> {
    let bytes = columns.iter().filter(|(_, column, _)| column.quantity == Quantity::Bytes);
    let change = |(row, before, after): &(&str, &Column, &Column)| {
        let sides = (median(&before.values)?, median(&after.values)?);
        memory::device_change(format!("{row}, {}", before.name), sides)
    };
    let mut changes: Vec<Change> = bytes.filter_map(change).collect();
    changes.sort_by(|one, other| other.difference().total_cmp(&one.difference()));
    changes
}

/// Conditions that differ, each pair of values once.
fn warnings(pairs: &[(&Row, &Row)]) -> Vec<String> {
    let mut warnings = Vec::new();
    for (before, after) in pairs {
        for (fact, value) in &before.facts {
            let other = after.facts.iter().find(|(name, _)| name == fact).map(|(_, value)| value);
            if let Some(other) = other.filter(|other| *other != value) {
                let warning = format!("{fact}: {value}, then {other}");
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
            }
        }
    }
    warnings
}
