//! How long phases took.

use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt;
use std::time::Duration;

/// A phase and the time it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Its name.
    pub name: &'static str,
    /// All its time.
    pub time: Duration,
    /// How often it ran.
    pub runs: u32,
}

/// Times of phases, in the order in which they first ended. Serializes as a map from name to seconds.
///
/// ```
/// use ffai::observe::PhaseTimings;
/// use std::time::Duration;
///
/// let mut phases = PhaseTimings::new();
/// phases.record("model_load", Duration::from_millis(2340));
/// phases.record("prewarm", Duration::from_micros(480_120));
/// assert_eq!(phases.to_string(), "  model_load          2.34 s\n  prewarm           480.12 ms\n");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PhaseTimings(Vec<Phase>);

impl PhaseTimings {
    /// No phases.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds time to a phase.
    pub fn record(&mut self, name: &'static str, time: Duration) {
        match self.0.iter_mut().find(|phase| phase.name == name) {
            Some(phase) => {
                phase.time += time;
                phase.runs += 1;
            }
            None => self.0.push(Phase { name, time, runs: 1 }),
        }
    }

    /// The phases, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Phase> {
        self.0.iter()
    }

    /// All time of one phase; `None` where it never ended.
    pub fn get(&self, name: &str) -> Option<Duration> {
        self.0.iter().find(|phase| phase.name == name).map(|phase| phase.time)
    }

    /// Whether no phase has ended.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for PhaseTimings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for phase in &self.0 {
            map.serialize_entry(phase.name, &phase.time.as_secs_f64())?;
        }
        map.end()
    }
}

/// The lines of the `[PROFILE]` block.
impl fmt::Display for PhaseTimings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = self.0.iter().map(|phase| phase.name.chars().count()).max().unwrap_or(0);
        let width = 18.max(longest + 2);
        for Phase { name, time, .. } in &self.0 {
            let seconds = time.as_secs_f64();
            let (value, unit) = if seconds < 1.0 { (seconds * 1e3, "ms") } else { (seconds, "s") };
            writeln!(f, "  {name:width$}{value:6.2} {unit}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phases(phases: &[(&'static str, f64)]) -> PhaseTimings {
        let mut timings = PhaseTimings::new();
        for &(name, seconds) in phases {
            timings.record(name, Duration::from_secs_f64(seconds));
        }
        timings
    }

    #[test]
    fn the_block_is_the_contracts() {
        let timings = phases(&[
            ("model_load", 2.34),
            ("prewarm", 0.48012),
            ("prefill", 0.0823),
            ("ttft", 0.0823),
            ("decode", 1.0),
            ("generation_total", 1.0823),
        ]);
        let expected = "  model_load          2.34 s
  prewarm           480.12 ms
  prefill            82.30 ms
  ttft               82.30 ms
  decode              1.00 s
  generation_total    1.08 s
";
        assert_eq!(timings.to_string(), expected);
    }

    #[test]
    fn long_names_widen_the_column_and_times_add_up() {
        let mut timings = phases(&[("a", 0.001), ("seventeen_letters", 123.456), ("a", 0.0005)]);
        assert_eq!(timings.to_string(), "  a                    1.50 ms\n  seventeen_letters  123.46 s\n");
        timings.record("héé", Duration::ZERO);
        assert_eq!(
            timings.iter().map(|phase| (phase.name, phase.runs)).collect::<Vec<_>>(),
            [("a", 2), ("seventeen_letters", 1), ("héé", 1)]
        );
        assert_eq!(timings.get("a"), Some(Duration::from_micros(1500)));
        let json = serde_json::to_string(&timings).unwrap();
        assert_eq!(json, r#"{"a":0.0015,"seventeen_letters":123.456,"héé":0.0}"#);
    }
}
