//! Where the memory is: the device's by what it is for, the host's by what is known of it.

use super::entries::entry;
use super::rows::MemoryRow;
use crate::graph::{MemoryPart, MemoryReport, MemoryUse};
use serde::Serialize;
use std::collections::BTreeMap;

/// Memory of one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryUsage {
    /// What it is.
    pub label: String,
    /// How many rows it lies in.
    pub level: u8,
    /// Bytes now.
    pub current_bytes: u64,
    /// The most since the tree was made.
    pub peak_bytes: u64,
}

/// What there is to know at one moment.
#[derive(Clone, Debug, Default)]
pub struct MemorySample<'a> {
    /// The device's memory by what it is for.
    pub parts: &'a [MemoryPart],
    /// What the device and our own account say of it.
    pub report: MemoryReport,
    /// Live keys and values.
    pub kv_used_bytes: u64,
    /// What the process takes of the host's memory, where the system tells.
    pub resident_bytes: Option<u64>,
    /// Whether the device's memory is the host's and counts there too.
    pub shared: bool,
}

/// One row of one moment.
#[derive(Clone, Debug)]
struct Row {
    label: String,
    level: u8,
    total: u64,
    pool: u64,
    kv: u64,
    kv_cache: u64,
}

impl Row {
    fn new(label: impl Into<String>, level: u8, total: u64) -> Self {
        Self { label: label.into(), level, total, pool: 0, kv: 0, kv_cache: 0 }
    }
}

/// The memory of a run over time. Rows of one level below another add up to it: where what is known does not, a row `Unattributed`
/// says how much is missing.
#[derive(Clone, Debug)]
pub struct MemoryTree {
    /// What the process took before anything was loaded.
    baseline: u64,
    rows: Vec<Row>,
    /// The most of each row, by the labels from the outermost row to it.
    peaks: BTreeMap<String, Row>,
}

impl MemoryTree {
    /// `baseline` is what the process took of the host's memory before anything was loaded.
    pub fn new(baseline: u64) -> Self {
        Self { baseline, rows: Vec::new(), peaks: BTreeMap::new() }
    }

    /// What the process takes of the host's memory now, where the system tells.
    pub fn resident_bytes() -> Option<u64> {
        memory_stats::memory_stats().map(|stats| stats.physical_mem as u64)
    }

    /// Takes a sample in.
    pub fn sample(&mut self, sample: &MemorySample<'_>) {
        let mut rows = Vec::new();
        device(&mut rows, sample);
        if let Some(resident) = sample.resident_bytes {
            host(&mut rows, sample, resident, self.baseline);
        }
        self.rows = rows;
        for (index, row) in self.rows.iter().enumerate() {
            let peak = self.peaks.entry(path(&self.rows, index)).or_insert_with(|| row.clone());
            peak.total = peak.total.max(row.total);
            peak.pool = peak.pool.max(row.pool);
            peak.kv = peak.kv.max(row.kv);
            peak.kv_cache = peak.kv_cache.max(row.kv_cache);
        }
    }

    fn peak(&self, index: usize) -> &Row {
        let row = &self.rows[index];
        self.peaks.get(&path(&self.rows, index)).unwrap_or(row)
    }

    /// The tree in bytes.
    pub fn usage(&self) -> Vec<MemoryUsage> {
        let usage = |(index, row): (usize, &Row)| MemoryUsage {
            label: row.label.clone(),
            level: row.level,
            current_bytes: row.total,
            peak_bytes: self.peak(index).total,
        };
        self.rows.iter().enumerate().map(usage).collect()
    }

    /// The tree as logs and dashboards show it.
    pub fn rows(&self) -> Vec<MemoryRow> {
        let mb = |bytes: u64| bytes as f64 / 1_048_576.0;
        let whole = self.rows.first().cloned().unwrap_or_else(|| Row::new("", 0, 0));
        let row = |(index, row): (usize, &Row)| {
            let peak = self.peak(index);
            MemoryRow {
                label: row.label.clone(),
                level: row.level,
                current_total_mb: mb(row.total),
                peak_total_mb: mb(peak.total),
                current_pool_mb: mb(row.pool),
                peak_pool_mb: mb(peak.pool),
                current_kv_mb: mb(row.kv),
                peak_kv_mb: mb(peak.kv),
                current_kv_cache_mb: mb(row.kv_cache),
                peak_kv_cache_mb: mb(peak.kv_cache),
                absolute_pool_mb: mb(whole.pool),
                absolute_kv_mb: mb(whole.kv),
                absolute_kv_cache_mb: mb(whole.kv_cache),
                show_absolute: row.level == 0,
            }
        };
        self.rows.iter().enumerate().map(row).collect()
    }
}

