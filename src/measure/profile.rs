//! Where a step's time goes: per layer, per op, with what lies between.

use super::peaks::Peaks;
use super::rows::OpRow;
use crate::graph::{Cost, DeviceSpan, Method, Op, Plan, Timing};
use serde::Serialize;

/// Counters of one step, and of a steady one that is not profiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProfileCounters {
    /// Dispatch calls.
    pub dispatches: u64,
    /// Compute passes.
    pub passes: u64,
    /// Ops that read or overwrite what an earlier op of the step wrote.
    pub hazards: u64,
    /// Queue submissions.
    pub submits: u64,
    /// Times the CPU waited for the GPU.
    pub syncs: u64,
    /// Bytes mapped for the CPU.
    pub readback_bytes: u64,
}

/// Calls of one op within a zone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OpCalls {
    /// The op's name, see [`Op::label`].
    pub name: String,
    /// How often.
    pub calls: u64,
    /// Milliseconds of the device's time that was theirs alone.
    pub ms: f64,
}

/// One zone of a step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ZoneTime {
    /// Names from the outermost inwards, joined by `/`: `layer 3/attention`.
    pub path: String,
    /// What ran in it, in the order of first calls.
    pub ops: Vec<OpCalls>,
    /// Milliseconds of all of it.
    pub ms: f64,
}

impl ZoneTime {
    /// The outermost name.
    pub fn outermost(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }
}

/// One step: its zones and the gaps between their ops add up to its time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepProfile {
    /// Number of the token that the step made, from 0; the first is the prompt's.
    pub index: usize,
    /// The token's text.
    pub text: String,
    /// Milliseconds from the beginning of the first op to the end of the last, by the device.
    pub gpu_ms: f64,
    /// Of these, milliseconds in which no op ran.
    pub gaps_ms: f64,
    /// Milliseconds from handing the step over to its end, by the host.
    pub wall_ms: f64,
    /// Ops that the driver gave no time for; theirs is among the gaps.
    #[serde(skip_serializing_if = "is_zero")]
    pub untimed_ops: u64,
    /// Zones in their order.
    pub zones: Vec<ZoneTime>,
    /// What the step did, the taking of times included.
    pub counters: ProfileCounters,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Milliseconds of each op that are its own, and of all the gaps. Ops may overlap: what two share counts for the earlier.
fn own_times(spans: &[Option<DeviceSpan>]) -> (Vec<f64>, f64, f64) {
    let mut own = vec![0.0; spans.len()];
    let (mut gaps, mut at, mut first) = (0.0, f64::NAN, f64::NAN);
    for (own, span) in own.iter_mut().zip(spans) {
        let Some(span) = span else { continue };
        if first.is_nan() {
            (first, at) = (span.begun, span.begun);
        }
        gaps += (span.begun - at).max(0.0) * 1e3;
        *own = (span.ended - span.begun.max(at)).max(0.0) * 1e3;
        at = at.max(span.ended);
    }
    let whole = if first.is_nan() { 0.0 } else { (at - first) * 1e3 };
    (own, gaps, whole)
}

/// What a profile keeps of one op over all steps.
#[derive(Clone, Debug)]
struct Tally {
    name: String,
    calls: u64,
    seconds: f64,
    cost: Cost,
}

/// Collects steps; see [`Profile`](super::Profile) for what comes out.
#[derive(Debug)]
pub struct Profiler {
    method: Option<Method>,
    ops: Vec<Tally>,
}

impl Profiler {
    /// Without any step.
    pub const fn new() -> Self {
        Self { method: None, ops: Vec::new() }
    }

    /// How times were taken; `None` before the first step.
    pub fn method(&self) -> Option<Method> {
        self.method
    }

