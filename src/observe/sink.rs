//! Who is told.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// A reader of what the engine tells: a tracer, a file, a dashboard. Calls come from any thread, and must return soon.
pub trait Sink: Send + Sync {
    /// A span of the calling thread begins. Spans of a thread end in the opposite order.
    fn begin(&self, _name: &'static str) {}

    /// A span of the calling thread ends.
    fn end(&self, _name: &'static str) {}

    /// A moment.
    fn event(&self, _name: &'static str) {}

    /// The value of something that changes over time.
    fn plot(&self, _name: &'static str, _value: f64) {}

    /// A token is done.
    fn frame(&self) {}

    /// Work that the device has done.
    fn device(&self, _run: &DeviceRun<'_>) {}
}

/// Work that the device has done, by the clock of the host.
#[derive(Clone, Copy, Debug)]
pub struct DeviceRun<'a> {
    /// Zones in the order in which they began; one that holds others comes before them.
    pub zones: &'a [DeviceZone],
}

/// A stretch of the device's time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceZone {
    /// What ran: a part of the model, or an op as profiles name it.
    pub name: String,
    /// How many zones it lies in.
    pub depth: usize,
    /// When it began.
    pub begun: Instant,
    /// When it was over; not before it began, and not after the zone that holds it.
    pub ended: Instant,
}

/// An attached sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SinkId(u64);

impl SinkId {
    pub(super) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}
