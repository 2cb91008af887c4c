//! What a step's counters say about its health.

use super::entries::entry;
use super::profile::ProfileCounters;
use crate::graph::{Op, Plan};

/// What advice is given about.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// What the step ran.
    pub plan: &'a Plan,
    /// What it did.
    pub counters: ProfileCounters,
    /// A step in the middle of a run, where the next one is submitted before its token is read.
    pub steady: bool,
}

/// A line for each counter outside its healthy range, with the zone that has most of it.
pub fn advice(step: &Step<'_>) -> Vec<String> {
    let Step { plan, counters, steady } = step;
    let mut lines = Vec::new();
    let zone = |counts: fn(&Op) -> bool| largest(plan, counts);
    if counters.dispatches > 1000 {
        lines.push(format!(
            "dispatches: {} are more than 1000, many small kernels: fuse some. {}",
            counters.dispatches,
            zone(|_| true)
        ));
    }
    if counters.dispatches < 100 {
        lines.push(format!(
            "dispatches: {} are fewer than 100: unless whole layers are fused or the model is small, parallel work is lost. {}",
            counters.dispatches,
            zone(|_| true)
        ));
    }
    if counters.hazards > 1000 {
        lines.push(format!(
            "hazards: {} are more than 1000: ops wait for each other. {}",
            counters.hazards,
            zone(|op| op.hazard)
        ));
    }
    if counters.hazards == 0 && plan.ops.len() > 1 {
        lines.push("hazards: 0: no op reads what another wrote, so their order is not kept. All zones".to_owned());
    }
    let reads = plan.ops.last().map_or("", |op| plan.zone(op));
    if counters.syncs > 10 {
        lines.push(format!(
            "syncs: {} are more than 10: round trips between CPU and GPU. They wait for what `{reads}` leaves",
            counters.syncs
        ));
    } else if *steady && counters.syncs > 1 {
        lines.push(format!(
            "syncs: {} in a steady step, where 1 is enough: something is read back too early. They wait for what `{reads}` leaves",
            counters.syncs
        ));
    } else if !steady && counters.syncs == 0 && counters.readback_bytes > 0 {
        lines.push(format!(
            "syncs: 0 in a step whose own results are read back: they may be those of an earlier one. `{reads}` leaves them"
        ));
    }
    lines
}

/// The zone that holds most of the ops that count, layers taken together.
fn largest(plan: &Plan, counts: fn(&Op) -> bool) -> String {
    let mut found: Vec<(String, u64)> = Vec::new();
    for op in plan.ops.iter().filter(|op| counts(op)) {
        *entry(&mut found, &any_layer(plan.zone(op))) += 1;
    }
    found
        .into_iter()
        .max_by_key(|(_, count)| *count)
        .map_or_else(String::new, |(path, count)| format!("Most stand in `{path}`: {count}"))
}

/// A path without the number of its layer.
fn any_layer(path: &str) -> String {
    match path.split_once('/') {
        Some((layer, rest)) if layer.starts_with("layer ") => format!("layer */{rest}"),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Choices, Recorder, Target};

    fn plan() -> Plan {
        let target = Target {
            subgroup: 8,
            max_binding_bytes: u64::MAX,
            max_workgroups: u32::MAX,
            f16: true,
            software: true,
            choices: Choices::default(),
        };
        Recorder::new(&target).finish()
    }

    fn lines(counters: ProfileCounters, steady: bool) -> Vec<String> {
        advice(&Step { plan: &plan(), counters, steady })
    }

    #[test]
    fn healthy_numbers_get_no_advice_and_each_other_one_a_line() {
        let healthy =
            ProfileCounters { dispatches: 400, passes: 1, hazards: 300, submits: 1, syncs: 1, readback_bytes: 4 };
        assert_eq!(lines(healthy, true), [""; 0]);
        assert_eq!(lines(ProfileCounters { syncs: 0, ..healthy }, true), [""; 0]);
        let one = |counters, steady, start: &str| {
            let found = lines(counters, steady);
            assert!(found.len() == 1 && found[0].starts_with(start), "{found:?} for {start}");
        };
        one(ProfileCounters { dispatches: 1001, ..healthy }, true, "dispatches: 1001 are more");
        one(ProfileCounters { dispatches: 99, ..healthy }, true, "dispatches: 99 are fewer");
        one(ProfileCounters { hazards: 1001, ..healthy }, true, "hazards: 1001");
        one(ProfileCounters { syncs: 11, ..healthy }, false, "syncs: 11 are more");
        one(ProfileCounters { syncs: 2, ..healthy }, true, "syncs: 2 in a steady step");
        one(ProfileCounters { syncs: 0, ..healthy }, false, "syncs: 0 in a step whose own");
        assert_eq!(any_layer("layer 12/mlp"), "layer */mlp");
        assert_eq!(any_layer("lm_head"), "lm_head");
    }
}
