//! A divergence as a table, an object, and a line per position.

use super::Compared;
use crate::failure::Failure;
use ffai::evaluate::{Estimate, Statistics};
use serde_json::json;
use std::path::Path;

/// Names, values, and what they are multiplied with to be shown.
fn rows(s: &Statistics) -> Vec<(&'static str, Estimate, &'static str)> {
    vec![
        ("mean KLD", s.mean_kld, "nats"),
        ("median KLD", s.median_kld, "nats"),
        ("90 % KLD", s.p90, "nats"),
        ("95 % KLD", s.p95, "nats"),
        ("99 % KLD", s.p99, "nats"),
        ("99.9 % KLD", s.p999, "nats"),
        ("maximum KLD", s.max_kld, "nats"),
        ("same top token", s.same_top, "%"),
        ("mean Δp", s.mean_delta_p, ""),
        ("RMS Δp", s.rms_delta_p, ""),
        ("perplexity", s.candidate_perplexity, ""),
        ("reference's", s.reference_perplexity, ""),
        ("ln of their ratio", s.log_perplexity_ratio, ""),
    ]
}

pub(super) fn page(statistics: &Statistics) -> String {
    let mut page = format!("KL(reference ‖ candidate) over {} tokens\n", statistics.scored_tokens);
    for (name, Estimate { value, error }, unit) in rows(statistics) {
        page += format!("{name:18} {value:12.6} ± {error:.6} {unit}").trim_end();
        page.push('\n');
    }
    page
}

pub(super) fn object(s: &Statistics) -> String {
    let object = json!({
        "mean_kld": s.mean_kld.value, "mean_kld_error": s.mean_kld.error,
        "median_kld": s.median_kld.value, "median_kld_error": s.median_kld.error,
        "p90": s.p90.value, "p90_error": s.p90.error,
        "p95": s.p95.value, "p95_error": s.p95.error,
        "p99": s.p99.value, "p99_error": s.p99.error,
        "p999": s.p999.value, "p999_error": s.p999.error,
        "max_kld": s.max_kld.value, "max_kld_error": s.max_kld.error,
        "same_top": s.same_top.value, "same_top_error": s.same_top.error,
        "mean_delta_p": s.mean_delta_p.value, "mean_delta_p_error": s.mean_delta_p.error,
        "rms_delta_p": s.rms_delta_p.value, "rms_delta_p_error": s.rms_delta_p.error,
        "scored_tokens": s.scored_tokens,
        "perplexity": s.candidate_perplexity.value, "perplexity_error": s.candidate_perplexity.error,
        "reference_perplexity": s.reference_perplexity.value, "reference_perplexity_error": s.reference_perplexity.error,
        "log_perplexity_ratio": s.log_perplexity_ratio.value, "log_perplexity_ratio_error": s.log_perplexity_ratio.error,
    });
    format!("{object:#}\n")
}

/// A line per scored token. `position` is that of the logits in their chunk; `token` is the one behind it.
pub(super) fn positions(path: &Path, compared: &Compared) -> Result<(), Failure> {
    let failed = |error: csv::Error| Failure::failed(format!("cannot write {}: {error}", path.display()));
    let mut writer = csv::Writer::from_path(path).map_err(failed)?;
    let header = ["chunk", "position", "token", "kld", "delta_p", "same_top", "reference_nll", "candidate_nll"];
    writer.write_record(header).map_err(failed)?;
    let scored = compared.options.job(&compared.tokens, 0).scored;
    for (index, position) in compared.result.positions.iter().enumerate() {
        let (chunk, at) = (index / scored.len(), scored.start + index % scored.len());
        let token = compared.tokens[chunk * compared.options.context + at];
        let numbers = [position.kld, position.delta_p].map(|number| number.to_string());
        let [kld, delta_p] = numbers;
        let [reference, candidate] = [position.reference_nll, position.candidate_nll].map(|number| number.to_string());
        let same = u8::from(position.same_top).to_string();
        let [chunk, at, token] = [chunk, at - 1, token as usize].map(|number| number.to_string());
        writer.write_record([chunk, at, token, kld, delta_p, same, reference, candidate]).map_err(failed)?;
    }
    writer.flush().map_err(|error| failed(error.into()))
}
