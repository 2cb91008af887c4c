//! The device's zones in Tracy.

use super::super::DeviceRun;
use super::super::device_lane::{DeviceLane, Edge};
use super::client::cut;
use std::time::{Duration, Instant};
use tracy_client::{Client, GpuContext, GpuContextType};

/// Clocks are compared this often: Tracy reads the processor's counter, whose frequency it has measured only roughly.
const APART: Duration = Duration::from_secs(1);

/// The device's lane. Its clock is the host's, which the zones already go by: nanoseconds since the client has started.
pub(super) struct Device {
    /// `None` where the process has made all contexts that Tracy can tell apart.
    context: Option<GpuContext>,
    lane: DeviceLane,
    origin: Instant,
    compared: Option<Instant>,
    /// Identifies a time between its announcement and its value, which follow each other at once here: so it may come round.
    query: u16,
}

impl Device {
    pub(super) fn new(client: Client) -> Self {
        let origin = Instant::now();
        // The binding knows no type for wgpu or Metal. What profilers show is the name.
        let context = client.new_gpu_context(Some("GPU"), GpuContextType::Vulkan, 0, 1.0).ok();
        Self { context, lane: DeviceLane::new(origin), origin, compared: None, query: 0 }
    }

    /// Tells a run's zones in one go, to the profiler that is connected when it begins.
    pub(super) fn tell(&mut self, run: &DeviceRun<'_>) {
        let Some(context) = &self.context else { return };
        let now = Instant::now();
        if self.compared.is_none_or(|compared| now - compared >= APART) {
            let since = now.saturating_duration_since(self.origin).as_nanos();
            context.sync_gpu_time(i64::try_from(since).unwrap_or(i64::MAX));
            self.compared = Some(now);
        }
        let query = &mut self.query;
        self.lane.edges(run, |edge, time| {
            match edge {
                Edge::Begin(name) => context.begin_span_alloc(cut(name), "", file!(), line!(), *query),
                Edge::End(_) => context.end_span(*query),
            }
            context.upload_gpu_timestamp(*query, i64::try_from(time).unwrap_or(i64::MAX));
            *query = query.wrapping_add(1);
        });
    }
}
