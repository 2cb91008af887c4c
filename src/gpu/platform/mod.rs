//! What only some systems can: one interface, kept by `metal` on macOS and by `portable` elsewhere.
//!
//! Every function says by `None` or an empty answer that a system cannot; none of them stands in for another.

#[cfg(target_os = "macos")]
mod metal;
#[cfg(target_os = "macos")]
use metal as system;
#[cfg(not(target_os = "macos"))]
mod portable;
#[cfg(not(target_os = "macos"))]
use portable as system;

mod signposts;
#[cfg(test)]
mod tests;

use serde::Serialize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use signposts::signposts;
pub(super) use system::{Resident, WeightMemory, available, device_memory, sample_clock, watch};
pub use system::{chip, thermal};

/// The memory of a device, as its driver tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceMemory {
    /// Bytes that this process has allocated on the device, by any way (`currentAllocatedSize`).
    pub allocated: u64,
    /// Bytes that the device can use before performance suffers (`recommendedMaxWorkingSetSize`).
    pub working_set: u64,
    /// Whether the memory is the system's (`hasUnifiedMemory`).
    pub unified: bool,
    /// Bytes of the largest buffer (`maxBufferLength`).
    pub max_buffer: u64,
}

/// The machine's chip.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Chip {
    /// As the system calls it, such as `Apple M3 Max`.
    pub name: Option<String>,
    /// Cores of its GPU, where the system tells.
    pub gpu_cores: Option<u32>,
}

/// How much the machine holds back because it is hot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Thermal {
    /// Not at all.
    Nominal,
    /// A little.
    Fair,
    /// Performance is reduced.
    Serious,
    /// Performance is reduced as far as it goes.
    Critical,
}

impl Thermal {
    /// By the number that `NSProcessInfoThermalState` has for it.
    #[cfg(any(test, target_os = "macos"))]
    fn numbered(number: isize) -> Option<Self> {
        [Self::Nominal, Self::Fair, Self::Serious, Self::Critical].get(usize::try_from(number).ok()?).copied()
    }
}

/// One reading of the device's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClockSample {
    /// The device's clock in its own ticks, as timestamps have them.
    pub(super) ticks: u64,
    /// How long reading took: the device's clock was read at some moment of it.
    pub(super) took: Duration,
}

/// The time that a command buffer took, and how it ended.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandBufferTime {
    /// When the device began with it, in seconds of the host's clock.
    pub begun: f64,
    /// When it was done, in the same seconds.
    pub ended: f64,
    /// What went wrong, in the driver's words.
    pub error: Option<String>,
}

impl CommandBufferTime {
    /// Seconds on the device; `None` where the driver did not tell, which it says by zeros.
    pub fn seconds(&self) -> Option<f64> {
        (self.begun > 0.0 && self.ended > self.begun).then_some(self.ended - self.begun)
    }
}

/// Command buffers since the log was last read. Drivers write from threads of their own.
#[derive(Clone, Debug, Default)]
pub(super) struct CommandBufferLog(Arc<Mutex<Vec<CommandBufferTime>>>);

/// So many are kept; a log that nobody reads stays small.
#[cfg(any(test, target_os = "macos"))]
const LOGGED: usize = 4096;

impl CommandBufferLog {
    #[cfg(any(test, target_os = "macos"))]
    pub(super) fn record(&self, time: CommandBufferTime) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Of a full log the first entries are what a reader would have begun with: later ones are left out.
        if log.len() < LOGGED {
            log.push(time);
        }
    }

    pub(super) fn take(&self) -> Vec<CommandBufferTime> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What went wrong with the first that failed, of those that were not read yet.
    pub(super) fn failure(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().find_map(|time| time.error.clone())
    }
}
