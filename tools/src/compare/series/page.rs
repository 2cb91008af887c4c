//! What changed, as a page.

use super::comparison::Comparison;
use super::judge::{Finding, Judged};
use super::{Quantity, Series};
use crate::compare::render::{aligned, plural, rows, section, signed_percent, signed_size, size};
use crate::compare::times::percent;
use crate::compare::verdict::Verdict;

/// The page: warnings, what changed, rows without a counterpart, and the verdict.
pub(in crate::compare) fn page(comparison: &Comparison) -> String {
    let mut page = header("before", comparison.before) + &header(" after", comparison.after);
    for warning in &comparison.warnings {
        page += &format!("warning: {warning}\n");
    }
    page += &section("speed, median of all runs", &lines(&comparison.speeds));
    page += &section("quality", &lines(&comparison.quality));
    page += &section("memory", &aligned(rows(&comparison.memory, size, signed_size)));
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    page += &section(&format!("only in {}", comparison.before.file), &names(&comparison.gone));
    page += &section(&format!("only in {}", comparison.after.file), &names(&comparison.new));
    page + &rest(comparison) + &verdict(comparison) + "\n"
}

fn header(side: &str, series: &Series) -> String {
    format!("{side}: {} ({}, {})\n", series.file, series.kind, plural(series.rows.len(), "row"))
}

/// What changed, and what differs in a way that noise explains as well; the rest is only counted.
fn lines(judged: &[Judged]) -> Vec<String> {
    let told = |judged: &&Judged| match judged.finding {
        Finding::Worse | Finding::Better => true,
        Finding::Unclear => judged.before != judged.after,
        Finding::Same => false,
    };
    let lines = judged.iter().filter(told).map(|judged| (format!("{}, {}", judged.row, judged.column), line(judged)));
    aligned(lines.collect())
}

fn line(judged: &Judged) -> String {
    let (before, after) = (value(judged, judged.before, judged.errors.0), value(judged, judged.after, judged.errors.1));
    let change = match judged.quantity {
        Quantity::Divergence => signed(judged.after - judged.before),
        _ => signed_percent(judged.change_percent()),
    };
    let found = match (judged.loss, judged.quantity.is_speed()) {
        (Some(_), _) => format!("{}  {}", bounds(judged), judged.verdict()),
        (None, true) => format!("can't tell: {} and {} values are too few", judged.counts.0, judged.counts.1),
        (None, false) => "can't tell: its error is not known".to_owned(),
    };
    format!("{before} → {after}  {change}  {found}")
}

fn value(judged: &Judged, value: f64, error: Option<f64>) -> String {
    let error = |decimals: usize| error.map_or_else(String::new, |error| format!(" ± {error:.decimals$}"));
    match judged.quantity {
        Quantity::TokensPerSecond => format!("{value:.2} tok/s"),
        Quantity::Nanoseconds => time(value),
        Quantity::Perplexity => format!("{value:.3}{}", error(3)),
        Quantity::Divergence => format!("{value:.4}{}", error(4)),
        Quantity::Bytes => size(value),
    }
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        ..1e3 => format!("{nanoseconds:.2} ns"),
        1e3..1e6 => format!("{:.2} µs", nanoseconds / 1e3),
        1e6..1e9 => format!("{:.2} ms", nanoseconds / 1e6),
        _ => format!("{:.2} s", nanoseconds / 1e9),
    }
}

/// Bounds of the change in the direction in which the quantity is shown.
fn bounds(judged: &Judged) -> String {
    let Some(loss) = judged.loss else { return String::new() };
    let [low, high] = match judged.quantity {
        Quantity::TokensPerSecond => [-loss.high, -loss.low].map(|bound| signed_percent(percent(bound))),
        Quantity::Divergence => [loss.low, loss.high].map(signed),
        _ => [loss.low, loss.high].map(|bound| signed_percent(percent(bound))),
    };
    format!("[{low} … {high}]")
}

fn signed(nats: f64) -> String {
    let sign = if nats < 0.0 { '−' } else { '+' };
    format!("{sign}{:.4}", nats.abs())
}

fn rest(comparison: &Comparison) -> String {
    let same = |judged: &[Judged], noun: &str, percent: f64| match judged
        .iter()
        .filter(|judged| judged.finding == Finding::Same)
        .count()
    {
        0 => String::new(),
        same => format!("{} within ±{percent} %. ", plural(same, noun)),
    };
    let unclear = match comparison.found(Finding::Unclear) {
        0 => String::new(),
        unclear => format!("{} can't be told from noise: more runs tell more.", plural(unclear, "value")),
    };
    let rest = same(&comparison.speeds, "speed", comparison.limits.noise_percent)
        + &same(&comparison.quality, "quality value", comparison.limits.quality_percent)
        + &unclear;
    if rest.is_empty() { rest } else { format!("{}\n", rest.trim_end()) }
}

/// The last line.
fn verdict(comparison: &Comparison) -> String {
    let verdict = comparison.verdict();
    let reasons = match verdict {
        Verdict::Worse => comparison.reasons(),
        Verdict::Slower => {
            vec![format!("{} slowed within the threshold", plural(comparison.found(Finding::Worse), "speed"))]
        }
        Verdict::Better | Verdict::Unclear | Verdict::Same => Vec::new(),
    };
    if reasons.is_empty() { verdict.name().to_owned() } else { format!("{}: {}", verdict.name(), reasons.join(", ")) }
}
