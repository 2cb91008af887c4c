//! What else the machine does while something is measured.

use super::Load;
use crate::generate::Engine;
use std::fs;
use std::time::Duration;

/// Time of the processors, in the system's ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ticks {
    /// All processors, idle or not.
    all: u64,
    /// All processors at work.
    busy: u64,
    /// This process.
    own: u64,
}

impl Ticks {
    fn now() -> Option<Self> {
        Self::read(&fs::read_to_string("/proc/stat").ok()?, &fs::read_to_string("/proc/self/stat").ok()?)
    }

    /// From `/proc/stat` and `/proc/self/stat` of Linux (proc(5)).
    fn read(system: &str, own: &str) -> Option<Self> {
        let line = system.lines().find_map(|line| line.strip_prefix("cpu "))?;
        // user nice system idle iowait irq softirq steal; what guests use is part of user and nice already.
        let times: Vec<u64> = line.split_whitespace().take(8).map_while(|word| word.parse().ok()).collect();
        let idle = *times.get(3)? + times.get(4).copied().unwrap_or(0);
        let all = times.iter().sum::<u64>();
        // A program's name may hold anything but ends at the last parenthesis; utime and stime are fields 14 and 15 of all.
        let mut fields = own.rsplit_once(')')?.1.split_whitespace().skip(11);
        let mut next = || fields.next()?.parse::<u64>().ok();
        Some(Self { all, busy: all.checked_sub(idle)?, own: next()? + next()? })
    }

    /// Which share of all processors' time other processes used since `before`, from 0 to 1; `None` where no time has passed.
    fn others_since(self, before: Self) -> Option<f64> {
        let all = self.all.checked_sub(before.all).filter(|&all| all > 0)?;
        let others = self.busy.saturating_sub(before.busy).saturating_sub(self.own.saturating_sub(before.own));
        Some((others as f64 / all as f64).clamp(0.0, 1.0))
    }
}

/// Watches from its beginning to its end.
#[derive(Debug)]
pub(super) struct LoadMeter {
    begun: Option<Ticks>,
    device_idle: Option<bool>,
}

/// How long processors are watched before the first run, where they are the device.
const WATCHED: Duration = Duration::from_millis(100);

/// A device that is busy for more than this share of its time is not idle.
const IDLE: f64 = 0.05;

impl LoadMeter {
    /// Looks whether the device is idle, and begins.
    pub(super) fn begin(engine: &Engine) -> Self {
        // A software driver and the reference run on the processors themselves.
        let software = engine.device().backend == "cpu" || engine.memory_sample(&[], 0).shared;
        let device_idle = if software { processors_busy() } else { amdgpu_busy() }.map(|busy| busy <= IDLE);
        Self { begun: Ticks::now(), device_idle }
    }

    /// What was seen; `None` where nothing could be.
    pub(super) fn end(&self) -> Option<Load> {
        let other_cpu_share = self.begun.and_then(|begun| Ticks::now()?.others_since(begun));
        let load = Load { other_cpu_share, device_idle: self.device_idle };
        (load != Load::default()).then_some(load)
    }
}

fn processors_busy() -> Option<f64> {
    let before = Ticks::now()?;
    std::thread::sleep(WATCHED);
    Ticks::now()?.others_since(before)
}

/// As the kernel's driver for AMD cards tells it; `None` for others, and where there are several.
fn amdgpu_busy() -> Option<f64> {
    let cards = fs::read_dir("/sys/class/drm").ok()?.flatten();
    let mut told = cards.filter_map(|card| fs::read_to_string(card.path().join("device/gpu_busy_percent")).ok());
    let busy = told.next()?.trim().parse::<f64>().ok()?;
    told.next().is_none().then_some(busy / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "42 (a ) name) R 1 42 42 0 -1 4194304 100 0 0 0 30 20 0 0 20 0 8 0 100 1 1";

    #[test]
    fn the_load_of_others_is_what_neither_idled_nor_was_ours() {
        let before = Ticks::read("cpu  100 10 50 800 40 0 0 0 5 5\ncpu0 1 1 1 1", OWN).unwrap();
        assert_eq!(before, Ticks { all: 1000, busy: 160, own: 50 });
        let after = Ticks { all: 2000, busy: 660, own: 300 };
        assert_eq!(after.others_since(before), Some(0.25));
        assert_eq!(before.others_since(before), None);
        // Clocks that were read one after the other may show more of ours than of all.
        assert_eq!(Ticks { own: 9999, ..after }.others_since(before), Some(0.0));
    }

    #[test]
    fn files_of_another_kind_tell_nothing() {
        for (system, own) in [("", OWN), ("cpu  1 2", OWN), ("cpu  1 2 3 4 5 6 7 8", "42 (x) R 1"), ("cpu  a", "")] {
            assert_eq!(Ticks::read(system, own), None, "{system:?} {own:?}");
        }
    }
}
