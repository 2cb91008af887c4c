//! A divergence as a table, an object, and a line per position.

use super::Compared;
use crate::failure::Failure;
use ffai::evaluate::{Estimate, Statistics};
use serde_json::{Map, Value};
use std::path::Path;

/// A row of the table.
struct Row {
    /// Its key in an object; that of its error has `_error` behind it.
    key: &'static str,
    name: &'static str,
    unit: &'static str,
    estimate: Estimate,
}

fn rows(s: &Statistics) -> [Row; 13] {
    let row = |key, name, unit, estimate| Row { key, name, unit, estimate };
    [
        row("mean_kld", "mean KLD", "nats", s.mean_kld),
        row("median_kld", "median KLD", "nats", s.median_kld),
        row("p90", "90 % KLD", "nats", s.p90),
        row("p95", "95 % KLD", "nats", s.p95),
        row("p99", "99 % KLD", "nats", s.p99),
        row("p999", "99.9 % KLD", "nats", s.p999),
        row("max_kld", "maximum KLD", "nats", s.max_kld),
        row("same_top", "same top token", "%", s.same_top),
        row("mean_delta_p", "mean Δp", "", s.mean_delta_p),
        row("rms_delta_p", "RMS Δp", "", s.rms_delta_p),
        row("perplexity", "perplexity", "", s.candidate_perplexity),
        row("reference_perplexity", "reference's", "", s.reference_perplexity),
        row("log_perplexity_ratio", "ln of their ratio", "", s.log_perplexity_ratio),
    ]
}

pub(super) fn page(statistics: &Statistics) -> String {
    let mut page = format!("KL(reference ‖ candidate) over {} tokens\n", statistics.scored_tokens);
    for Row { name, unit, estimate: Estimate { value, error }, .. } in rows(statistics) {
        page += format!("{name:18} {value:12.6} ± {error:.6} {unit}").trim_end();
        page.push('\n');
    }
    page
}

pub(super) fn object(statistics: &Statistics) -> String {
    let mut object = Map::new();
    for Row { key, estimate: Estimate { value, error }, .. } in rows(statistics) {
        object.insert(key.to_owned(), value.into());
        object.insert(format!("{key}_error"), error.into());
    }
    object.insert("scored_tokens".to_owned(), statistics.scored_tokens.into());
    format!("{:#}\n", Value::Object(object))
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
