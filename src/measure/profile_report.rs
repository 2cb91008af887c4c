//! A profile as a whole: what `--profile` prints, and its JSON.

use super::entries::entry;
use super::memory::MemoryUsage;
use super::peaks::Peaks;
use super::profile::{ProfileCounters, StepProfile, ZoneTime};
use super::rows::OpRow;
use crate::graph::Method;
use serde::Serialize;
use std::fmt;

/// A profiled run.
#[derive(Clone, Debug, Serialize)]
pub struct Profile {
    /// How times were taken.
    pub method: Method,
    /// How many times as long a profiled step takes as one that is not, by the medians of this run; absent where the run was too
    /// short to have both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slowdown: Option<f64>,
    /// The chunks of the prompt; the last one made the first token.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prefill: Vec<StepProfile>,
    /// Steps that were profiled.
    pub tokens: Vec<StepProfile>,
    /// All ops of these steps, the one that took longest first.
    pub ops: Vec<OpRow>,
    /// Counters of a steady step that was not profiled; absent where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counters: Option<ProfileCounters>,
    /// What the device was measured to do at best, in this run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peaks: Option<Peaks>,
    /// Memory by what it is for, at the end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub memory: Vec<MemoryUsage>,
    /// What counters outside their healthy range mean.
    pub advice: Vec<String>,
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Profile: {}; {}", self.method.about(), slowdown(self.slowdown))?;
        for step in &self.prefill {
            writeln!(f, "Prompt, up to token {}: {:?} ({:.1} ms)", step.index, step.text, step.gpu_ms)?;
            zones(f, step)?;
        }
        for step in &self.tokens {
            writeln!(f, "Token {}: {:?} ({:.1} ms)", step.index, step.text, step.gpu_ms)?;
            zones(f, step)?;
            counters(f, &step.counters)?;
        }
        writeln!(f)?;
        table(f, &self.ops)?;
        if let Some((path, name, ms)) = self.slowest() {
            writeln!(f, "\nSlowest: {name} in {path}, {ms:.3} ms per token")?;
        }
        if let Some(steady) = &self.counters {
            writeln!(f, "A steady token that is not profiled:")?;
            counters(f, steady)?;
        }
        self.advice.iter().try_for_each(|line| writeln!(f, "advice: {line}"))
    }
}

impl Profile {
    /// Puts every op beside what the device can do at best.
    pub fn set_peaks(&mut self, peaks: Option<Peaks>) {
        for op in &mut self.ops {
            op.peak_share = peaks.as_ref().and_then(|peaks| peaks.share(op.gb_per_s, op.gflop_per_s));
        }
        self.peaks = peaks;
    }

    /// The op that takes longest in a token, where it stands (layers apart), and its milliseconds, by the median of all tokens.
    pub fn slowest(&self) -> Option<(&str, &str, f64)> {
        let last = self.tokens.last()?;
        let places =
            last.zones.iter().flat_map(|zone| zone.ops.iter().map(|op| (zone.path.as_str(), op.name.as_str())));
        let median = |path: &str, name: &str| -> f64 {
            let of = |step: &StepProfile| -> Option<f64> {
                let zone = step.zones.iter().find(|zone| zone.path == path)?;
                Some(zone.ops.iter().find(|op| op.name == name)?.ms)
            };
            let mut found: Vec<f64> = self.tokens.iter().filter_map(of).collect();
            found.sort_by(f64::total_cmp);
            found[found.len() / 2]
        };
        places.map(|(path, name)| (path, name, median(path, name))).max_by(|a, b| a.2.total_cmp(&b.2))
    }
}

fn slowdown(slowdown: Option<f64>) -> String {
    slowdown.map_or_else(
        || "how much slower that is was not measured: the run has too few tokens to leave some unprofiled".to_owned(),
        |times| format!("a profiled token takes {times:.2} times as long as one that is not, measured in this run"),
    )
}

/// Zones by their outermost names, a line each.
fn zones(f: &mut fmt::Formatter<'_>, step: &StepProfile) -> fmt::Result {
    for zones in step.zones.chunk_by(|a, b| a.outermost() == b.outermost()) {
        let ms: f64 = zones.iter().map(|zone| zone.ms).sum();
        writeln!(f, "  {}: {ms:.2} ms ({})", zones[0].outermost(), calls(zones))?;
    }
    writeln!(f, "  gaps: {:.2} ms", step.gaps_ms)?;
    match step.untimed_ops {
        0 => Ok(()),
        count => writeln!(f, "  ops without a time, which count as gaps: {count}"),
    }
}

/// `rms_norm: 0.01, matvec×3: 0.20`, in the order of first calls.
fn calls(zones: &[ZoneTime]) -> String {
    let mut found: Vec<(String, (u64, f64))> = Vec::new();
    for op in zones.iter().flat_map(|zone| &zone.ops) {
        let (calls, ms) = entry(&mut found, &op.name);
        *calls += op.calls;
        *ms += op.ms;
    }
    let spelled = found.into_iter().map(|(name, (calls, ms))| match calls {
        1 => format!("{name}: {ms:.3}"),
        calls => format!("{name}×{calls}: {ms:.3}"),
    });
    spelled.collect::<Vec<_>>().join(", ")
}

fn counters(f: &mut fmt::Formatter<'_>, counters: &ProfileCounters) -> fmt::Result {
    let ProfileCounters { dispatches, passes, hazards, submits, syncs, readback_bytes } = counters;
    writeln!(f, "  GPU counters:")?;
    writeln!(f, "    Dispatches: {dispatches}")?;
    writeln!(f, "    Passes: {passes}")?;
    writeln!(f, "    Hazards: {hazards}")?;
    writeln!(f, "    Submits: {submits}")?;
    writeln!(f, "    Syncs: {syncs}")?;
    writeln!(f, "    Readback bytes: {readback_bytes}")
}

fn table(f: &mut fmt::Formatter<'_>, ops: &[OpRow]) -> fmt::Result {
    let width = ops.iter().map(|op| op.name.chars().count()).chain(["Operation".len()]).max().unwrap_or(0);
    let head = ["Calls", "Total(ms)", "Avg(µs)", "%", "MB/call", "GB/s", "GFLOP/s", "% of peak"];
    write!(f, "{:width$}", "Operation")?;
    head.iter().try_for_each(|title| write!(f, "  {title:>9}"))?;
    writeln!(f)?;
    for op in ops {
        let peak = op.peak_share.map_or_else(|| "-".to_owned(), |share| format!("{:.1}", share * 100.0));
        writeln!(
            f,
            "{:width$}  {:>9}  {:>9.2}  {:>9.2}  {:>9.1}  {:>9.3}  {:>9.2}  {:>9.2}  {peak:>9}",
            op.name,
            op.calls,
            op.total_ms,
            op.avg_us,
            op.share * 100.0,
            op.bytes as f64 / 1e6 / op.calls.max(1) as f64,
            op.gb_per_s,
            op.gflop_per_s
        )?;
    }
    let (calls, total) = ops.iter().fold((0, 0.0), |(calls, ms), op| (calls + op.calls, ms + op.total_ms));
    let average = if calls > 0 { total * 1e3 / calls as f64 } else { 0.0 };
    writeln!(f, "{:width$}  {calls:>9}  {total:>9.2}  {average:>9.2}  {:>9.1}", "TOTAL", 100.0)
}
