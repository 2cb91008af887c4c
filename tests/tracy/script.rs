//! What the other process tells, and a profiler must be told.

use crate::client::Zone;
use ffai::observe::{self, DeviceRun, DeviceZone};
use std::time::{Duration, Instant};

/// So many runs of the device, whose times need more queries than Tracy can tell apart at once.
pub(crate) const RUNS: u64 = 300;
/// Layers of a run.
const LAYERS: u64 = 60;
/// Nanoseconds from the beginning of one run to that of the next.
const EVERY: u64 = 1_000_000;

/// Name, depth, beginning and end of a run's zones, in nanoseconds from its own beginning.
pub(crate) fn run(number: u64) -> Vec<(String, usize, u64, u64)> {
    let mut zones = vec![(format!("token {number}"), 0, 0, 700_000 + number)];
    for layer in 0..LAYERS {
        let at = 10_000 * layer;
        zones.push((format!("layer {layer}"), 1, at, at + 9_999));
        zones.push(("matvec×3 \"quoted\"\n".to_owned(), 2, at + 17, at + 4711));
    }
    zones
}

fn device_zones(start: Instant, number: u64) -> Vec<DeviceZone> {
    let at = |nanoseconds| start + Duration::from_nanos(EVERY * number + nanoseconds);
    let zone = |(name, depth, begun, ended)| DeviceZone { name, depth, begun: at(begun), ended: at(ended) };
    run(number).into_iter().map(zone).collect()
}

/// All that [`tell`] tells of the device, from the first zone's beginning on.
pub(crate) fn device() -> Vec<Zone> {
    let zone = |number, (name, depth, begun, ended): (String, usize, u64, u64)| Zone {
        name,
        depth,
        begun: (EVERY * number + begun) as i64,
        ended: (EVERY * number + ended) as i64,
    };
    (0..RUNS).flat_map(|number| run(number).into_iter().map(move |parts| zone(number, parts))).collect()
}

/// Zones of threads, with their depths.
pub(crate) fn main_thread() -> Vec<(&'static str, usize)> {
    let mut zones = vec![("model_load", 0), ("a zone of its own", 1), ("prewarm", 0), ("prefill", 0)];
    for _ in 0..5 {
        zones.extend([("decode_step", 0), ("sampling", 1)]);
    }
    zones
}

/// What another thread does.
pub(crate) fn other_thread() -> Vec<(&'static str, usize)> {
    vec![("reading", 0), ("repacking", 1), ("reading", 2)]
}

/// Plots and their values.
pub(crate) fn plots() -> Vec<(&'static str, f64)> {
    (0..5).flat_map(|step| [("cache tokens", 128.0 + f64::from(step)), ("bytes", 0.5 * f64::from(step))]).collect()
}

/// The last message.
pub(crate) const LAST: &str = "all told";

/// Tells all of it, and then the last message.
pub(crate) fn tell(start: Instant) {
    let load = observe::span("model_load");
    drop(observe::span("a zone of its own"));
    drop(load);
    drop(observe::span("prewarm"));
    drop(observe::span("prefill"));
    observe::event("ttft");
    std::thread::spawn(|| {
        let _reading = observe::span("reading");
        let _repacking = observe::span("repacking");
        let _again = observe::span("reading");
    })
    .join()
    .unwrap();
    for plots in plots().chunks(2) {
        let _step = observe::span("decode_step");
        drop(observe::span("sampling"));
        for &(name, value) in plots {
            observe::plot(name, value);
        }
        observe::frame();
    }
    for number in 0..RUNS {
        observe::device(&DeviceRun { zones: &device_zones(start, number) });
    }
    observe::event(LAST);
}
