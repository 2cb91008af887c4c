//! When ops ran on the device.

use super::BufferRole;
use serde::Serialize;
use std::time::{Duration, Instant};

/// How times of ops are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// The device's timestamps at the ends of a pass per op.
    Timestamps,
    /// The driver's times of command buffers, one per op.
    #[serde(rename = "command buffers")]
    CommandBuffers,
    /// The host's clock around a submission per op and its end.
    Submissions,
    /// The host's clock around each op, which runs on the host.
    #[serde(rename = "host clock")]
    Host,
}

impl Method {
    /// As headers say it.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Timestamps => "timestamps of the device, a pass per op",
            Self::CommandBuffers => "the driver's times of command buffers, one per op, because timestamps are missing",
            Self::Submissions => "the host's clock around a submission per op, because the device takes no timestamps",
            Self::Host => "the host's clock around each op",
        }
    }
}

/// A stretch of the device's clock, in seconds from its own beginning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DeviceSpan {
    /// When it began.
    pub begun: f64,
    /// When it was over; later than that.
    pub ended: f64,
}

impl DeviceSpan {
    /// Its length in seconds.
    pub fn seconds(&self) -> f64 {
        self.ended - self.begun
    }
}

/// One moment by two clocks.
#[derive(Clone, Copy, Debug)]
pub struct Calibration {
    /// The host's clock.
    pub host: Instant,
    /// The device's, in seconds as [`DeviceSpan`] has them.
    pub device: f64,
    /// How far the two may be apart.
    pub uncertainty: Duration,
}

impl Calibration {
    /// The host's time of a moment of the device; `None` where it lies before all that the host's clock can tell.
    pub fn host_time(&self, device: f64) -> Option<Instant> {
        let apart = Duration::try_from_secs_f64((device - self.device).abs()).ok()?;
        if device < self.device { self.host.checked_sub(apart) } else { self.host.checked_add(apart) }
    }
}

/// The times of a plan's ops in one run.
#[derive(Clone, Debug)]
pub struct Timing {
    /// How they were taken.
    pub method: Method,
    /// One per op, in the plan's order; `None` where the driver gave no time.
    pub spans: Vec<Option<DeviceSpan>>,
    /// The device's clock by the host's, where it can be told.
    pub clock: Option<Calibration>,
}

/// A submission's time on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassSpan {
    /// Dispatch calls in it.
    pub dispatches: u64,
    /// When it began, by the host's clock.
    pub begun: Instant,
    /// When it was over.
    pub ended: Instant,
}

/// One measure of what a device can do at best, repeated.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ceiling {
    /// What was done.
    pub what: &'static str,
    /// The best of all runs, in `unit`.
    pub best: f64,
    /// The median of all runs.
    pub median: f64,
    /// The worst of all runs.
    pub worst: f64,
    /// Runs.
    pub runs: usize,
    /// `GB/s`, `GFLOP/s` or `µs`.
    pub unit: &'static str,
}

/// Device memory that one thing takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryPart {
    /// What it is for.
    pub use_of: MemoryUse,
    /// The buffer's own name: a tensor's, `keys 3`, `arena`.
    pub label: String,
    /// Bytes.
    pub bytes: u64,
}

/// What device memory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemoryUse {
    /// Model weights.
    Weights,
    /// Keys and values.
    Cache,
    /// Activations, shared by all plans.
    Arena,
    /// Positions, page tables, sampling state.
    Step,
    /// Copies on their way to or from the host.
    Staging,
}

impl From<BufferRole> for MemoryUse {
    fn from(role: BufferRole) -> Self {
        match role {
            BufferRole::Weights => Self::Weights,
            BufferRole::Cache => Self::Cache,
            BufferRole::Step => Self::Step,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calibration_tells_the_hosts_time_of_moments_before_and_after() {
        let host = Instant::now();
        let clocks = Calibration { host, device: 100.0, uncertainty: Duration::ZERO };
        assert_eq!(clocks.host_time(100.25), Some(host + Duration::from_millis(250)));
        assert_eq!(clocks.host_time(99.75), host.checked_sub(Duration::from_millis(250)));
        assert_eq!(clocks.host_time(f64::INFINITY), None);
    }
}
