//! What is told about a run: the `--json` object, the lines after the text, what `--verbose` shows.

use ffai::generate::{FinishReason, Generation, StepCounters};
use ffai::graph::DeviceReport;
use ffai::measure::{GenerationStats, Profile};
use ffai::text::{Controls, Tokenizer};
use serde::Serialize;

/// The `--json` object.
#[derive(Serialize)]
struct Json<'a> {
    model: &'a str,
    backend: &'a str,
    device: &'a str,
    prompt_ids: &'a [u32],
    generated_ids: &'a [u32],
    text: &'a str,
    /// Thinking and answer apart, where the model is known to think.
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
    finish_reason: FinishReason,
    stats: &'a GenerationStats,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<StepCounters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'a Profile>,
}

/// The run as one line of JSON.
pub(crate) fn json(model: &str, device: &DeviceReport, prompt_ids: &[u32], generation: &Generation) -> String {
    let thinks = generation.stats.think_tokens.is_some();
    let object = Json {
        model,
        backend: device.backend,
        device: &device.name,
        prompt_ids,
        generated_ids: &generation.ids,
        text: &generation.text,
        thinking: thinks.then(|| generation.thinking()).flatten(),
        answer: thinks.then(|| generation.answer()),
        finish_reason: generation.finish_reason,
        stats: &generation.stats,
        step: generation.step,
        profile: generation.profile.as_ref(),
    };
    // Strings and finite numbers: nothing here can fail to be JSON.
    serde_json::to_string(&object).unwrap_or_default() + "\n"
}

/// The two lines that follow every text.
pub(crate) fn summary(stats: &GenerationStats) -> String {
    format!(
        "prompt: {} tokens ({:.2}s prefill)\ngenerated: {} tokens in {:.2}s ({:.2} tok/s)",
        stats.prompt_tokens,
        stats.prefill_seconds,
        stats.generated_tokens,
        stats.decode_seconds,
        stats.decode_tokens_per_second
    )
}

/// The `[STATS]` block.
pub(crate) fn stats(stats: &GenerationStats) -> String {
    format!("[STATS]\n{stats}").trim_end().to_owned()
}

/// What runs, on one line.
pub(crate) fn device(device: &DeviceReport) -> String {
    let DeviceReport { backend, name, driver, kernels, warning } = device;
    let parts: Vec<&str> = [*backend, driver.as_str()].into_iter().filter(|part| !part.is_empty()).collect();
    let warning = warning.as_ref().map_or_else(String::new, |warning| format!("\nwarning: {warning}"));
    format!("device: {name} ({}), kernels: {kernels}{warning}", parts.join(", "))
}

/// The five most probable tokens, one to a line: probability, id, text.
pub(crate) fn next_tokens(tokenizer: &Tokenizer, logits: &[f32]) -> String {
    let line = |(id, log_probability): (u32, f64)| {
        let text = tokenizer.decode(&[id], Controls::Show);
        let text = String::from_utf8_lossy(&text);
        format!("\n  {:>7.3}%  {id:>6}  {text:?}", log_probability.exp() * 100.0)
    };
    format!("next token:{}", best(logits, 5).into_iter().map(line).collect::<String>())
}

/// The `count` best tokens with the logarithms of their probabilities; among equals the lower id comes first.
fn best(logits: &[f32], count: usize) -> Vec<(u32, f64)> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&logit| f64::from(logit - most).exp()).sum();
    let mut order: Vec<u32> = (0..logits.len() as u32).collect();
    order.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]));
    order.truncate(count);
    order.into_iter().map(|id| (id, f64::from(logits[id as usize] - most) - sum.ln())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_tokens_have_their_probabilities() {
        let logits = [0.5f32.ln(), 0.125f32.ln(), 0.25f32.ln(), 0.125f32.ln()].map(|logit| logit + 3.0);
        let found = best(&logits, 3);
        assert_eq!(found.iter().map(|token| token.0).collect::<Vec<_>>(), [0, 2, 1]);
        for ((_, log), want) in found.iter().zip([0.5f64, 0.25, 0.125]) {
            assert!((log.exp() - want).abs() < 1e-6);
        }
    }

    #[test]
    fn the_summary_is_the_contracts() {
        let stats = GenerationStats {
            prompt_tokens: 5,
            prefill_seconds: 0.081,
            generated_tokens: 64,
            decode_seconds: 0.999,
            decode_tokens_per_second: 64.06,
            ..GenerationStats::default()
        };
        let expected = "prompt: 5 tokens (0.08s prefill)\ngenerated: 64 tokens in 1.00s (64.06 tok/s)";
        assert_eq!(summary(&stats), expected);
    }
}
