//! What an executor did, told in the one place that does it.

use std::collections::VecDeque;
use std::time::Instant;

/// Events that are kept; older ones live on in the totals only.
const KEPT: usize = 4096;

/// One thing an executor did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceEvent {
    /// Work was handed to the device.
    Submit {
        /// Dispatch calls in it.
        dispatches: u64,
        /// Compute passes in it.
        passes: u64,
    },
    /// The CPU blocked on the device.
    Sync,
    /// Bytes came back.
    Readback {
        /// How many.
        bytes: u64,
    },
}

/// Sums over events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Dispatch calls.
    pub dispatches: u64,
    /// Compute passes.
    pub passes: u64,
    /// Queue submissions.
    pub submits: u64,
    /// Times the CPU blocked on the device.
    pub syncs: u64,
    /// Bytes mapped for the CPU.
    pub readback_bytes: u64,
}

impl std::ops::Sub for Counters {
    type Output = Self;
    fn sub(self, earlier: Self) -> Self {
        Self {
            dispatches: self.dispatches - earlier.dispatches,
            passes: self.passes - earlier.passes,
            submits: self.submits - earlier.submits,
            syncs: self.syncs - earlier.syncs,
            readback_bytes: self.readback_bytes - earlier.readback_bytes,
        }
    }
}

/// The latest events with their times, and sums over all of them.
#[derive(Debug)]
pub struct Trace {
    totals: Counters,
    recent: VecDeque<(Instant, TraceEvent)>,
}

impl Default for Trace {
    fn default() -> Self {
        Self { totals: Counters::default(), recent: VecDeque::with_capacity(KEPT) }
    }
}

impl Trace {
    /// Adds an event that happened now.
    pub fn record(&mut self, event: TraceEvent) {
        let totals = &mut self.totals;
        match event {
            TraceEvent::Submit { dispatches, passes } => {
                totals.dispatches += dispatches;
                totals.passes += passes;
                totals.submits += 1;
            }
            TraceEvent::Sync => totals.syncs += 1,
            TraceEvent::Readback { bytes } => totals.readback_bytes += bytes,
        }
        if self.recent.len() == KEPT {
            self.recent.pop_front();
        }
        self.recent.push_back((Instant::now(), event));
    }

    /// Sums over all events.
    pub fn totals(&self) -> Counters {
        self.totals
    }

    /// The latest events, oldest first.
    pub fn recent(&self) -> impl ExactSizeIterator<Item = &(Instant, TraceEvent)> {
        self.recent.iter()
    }
}
