//! Rows of `ffai bench`, from the sidecar that stands beside its report.

use super::{Column, Quantity, Row, Series, rows};
use crate::failure::Failure;
use crate::sidecar::Sidecar;
use ffai::bench::BenchRow;
use std::path::Path;

/// Reads what a sidecar's rows measured.
pub(in crate::compare) fn read(path: &Path) -> Result<Series, Failure> {
    let (file, sidecar) = (path.display().to_string(), Sidecar::read(path)?);
    if sidecar.rows.is_empty() {
        let message = format!("{file}: expected at least one row in `rows`, found none");
        return Err(Failure::usage(message).with_hint("run `ffai bench` with this report folder first".to_owned()));
    }
    let all = sidecar.rows.iter().map(|row| measured(row, &sidecar.chip)).collect();
    Ok(Series { file, kind: "a sidecar of `ffai bench`", rows: rows::joined(all) })
}

fn measured(row: &BenchRow, chip: &str) -> Row {
    // Folders may differ between machines; the last part is the model.
    let model = row.model.trim_end_matches('/').rsplit('/').next().unwrap_or(&row.model);
    let mut name = format!("{model} {}", row.method);
    if let Some(quantization) = &row.quantization {
        name += &format!(" {quantization}");
    }
    name += &format!(" at {}", row.context_size);
    let mut facts = vec![("chip", chip.to_owned()), ("prompt tokens", row.prompt_tokens.to_string())];
    let known = [
        ("device", &row.device),
        ("backend", &row.backend),
        ("KV cache", &row.kv_cache),
        ("weights", &row.weight_format),
    ];
    facts.extend(known.into_iter().filter_map(|(fact, value)| Some((fact, value.clone()?))));
    Row { name, facts, columns: columns(row) }
}

/// Rates, not the time to the first token: that is the prefill by another name.
fn columns(row: &BenchRow) -> Vec<Column> {
    use Quantity::{Bytes, Divergence, Perplexity, TokensPerSecond};
    let speed = |name: &str, field: &str, value: Option<f64>| {
        let single: Vec<f64> = value.into_iter().collect();
        let samples = row.spread.get(field).map_or(single.as_slice(), |spread| spread.samples.as_slice());
        Column::of(name, TokensPerSecond, samples, None).or_else(|| Column::of(name, TokensPerSecond, &single, None))
    };
    let quality =
        |name, quantity, value: Option<f64>, error| value.and_then(|value| Column::of(name, quantity, &[value], error));
    let size = |name, bytes: u64| Column::of(name, Bytes, &[bytes as f64], None);
    let all = [
        speed("prefill", "prefillTokensPerSecond", Some(row.prefill_tokens_per_second)),
        speed("decode", "decodeTokensPerSecond", Some(row.decode_tokens_per_second)),
        speed("decode (steady)", "steadyTokensPerSecond", row.steady_tokens_per_second),
        quality("perplexity", Perplexity, row.gen_perplexity, row.gen_perplexity_error),
        quality("perplexity (thinking)", Perplexity, row.think_perplexity, None),
        quality("divergence", Divergence, row.gen_kl_divergence, row.gen_kl_divergence_error),
        quality("divergence (thinking)", Divergence, row.think_kl_divergence, None),
        size("peak GPU memory", row.peak_gpu_bytes),
        size("KV cache", row.kv_cache_used_bytes),
        size("weights", row.weights_bytes),
    ];
    all.into_iter().flatten().collect()
}