/// The labels from the outermost row to this one.
fn path(rows: &[Row], index: usize) -> String {
    let mut names = vec![rows[index].label.as_str()];
    let mut level = rows[index].level;
    for row in rows[..index].iter().rev() {
        if row.level < level {
            names.push(&row.label);
            level = row.level;
        }
    }
    names.reverse();
    names.join("/")
}

fn device(rows: &mut Vec<Row>, sample: &MemorySample<'_>) {
    let of = |wanted: MemoryUse| sample.parts.iter().filter(move |part| part.use_of == wanted);
    let sum = |wanted: MemoryUse| of(wanted).map(|part| part.bytes).sum::<u64>();
    let known: u64 = sample.parts.iter().map(|part| part.bytes).sum();
    let total = sample.report.bytes().max(known);
    let (cache, pool) = (sum(MemoryUse::Cache), sum(MemoryUse::Arena) + sum(MemoryUse::Staging));
    rows.push(Row { pool, kv: sample.kv_used_bytes, kv_cache: cache, ..Row::new("Device", 0, total) });
    rows.push(Row::new("Weights", 1, sum(MemoryUse::Weights)));
    weights(rows, of(MemoryUse::Weights));
    rows.push(Row { kv: sample.kv_used_bytes, kv_cache: cache, ..Row::new("KV cache", 1, cache) });
    let mut layers: Vec<(String, u64)> = Vec::new();
    for part in of(MemoryUse::Cache) {
        let label = layer_in(&part.label).map_or_else(|| part.label.clone(), |layer| format!("Block {layer}"));
        *entry(&mut layers, &label) += part.bytes;
    }
    rows.extend(layers.into_iter().map(|(label, bytes)| Row::new(label, 2, bytes)));
    for (label, wanted) in [("Arena", MemoryUse::Arena), ("Staging", MemoryUse::Staging)] {
        rows.push(Row { pool: sum(wanted), ..Row::new(label, 1, sum(wanted)) });
    }
    rows.push(Row::new("Step buffers", 1, sum(MemoryUse::Step)));
    rows.push(Row::new("Unattributed", 1, total - known));
}

/// Weights by block and role, the others by role.
fn weights<'p>(rows: &mut Vec<Row>, parts: impl Iterator<Item = &'p MemoryPart>) {
    let mut blocks: BTreeMap<u64, BTreeMap<String, u64>> = BTreeMap::new();
    let mut others: BTreeMap<String, u64> = BTreeMap::new();
    for part in parts {
        let role = role(&part.label);
        match layer_in(&part.label) {
            Some(layer) => *blocks.entry(layer).or_default().entry(role).or_default() += part.bytes,
            None => *others.entry(role).or_default() += part.bytes,
        }
    }
    rows.extend(others.into_iter().map(|(role, bytes)| Row::new(role, 2, bytes)));
    for (layer, roles) in blocks {
        rows.push(Row::new(format!("Block {layer}"), 2, roles.values().sum()));
        rows.extend(roles.into_iter().map(|(role, bytes)| Row::new(role, 3, bytes)));
    }
}

fn host(rows: &mut Vec<Row>, sample: &MemorySample<'_>, resident: u64, baseline: u64) {
    rows.push(Row::new("Host", 0, resident));
    let baseline = baseline.min(resident);
    rows.push(Row::new("Process baseline", 1, baseline));
    let shared = if sample.shared { sample.report.bytes().min(resident - baseline) } else { 0 };
    if sample.shared {
        rows.push(Row::new("Device memory in the host's", 1, shared));
    }
    rows.push(Row::new("Unattributed", 1, resident - baseline - shared));
}

/// The number of the layer in a buffer's name: `blk.3.attn_q.weight`, `model.layers.3.mlp…`, `keys of layer 3`.
fn layer_in(label: &str) -> Option<u64> {
    let mut words = label.split(['.', ' ']);
    words.find(|word| matches!(*word, "blk" | "layers" | "layer" | "h"))?;
    words.next()?.parse().ok()
}

/// What a tensor is for, by its name.
fn role(label: &str) -> String {
    let has = |parts: &[&str]| parts.iter().any(|part| label.contains(part));
    let role = if has(&["norm"]) {
        "norms"
    } else if has(&["attn", "attention"]) {
        "attention"
    } else if has(&["ffn", "mlp"]) {
        "mlp"
    } else if has(&["token_embd", "embed"]) {
        "Embedding"
    } else if has(&["output", "lm_head"]) {
        "Output"
    } else {
        "others"
    };
    role.to_owned()
}

#[cfg(test)]
mod tests;
