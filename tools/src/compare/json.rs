//! What changed, as one object.

use super::calls::CallChange;
use super::comparison::Comparison;
use super::counters::Change;
use super::profile::Profile;
use super::times::{TimeChange, percent};
use serde_json::{Value, json};

/// One line of JSON. What is unknown is `null`.
pub(super) fn object(comparison: &Comparison) -> String {
    let limits = comparison.limits;
    let object = json!({
        "verdict": comparison.verdict().name(),
        "reasons": comparison.reasons(),
        "warnings": comparison.warnings,
        "threshold_percent": limits.threshold_percent,
        "noise_percent": limits.noise_percent,
        "before": side(comparison.before, comparison.tokens.0),
        "after": side(comparison.after, comparison.tokens.1),
        "same_positions": comparison.paired,
        "counters": comparison.counters.iter().map(change).collect::<Vec<_>>(),
        "memory_bytes": comparison.memory.iter().map(change).collect::<Vec<_>>(),
        "calls": comparison.calls.iter().map(calls).collect::<Vec<_>>(),
        "prefill_calls": comparison.prefill_calls.iter().map(calls).collect::<Vec<_>>(),
        "ops": comparison.ops.iter().map(time).collect::<Vec<_>>(),
        "total": comparison.total.as_ref().map(time),
        "prefill": comparison.prefill.as_ref().map(time),
    });
    format!("{object}\n")
}

fn side(profile: &Profile, tokens: usize) -> Value {
    json!({
        "file": profile.file,
        "model": profile.model,
        "device": profile.device,
        "backend": profile.backend,
        "method": profile.method,
        "tokens": tokens,
    })
}

fn change(change: &Change) -> Value {
    json!({ "name": change.name, "before": change.before, "after": change.after })
}

fn calls(change: &CallChange) -> Value {
    let zone =
        |zone: &super::calls::ZoneChange| json!({ "path": zone.path, "before": zone.before, "after": zone.after });
    json!({
        "op": change.op,
        "before": change.before,
        "after": change.after,
        "places": change.places(),
        "zones": change.zones.iter().map(zone).collect::<Vec<_>>(),
    })
}

fn time(time: &TimeChange) -> Value {
    json!({
        "name": time.name,
        "before_ms": time.before_ms,
        "after_ms": time.after_ms,
        "change_percent": time.loss_percent(),
        "low_percent": time.ratio.map(|ratio| percent(ratio.low)),
        "high_percent": time.ratio.map(|ratio| percent(ratio.high)),
        "finding": time.finding.name(),
    })
}