    /// Adds a step that ran `plan` in `timing`, when its longest sequence held `length` tokens; the rest of the profile is what the
    /// caller knows of it.
    pub fn add(&mut self, plan: &Plan, timing: &Timing, length: u32, step: StepProfile) -> StepProfile {
        self.method = Some(timing.method);
        let (own, gaps_ms, gpu_ms) = own_times(&timing.spans);
        let mut zones: Vec<ZoneTime> = Vec::new();
        for (op, ms) in plan.ops.iter().zip(&own) {
            let name = self.tally(op, length, *ms);
            let path = plan.zone(op);
            if zones.last().is_none_or(|zone| zone.path != path) {
                zones.push(ZoneTime { path: path.to_owned(), ops: Vec::new(), ms: 0.0 });
            }
            let Some(zone) = zones.last_mut() else { continue };
            zone.ms += ms;
            match zone.ops.iter_mut().find(|calls| calls.name == name) {
                Some(calls) => {
                    calls.calls += 1;
                    calls.ms += ms;
                }
                None => zone.ops.push(OpCalls { name, calls: 1, ms: *ms }),
            }
        }
        let untimed_ops = timing.spans.iter().filter(|span| span.is_none()).count() as u64;
        StepProfile { gpu_ms, gaps_ms, untimed_ops, zones, ..step }
    }

    fn tally(&mut self, op: &Op, length: u32, ms: f64) -> String {
        let name = op.label();
        let index = match self.ops.iter().position(|tally| tally.name == name) {
            Some(index) => index,
            None => {
                self.ops.push(Tally { name: name.clone(), calls: 0, seconds: 0.0, cost: Cost::default() });
                self.ops.len() - 1
            }
        };
        let tally = &mut self.ops[index];
        tally.calls += 1;
        tally.seconds += ms / 1e3;
        tally.cost += op.cost_at(length);
        tally.name.clone()
    }

    /// All ops, the one that took longest first.
    pub fn ops(&self, peaks: Option<&Peaks>) -> Vec<OpRow> {
        let all: f64 = self.ops.iter().map(|tally| tally.seconds).sum();
        let mut rows: Vec<OpRow> = self.ops.iter().map(|tally| row(tally, all, peaks)).collect();
        rows.sort_by(|a, b| b.total_ms.total_cmp(&a.total_ms));
        rows
    }
}

impl Default for Profiler {
    fn default() -> Self {
        Self::new()
    }
}

fn row(tally: &Tally, all: f64, peaks: Option<&Peaks>) -> OpRow {
    let per_second = |amount: u64| if tally.seconds > 0.0 { amount as f64 / tally.seconds / 1e9 } else { 0.0 };
    let (gb_per_s, gflop_per_s) = (per_second(tally.cost.bytes()), per_second(tally.cost.flops));
    OpRow {
        name: tally.name.clone(),
        calls: tally.calls,
        total_ms: tally.seconds * 1e3,
        avg_us: tally.seconds * 1e6 / tally.calls as f64,
        share: if all > 0.0 { tally.seconds / all } else { 0.0 },
        bytes: tally.cost.bytes(),
        flops: tally.cost.flops,
        gb_per_s,
        gflop_per_s,
        peak_share: peaks.and_then(|peaks| peaks.share(gb_per_s, gflop_per_s)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(begun: f64, ended: f64) -> Option<DeviceSpan> {
        Some(DeviceSpan { begun, ended })
    }

    #[test]
    fn ops_and_gaps_add_up_to_the_whole_even_where_ops_overlap() {
        let spans =
            [span(1.0, 1.002), span(1.003, 1.005), None, span(1.004, 1.007), span(1.0055, 1.006), span(1.01, 1.011)];
        let (own, gaps, whole) = own_times(&spans);
        let expected = [2.0, 2.0, 0.0, 2.0, 0.0, 1.0];
        assert!(own.iter().zip(expected).all(|(own, expected)| (own - expected).abs() < 1e-9), "{own:?}");
        assert!((gaps - 4.0).abs() < 1e-9 && (whole - 11.0).abs() < 1e-9, "{gaps} {whole}");
        assert!((own.iter().sum::<f64>() + gaps - whole).abs() < 1e-9);
        assert_eq!(own_times(&[None, None]), (vec![0.0, 0.0], 0.0, 0.0));
    }
}
