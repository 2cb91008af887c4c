//! One measurement of one model: the schema that analysis scripts read.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One run of one method. What is unknown is absent, never null.
///
/// The fields up to `output_preview` are those of the schema that other engines write too, with their names and units; those after it
/// are ours and optional, so that a reader of the old schema reads on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BenchRow {
    /// The model as the user named it.
    pub model: String,
    /// The method's name.
    pub method: String,
    /// The user's label of the weights' format, such as `4bit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantization: Option<String>,
    /// Most tokens that the model's context holds; of a sweep, the context that this row ran at.
    pub context_size: u64,
    /// Tokens of the prompt; of `wikitext2`, tokens scored.
    pub prompt_tokens: u64,
    /// Tokens of the prompt by the time to the first token; of `wikitext2`, the scoring rate.
    pub prefill_tokens_per_second: f64,
    /// Generated tokens by the time after the first.
    pub decode_tokens_per_second: f64,
    /// The same without the first ten steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steady_tokens_per_second: Option<f64>,
    /// Milliseconds to the first token.
    pub time_to_first_token_ms: f64,
    /// Tokens generated.
    pub generated_tokens: u64,
    /// Device memory before the run.
    #[serde(rename = "baselineGPUBytes")]
    pub baseline_gpu_bytes: u64,
    /// Most device memory at any token boundary.
    #[serde(rename = "peakGPUBytes")]
    pub peak_gpu_bytes: u64,
    /// The live part of keys and values.
    pub kv_cache_used_bytes: u64,
    /// Sum of the weight buffers.
    pub weights_bytes: u64,
    /// The device's working-set budget; 0 where it does not tell.
    pub wired_ticket_bytes: u64,
    /// Perplexity of what was generated, of its answer where the model thinks; of `wikitext2`, that of the corpus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gen_perplexity: Option<f64>,
    /// Mean divergence from the reference model in nats, over the same tokens.
    #[serde(rename = "genKLDivergence", skip_serializing_if = "Option::is_none")]
    pub gen_kl_divergence: Option<f64>,
    /// The first 160 characters of the text, newlines as spaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_preview: Option<String>,

    /// When the row was measured: ISO-8601 UTC, whole seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured_at: Option<String>,
    /// The engine's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The device's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The device's backend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// What keys and values are stored as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_cache: Option<String>,
    /// What most of the weights are stored as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_format: Option<String>,
    /// Perplexity of what was thought.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub think_perplexity: Option<f64>,
    /// Divergence over what was thought, in nats.
    #[serde(rename = "thinkKLDivergence", skip_serializing_if = "Option::is_none")]
    pub think_kl_divergence: Option<f64>,
    /// Standard error of `gen_perplexity`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gen_perplexity_error: Option<f64>,
    /// Standard error of `gen_kl_divergence`.
    #[serde(rename = "genKLDivergenceError", skip_serializing_if = "Option::is_none")]
    pub gen_kl_divergence_error: Option<f64>,
    /// Runs that the medians are over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<u32>,
    /// Runs before them that were not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup: Option<u32>,
    /// Spread over the runs, by the name of the field that it belongs to; absent for a single run.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub spread: BTreeMap<String, Spread>,
    /// What else the machine did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
    /// What methods measure besides, by name: `exactMatch`, `turn2TimeToFirstTokenMs`, `callAccuracy`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub scores: BTreeMap<String, f64>,
    /// Needles that were looked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needles: Vec<NeedleScore>,
}

/// How far the runs behind a median lie apart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spread {
    /// The smallest value.
    pub minimum: f64,
    /// The largest value.
    pub maximum: f64,
    /// Sample standard deviation.
    pub standard_deviation: f64,
    /// Every run's value, in order.
    pub samples: Vec<f64>,
}

/// What else the machine did while a row was measured; what could not be known is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Load {
    /// Share of all processors that other processes used, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_cpu_share: Option<f64>,
    /// Whether the device was idle before the first run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_idle: Option<bool>,
}

/// One needle in one haystack.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NeedleScore {
    /// Tokens that the prompt was made for.
    pub context: u64,
    /// Where the needle stood, 0 at the beginning and 1 at the end.
    pub depth: f64,
    /// 1 where the answer held the needle's secret to the letter, else 0.
    pub exact: f64,
    /// How much of the needle the answer held, 0 to 1.
    pub fuzzy: f64,
}
