//! What changed, as one object.

use super::comparison::Comparison;
use super::judge::Judged;
use super::{Quantity, Series};
use crate::compare::times::percent;
use serde_json::{Value, json};

/// One line of JSON. What is unknown is `null`.
pub(in crate::compare) fn object(comparison: &Comparison) -> String {
    let limits = comparison.limits;
    let memory = comparison.memory.iter();
    let object = json!({
        "verdict": comparison.verdict().name(),
        "reasons": comparison.reasons(),
        "warnings": comparison.warnings,
        "threshold_percent": limits.threshold_percent,
        "noise_percent": limits.noise_percent,
        "quality_percent": limits.quality_percent,
        "before": side(comparison.before),
        "after": side(comparison.after),
        "speeds": comparison.speeds.iter().map(judged).collect::<Vec<_>>(),
        "quality": comparison.quality.iter().map(judged).collect::<Vec<_>>(),
        "memory_bytes": memory
            .map(|change| json!({ "name": change.name, "before": change.before, "after": change.after }))
            .collect::<Vec<_>>(),
        "only_before": comparison.gone,
        "only_after": comparison.new,
    });
    format!("{object}\n")
}

fn side(series: &Series) -> Value {
    json!({ "file": series.file, "kind": series.kind, "rows": series.rows.len() })
}

fn judged(judged: &Judged) -> Value {
    let (unit, ratio) = match judged.quantity {
        Quantity::TokensPerSecond => ("tokens/s", true),
        Quantity::Nanoseconds => ("ns", true),
        Quantity::Perplexity => ("perplexity", true),
        Quantity::Divergence | Quantity::Bytes => ("nats", false),
    };
    // How much more time is taken, or how far the perplexity rose: above 0 is a loss.
    let bound = |bound: f64| if ratio { percent(bound) } else { bound };
    json!({
        "row": judged.row,
        "quantity": judged.column,
        "unit": unit,
        "before": judged.before,
        "after": judged.after,
        "before_error": judged.errors.0,
        "after_error": judged.errors.1,
        "before_values": judged.counts.0,
        "after_values": judged.counts.1,
        "ratio": (judged.before > 0.0).then(|| judged.after / judged.before),
        "loss": judged.loss.map(|loss| bound(loss.centre)),
        "loss_low": judged.loss.map(|loss| bound(loss.low)),
        "loss_high": judged.loss.map(|loss| bound(loss.high)),
        "loss_unit": if ratio { "percent" } else { "nats" },
        "finding": judged.verdict(),
    })
}
