//! One row: a test with what it ran on, by the names that llama-bench gives them.

use super::measure::Test;
use super::settings::Setting;
use ffai::generate::Engine;
use ffai::weights::Checkpoint;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// What does not change from row to row of a model.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) file: String,
    /// Family, size and type of most weights, such as `llama 1.24B Q4_K`.
    pub(super) kind: String,
    pub(super) bytes: u64,
    pub(super) parameters: u64,
    pub(super) layers: u32,
}

impl Subject {
    pub(super) fn of(file: &str, checkpoint: &Checkpoint) -> Result<Self, ffai::Error> {
        let config = ffai::model::family(checkpoint)?.config(checkpoint)?;
        let inventory = checkpoint.inventory();
        let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
        for weight in &inventory {
            *kinds.entry(weight.kind.as_str()).or_default() += weight.elements.unwrap_or(0);
        }
        let parameters =
            inventory.iter().filter(|weight| weight.is_parameter()).filter_map(|weight| weight.elements).sum();
        let most = kinds.iter().max_by_key(|(_, elements)| **elements).map_or("", |(kind, _)| kind);
        Ok(Self {
            file: file.to_owned(),
            kind: format!("{} {} {most}", config.family, count(parameters)),
            bytes: inventory.iter().map(|weight| weight.bytes).sum(),
            parameters,
            layers: config.layers,
        })
    }
}

/// A number of parameters: `1.24B`.
fn count(parameters: u64) -> String {
    let millions = parameters as f64 / 1e6;
    if millions < 1000.0 { format!("{millions:.2}M") } else { format!("{:.2}B", millions / 1000.0) }
}

/// A measured test.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) subject: Subject,
    pub(super) test: Test,
    fields: Map<String, Value>,
    /// Per repetition, oldest first.
    samples: Map<String, Value>,
}

impl Row {
    /// A row of `times`, one per repetition.
    pub(super) fn new(subject: &Subject, setting: &Setting, test: Test, engine: &Engine, times: &[Duration]) -> Self {
        let device = engine.device();
        let nanoseconds: Vec<f64> = times.iter().map(|time| time.as_nanos() as f64).collect();
        let rates: Vec<f64> = nanoseconds.iter().map(|&ns| test.tokens() as f64 * 1e9 / ns.max(1.0)).collect();
        let gpu = device.backend == "gpu";
        let Value::Object(fields) = json!({
            "build_commit": built(env!("TOOLS_BUILD_COMMIT")),
            "build_number": env!("TOOLS_BUILD_NUMBER").parse::<u64>().unwrap_or(0),
            "cpu_info": ffai::gpu::chip().name.unwrap_or_default(),
            "gpu_info": if gpu { device.name.clone() } else { String::new() },
            "backends": backend(&device),
            "model_filename": subject.file,
            "model_type": subject.kind,
            "model_size": subject.bytes,
            "model_n_params": subject.parameters,
            "n_batch": setting.chunk,
            "n_ubatch": setting.chunk,
            "type_k": setting.kv.name(),
            "type_v": setting.kv.name(),
            "n_gpu_layers": if gpu { subject.layers } else { 0 },
            "n_prompt": test.prompt,
            "n_gen": test.generated,
            "n_depth": test.depth,
            "test_time": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "avg_ns": mean(&nanoseconds).round() as u64,
            "stddev_ns": deviation(&nanoseconds).round() as u64,
            "avg_ts": mean(&rates),
            "stddev_ts": deviation(&rates),
            // What llama-bench does not know.
            "n_sequences": test.width,
            "variant": setting.variant,
            "driver": device.driver,
            "kernels": device.kernels,
            "ffai_version": env!("CARGO_PKG_VERSION"),
        }) else {
            panic!("a row is an object");
        };
        let Value::Object(samples) = json!({
            "samples_ns": nanoseconds.iter().map(|&ns| ns as u64).collect::<Vec<_>>(),
            "samples_ts": rates,
        }) else {
            panic!("samples are an object");
        };
        Self { subject: subject.clone(), test, fields, samples }
    }

    /// Names and values, for tables; without the samples, as llama-bench has it.
    pub(super) fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// The whole row. Samples stand where llama-bench puts them, at the end.
    pub(super) fn object(&self) -> Value {
        let mut all = self.fields.clone();
        all.extend(self.samples.clone());
        Value::Object(all)
    }

    /// A number of the row.
    pub(super) fn number(&self, name: &str) -> f64 {
        self.fields.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN)
    }

    /// A word of the row.
    pub(super) fn text(&self, name: &str) -> &str {
        self.fields.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

/// The commit, or that it is not known.
fn built(commit: &str) -> &str {
    if commit.is_empty() { "unknown" } else { commit }
}

/// Where kernels run: `Metal`, `Vulkan` or `CPU`.
fn backend(device: &ffai::graph::DeviceReport) -> &'static str {
    match (device.backend, cfg!(target_os = "macos")) {
        ("gpu", true) => "Metal",
        ("gpu", false) => "Vulkan",
        _ => "CPU",
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Of a sample, with one degree of freedom taken; 0 for a single value, as llama-bench has it.
fn deviation(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (values.len() - 1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2, 4, 4, 4, 5, 5, 7, 9: mean 5, squares 32, over 7.
    #[test]
    fn deviations_are_those_of_samples() {
        let values = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        assert_eq!(mean(&values), 5.0);
        assert!((deviation(&values) - (32.0_f64 / 7.0).sqrt()).abs() < 1e-12);
        assert_eq!(deviation(&[3.0]), 0.0);
    }

    #[test]
    fn parameters_are_counted_as_llama_bench_shows_them() {
        assert_eq!(count(134_515_008), "134.52M");
        assert_eq!(count(1_235_814_432), "1.24B");
    }
}
