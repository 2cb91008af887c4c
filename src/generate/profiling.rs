//! Profiles some of a run's tokens, and tells the timeline what ran.

use super::engine::Timed;
use crate::graph::{Counters, DeviceSpan, PassSpan, Plan};
use crate::measure::{Profile, ProfileCounters, Profiler, Step, StepProfile, advice};
use crate::observe::{self, DeviceRun, DeviceZone};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Which tokens of a run are profiled, and whether any are now.
#[derive(Clone, Debug)]
pub struct Profiling {
    period: usize,
    /// Of each `period` tokens, those that are profiled.
    taken: fn(usize, usize) -> bool,
    switch: Arc<AtomicBool>,
}

impl Profiling {
    /// Most tokens: of each 16, four are left out, so that the run shows what profiling costs.
    pub fn most() -> Self {
        Self { period: 16, taken: |index, _| !(4..8).contains(&index), switch: Arc::new(AtomicBool::new(true)) }
    }

    /// One token of each `period`, which slows a run by little.
    pub fn one_in(period: usize) -> Self {
        // The second, so that a short run has one.
        let taken = |index, period| index == 1 % period;
        Self { period: period.max(1), taken, switch: Arc::new(AtomicBool::new(true)) }
    }

    /// Turns profiling off and on while a run goes on.
    pub fn switch(&self) -> Arc<AtomicBool> {
        self.switch.clone()
    }

    /// Whether token number `index` is profiled. The first is the prompt's.
    fn profiles(&self, index: usize) -> bool {
        self.switch.load(Ordering::Relaxed) && (self.taken)(index % self.period, self.period)
    }
}

/// What a run's profile is made of, as it goes on.
pub(super) struct RunProfile {
    profiling: Profiling,
    profiler: Profiler,
    prefill: Vec<StepProfile>,
    tokens: Vec<StepProfile>,
    /// Milliseconds between tokens of one kind: both profiled, or both not.
    profiled: Vec<f64>,
    plain: Vec<f64>,
    last: Option<(bool, Instant)>,
}

impl RunProfile {
    pub(super) fn new(profiling: Profiling) -> Self {
        Self {
            profiling,
            profiler: Profiler::new(),
            prefill: Vec::new(),
            tokens: Vec::new(),
            profiled: Vec::new(),
            plain: Vec::new(),
            last: None,
        }
    }

    /// Whether the step that makes token number `index` is to be timed.
    pub(super) fn wants(&self, index: usize) -> bool {
        self.profiling.profiles(index)
    }

    /// Token number `index` arrived, made by a step that was timed or not.
    pub(super) fn arrived(&mut self, timed: bool) {
        let now = Instant::now();
        if let Some((before, at)) = self.last.replace((timed, now))
            && before == timed
        {
            let intervals = if timed { &mut self.profiled } else { &mut self.plain };
            intervals.push((now - at).as_secs_f64() * 1e3);
        }
    }

    /// Takes a timed submission in. Chunks of a prompt are kept apart.
    pub(super) fn add(&mut self, timed: &Timed, index: usize, text: String, counters: ProfileCounters) -> &StepProfile {
        let step = StepProfile {
            index,
            text,
            gpu_ms: 0.0,
            gaps_ms: 0.0,
            wall_ms: timed.wall * 1e3,
            untimed_ops: 0,
            zones: Vec::new(),
            counters,
        };
        let steps = if index == 0 { &mut self.prefill } else { &mut self.tokens };
        // What ops cost in a prompt is another thing than what they cost in a step: the table is about steps.
        let step = if index == 0 {
            Profiler::new().add(&timed.plan, &timed.timing, timed.length, step)
        } else {
            self.profiler.add(&timed.plan, &timed.timing, timed.length, step)
        };
        steps.push(step);
        &steps[steps.len() - 1]
    }

    /// Milliseconds of a step on the device, of all ops of the run so far.
    pub(super) fn ops(&self) -> Vec<crate::measure::OpRow> {
        self.profiler.ops(None)
    }

