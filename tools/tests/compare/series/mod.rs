//! Rows of benchmarks of each kind of file: sidecars, criterion's folders, and rows as llama-bench has them.

mod broken;
mod changes;
mod matching;

use crate::profiles::{Folder, Random, compare_files};
use serde_json::{Value, json};

/// What wrote a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Sidecar,
    Criterion,
    BenchLines,
    BenchList,
}

pub(crate) const KINDS: [Kind; 4] = [Kind::Sidecar, Kind::Criterion, Kind::BenchLines, Kind::BenchList];

/// What is measured, and how long it takes in nanoseconds.
const BENCHMARKS: [(&str, f64); 6] =
    [("matvec", 8.1e5), ("softmax", 2.4e4), ("rms_norm", 9.9e3), ("rope", 1.2e4), ("embed", 7.0e3), ("head", 3.3e6)];

/// A run of all benchmarks: each `runs` times, with normal noise.
#[derive(Clone, Copy)]
pub(crate) struct Recipe {
    pub(crate) seed: u64,
    /// Standard deviation of a run, as a share.
    pub(crate) noise: f64,
    pub(crate) runs: usize,
    /// A benchmark, and what its time is multiplied by.
    pub(crate) slowed: (&'static str, f64),
}

impl Default for Recipe {
    fn default() -> Self {
        Self { seed: 0, noise: 0.025, runs: 10, slowed: ("", 1.0) }
    }
}

impl Recipe {
    /// Nanoseconds of every run, by benchmark.
    fn times(&self) -> Vec<(&'static str, Vec<f64>)> {
        let mut random = Random(self.seed);
        let one = |(name, time): (&'static str, f64)| {
            let factor = if name == self.slowed.0 { self.slowed.1 } else { 1.0 };
            (name, (0..self.runs).map(|_| time * factor * (1.0 + self.noise * random.normal())).collect())
        };
        BENCHMARKS.map(one).into()
    }

    /// Writes it as `kind` does; returns what to give to `tools compare`.
    pub(crate) fn write(&self, folder: &Folder, name: &str, kind: Kind) -> String {
        let times = self.times();
        match kind {
            Kind::Sidecar => {
                let rows = times.iter().map(|(name, times)| sidecar_row(name, &rates(times)));
                folder.write(&format!("{name}.state.json"), sidecar(rows.collect()).to_string())
            }
            Kind::BenchList => {
                let rows: Vec<Value> = times.iter().map(|(name, times)| bench_row(name, &rates(times))).collect();
                folder.write(&format!("{name}.json"), Value::from(rows).to_string())
            }
            Kind::BenchLines => {
                let rows = times.iter().map(|(name, times)| bench_row(name, &rates(times)).to_string() + "\n");
                folder.write(&format!("{name}.jsonl"), rows.collect::<String>())
            }
            Kind::Criterion => {
                times.iter().for_each(|(bench, times)| criterion(folder, &format!("{name}/{bench}/new"), bench, times));
                folder.path(name)
            }
        }
    }

    /// The comparison with another run, as an object.
    pub(crate) fn against(&self, after: &Self, folder: &Folder, kind: Kind) -> Value {
        let files = [self.write(folder, "before", kind), after.write(folder, "after", kind)];
        serde_json::from_str(&compare_files(&files[0], &files[1], &["--json"]).page).unwrap()
    }
}

/// Tokens per second, of 1000 tokens.
fn rates(times: &[f64]) -> Vec<f64> {
    times.iter().map(|time| 1e12 / time).collect()
}

pub(crate) fn sidecar(rows: Vec<Value>) -> Value {
    json!({
        "chip": "card", "systemRAMBytes": 68_719_476_736u64, "osVersion": "12", "createdAt": "2026-05-15T13:00:00Z", "rows": rows,
    })
}

pub(crate) fn sidecar_row(model: &str, rates: &[f64]) -> Value {
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    json!({
        "model": format!("models/{model}"), "method": "simple", "quantization": "4bit", "contextSize": 4096, "promptTokens": 9,
        "prefillTokensPerSecond": 0, "decodeTokensPerSecond": sorted[sorted.len() / 2], "timeToFirstTokenMs": 80.5,
        "generatedTokens": 64, "baselineGPUBytes": 0, "peakGPUBytes": 500_000_000, "kvCacheUsedBytes": 1_000_000,
        "weightsBytes": 400_000_000, "wiredTicketBytes": 0,
        "spread": { "decodeTokensPerSecond": {
            "minimum": sorted[0], "maximum": sorted[sorted.len() - 1], "standardDeviation": 1.0, "samples": rates,
        } },
    })
}

pub(crate) fn bench_row(model: &str, rates: &[f64]) -> Value {
    json!({
        "build_commit": "0", "gpu_info": "card", "model_filename": format!("models/{model}"), "type_k": "f16", "n_prompt": 0,
        "n_gen": 128, "n_depth": 4096, "avg_ts": 1.0, "samples_ts": rates,
    })
}

/// A folder as criterion 0.8 fills it, without what is not read. Iterations differ from sample to sample, as by its linear sampling.
pub(crate) fn criterion(folder: &Folder, path: &str, id: &str, times: &[f64]) {
    let iterations: Vec<f64> = (1..=times.len()).map(|sample| 7.0 * sample as f64).collect();
    let totals: Vec<f64> = times.iter().zip(&iterations).map(|(time, iterations)| time * iterations).collect();
    let about =
        json!({ "group_id": "kernels", "function_id": id, "value_str": null, "full_id": format!("kernels/{id}") });
    folder.write(&format!("{path}/benchmark.json"), about.to_string());
    let samples = json!({ "sampling_mode": "Linear", "iters": iterations, "times": totals });
    folder.write(&format!("{path}/sample.json"), samples.to_string());
}
