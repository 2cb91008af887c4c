//! Latencies of a step's parts as rows: the latest and the rolling average of each.

use super::entries::entry;
use super::profile::{StepProfile, ZoneTime};
use super::rows::LatencyRow;
use std::collections::VecDeque;

/// Steps that an average goes back over.
const WINDOW: usize = 64;

/// The latest values of one thing, and their average.
#[derive(Clone, Debug, Default)]
struct Rolling {
    values: VecDeque<f64>,
}

impl Rolling {
    fn add(&mut self, value: f64) {
        if self.values.len() == WINDOW {
            self.values.pop_front();
        }
        self.values.push_back(value);
    }

    fn row(&self, label: &str, level: u8) -> Option<LatencyRow> {
        let last_ms = *self.values.back()?;
        let average_ms = self.values.iter().sum::<f64>() / self.values.len() as f64;
        Some(LatencyRow { label: label.to_owned(), last_ms, average_ms, level })
    }
}

/// One block of the model and its phases, in their order.
#[derive(Clone, Debug, Default)]
struct Block {
    whole: Rolling,
    phases: Vec<(String, Rolling)>,
}

/// Rolling latencies of a model's parts.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    embedding: Rolling,
    forward: Rolling,
    variants: Vec<(String, Rolling)>,
    blocks: Vec<(String, Block)>,
    output: Rolling,
    sampling: Rolling,
    decode: Rolling,
}

impl Latencies {
    /// Adds the time of a whole step, profiled or not, by the clock of the host.
    pub fn add_step(&mut self, seconds: f64) {
        self.decode.add(seconds * 1e3);
    }

    /// Adds a step whose ops were timed.
    pub fn add_profile(&mut self, step: &StepProfile) {
        let sum = |wanted: fn(&str) -> bool| -> f64 {
            step.zones.iter().filter(|zone| wanted(zone.outermost())).map(|zone| zone.ms).sum()
        };
        self.embedding.add(sum(|zone| zone == "embed"));
        self.forward.add(step.gpu_ms - sum(|zone| zone == "sample"));
        self.output.add(sum(|zone| matches!(zone, "gather" | "final_norm" | "lm_head" | "softcap")));
        self.sampling.add(sum(|zone| zone == "sample"));
        self.add_variants(step);
        for zones in step.zones.chunk_by(|a, b| a.outermost() == b.outermost()) {
            if let Some(number) = zones[0].outermost().strip_prefix("layer ") {
                self.add_block(number, zones);
            }
        }
    }

    fn add_variants(&mut self, step: &StepProfile) {
        let mut found: Vec<(String, f64)> = Vec::new();
        for op in step.zones.iter().flat_map(|zone| &zone.ops) {
            if let Some(variant) = softmax_variant(&op.name) {
                *entry(&mut found, &variant) += op.ms;
            }
        }
        for (label, ms) in found {
            entry(&mut self.variants, &label).add(ms);
        }
    }

    fn add_block(&mut self, number: &str, zones: &[ZoneTime]) {
        let block = entry(&mut self.blocks, &format!("Block {number}"));
        block.whole.add(zones.iter().map(|zone| zone.ms).sum());
        for zone in zones {
            let phase = zone.path.split_once('/').map_or(zone.path.as_str(), |(_, phase)| phase);
            entry(&mut block.phases, phase).add(zone.ms);
        }
    }

    /// The rows, in the order of a step; those that nothing is known of yet are left out.
    pub fn rows(&self) -> Vec<LatencyRow> {
        let mut rows = Vec::new();
        rows.extend(self.embedding.row("Embedding", 0));
        rows.extend(self.forward.row("Forward Step", 0));
        rows.extend(self.variants.iter().filter_map(|(label, rolling)| rolling.row(label, 0)));
        for (label, block) in &self.blocks {
            rows.extend(block.whole.row(label, 1));
            rows.extend(block.phases.iter().filter_map(|(phase, rolling)| rolling.row(phase, 2)));
        }
        rows.extend(self.output.row("Output", 0));
        rows.extend(self.sampling.row("Sampling", 0));
        rows.extend(self.decode.row("Decode", 0));
        rows
    }
}

/// `attend_decode (two-pass)` is `Softmax (two-pass)`.
fn softmax_variant(op: &str) -> Option<String> {
    let (name, variant) = op.split_once(" (")?;
    name.starts_with("attend_").then(|| format!("Softmax ({variant}"))
}

#[cfg(test)]
mod tests {
    use super::super::profile::{OpCalls, ProfileCounters};
    use super::*;

    fn step(scale: f64) -> StepProfile {
        let zone = |path: &str, name: &str, ms: f64| ZoneTime {
            path: path.to_owned(),
            ops: vec![OpCalls { name: name.into(), calls: 1, ms: ms * scale }],
            ms: ms * scale,
        };
        let zones = vec![
            zone("embed", "embed", 0.5),
            zone("layer 0/attention", "attend_decode (two-pass)", 1.0),
            zone("layer 0/mlp", "matvec", 2.0),
            zone("layer 1/attention", "attend_decode (two-pass)", 3.0),
            zone("layer 1/mlp", "matvec", 4.0),
            zone("final_norm", "rms_norm", 0.25),
            zone("lm_head", "matvec", 0.75),
            zone("sample", "sample_scan", 0.125),
        ];
        StepProfile {
            index: 1,
            text: String::new(),
            gpu_ms: 12.0 * scale,
            gaps_ms: 0.375 * scale,
            wall_ms: 13.0,
            untimed_ops: 0,
            zones,
            counters: ProfileCounters::default(),
        }
    }

    #[test]
    fn rows_stand_in_the_order_of_a_step_with_the_last_value_and_the_average() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.rows(), []);
        latencies.add_profile(&step(1.0));
        latencies.add_profile(&step(3.0));
        latencies.add_step(0.02);
        let rows = latencies.rows();
        let found: Vec<(&str, f64, f64, u8)> =
            rows.iter().map(|row| (row.label.as_str(), row.last_ms, row.average_ms, row.level)).collect();
        assert_eq!(
            found,
            [
                ("Embedding", 1.5, 1.0, 0),
                ("Forward Step", 35.625, 23.75, 0),
                ("Softmax (two-pass)", 12.0, 8.0, 0),
                ("Block 0", 9.0, 6.0, 1),
                ("attention", 3.0, 2.0, 2),
                ("mlp", 6.0, 4.0, 2),
                ("Block 1", 21.0, 14.0, 1),
                ("attention", 9.0, 6.0, 2),
                ("mlp", 12.0, 8.0, 2),
                ("Output", 3.0, 2.0, 0),
                ("Sampling", 0.375, 0.25, 0),
                ("Decode", 20.0, 20.0, 0),
            ]
        );
    }

    #[test]
    fn an_average_forgets_what_is_older_than_its_window() {
        let mut latencies = Latencies::default();
        for index in 0..WINDOW + 10 {
            latencies.add_step(if index < 10 { 100.0 } else { 0.002 });
        }
        assert_eq!(latencies.rows()[0].average_ms, 2.0);
    }
}