    /// The profile of the run; `None` where no token was timed.
    pub(super) fn finish(self, plan: Option<&Arc<Plan>>, steady: Option<ProfileCounters>) -> Option<Profile> {
        let method = self.profiler.method()?;
        let slowdown = match (median(self.profiled), median(self.plain)) {
            (Some(profiled), Some(plain)) if plain > 0.0 => Some(profiled / plain),
            _ => None,
        };
        let last = self.tokens.last().map(|token| token.counters);
        let counters = steady.or(last);
        let advice = plan
            .zip(counters)
            .map_or_else(Vec::new, |(plan, counters)| advice(&Step { plan, counters, steady: steady.is_some() }));
        Some(Profile {
            method,
            slowdown,
            prefill: self.prefill,
            ops: self.profiler.ops(None),
            tokens: self.tokens,
            counters: steady,
            peaks: None,
            memory: Vec::new(),
            advice,
        })
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Counters of a step whose plan is known.
pub(super) fn step_counters(counters: Counters, plan: &Plan) -> ProfileCounters {
    ProfileCounters {
        dispatches: counters.dispatches,
        passes: counters.passes,
        hazards: plan.hazards as u64,
        submits: counters.submits,
        syncs: counters.syncs,
        readback_bytes: counters.readback_bytes,
    }
}

/// Tells the timeline which ops a timed submission ran, within the parts of the model that they stand in.
pub(super) fn tell_ops(timed: &Timed) {
    let Some(clock) = timed.timing.clock.filter(|_| observe::listening()) else { return };
    let mut zones: Vec<DeviceZone> = Vec::new();
    // Open zones from the outermost inwards: their places in `zones`.
    let mut open: Vec<usize> = Vec::new();
    let mut at = f64::NEG_INFINITY;
    for (op, span) in timed.plan.ops.iter().zip(&timed.timing.spans) {
        let Some(DeviceSpan { begun, ended }) = *span else { continue };
        // Zones of one lane do not overlap: an op that began before the last was over is shown from there.
        let (begun, ended) = (begun.max(at), ended.max(at));
        at = ended;
        let (Some(begun), Some(ended)) = (clock.host_time(begun), clock.host_time(ended)) else { continue };
        let names: Vec<&str> = timed.plan.zone(op).split('/').filter(|name| !name.is_empty()).collect();
        let common = open.iter().zip(&names).take_while(|(index, name)| zones[**index].name == **name).count();
        open.truncate(common);
        for name in &names[common..] {
            open.push(zones.len());
            zones.push(DeviceZone { name: (*name).to_owned(), depth: open.len() - 1, begun, ended });
        }
        zones.push(DeviceZone { name: op.label(), depth: open.len(), begun, ended });
        open.iter().for_each(|&index| zones[index].ended = ended);
    }
    observe::device(&DeviceRun { zones: &zones });
}

/// Tells the timeline when whole submissions ran.
pub(super) fn tell_passes(passes: &[PassSpan]) {
    for pass in passes {
        let zone = DeviceZone { name: "forward".to_owned(), depth: 0, begun: pass.begun, ended: pass.ended };
        observe::device(&DeviceRun { zones: &[zone] });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profiled(profiling: &Profiling, count: usize) -> Vec<usize> {
        (0..count).filter(|&index| profiling.profiles(index)).collect()
    }

    #[test]
    fn most_tokens_leaves_four_of_sixteen_out() {
        let expected: Vec<usize> = (0..40).filter(|index| !(4..8).contains(&(index % 16))).collect();
        assert_eq!(profiled(&Profiling::most(), 40), expected);
    }

    #[test]
    fn one_token_in_sixteen_is_profiled_until_the_switch_is_off() {
        let profiling = Profiling::one_in(16);
        assert_eq!(profiled(&profiling, 50), [1, 17, 33, 49]);
        assert_eq!(profiled(&Profiling::one_in(1), 3), [0, 1, 2]);
        profiling.switch().store(false, Ordering::Relaxed);
        assert!(profiled(&profiling, 50).is_empty());
    }
}
