//! How long ops take on the device: a plan with a pass per op and a timestamp at both ends of each.
//!
//! Apple's GPUs take timestamps at the ends of passes only, so that each op needs a pass of its own. Such a run shows what ops cost
//! beside each other, and is slower than one that shares a pass.

use super::platform::{self, ClockSample, CommandBufferTime};
use super::{Dispatch, Gpu};
use crate::graph::{
    Calibration, DeviceSpan, ExecuteError, Executor as _, Method, Operand, PreparedId, Ticket, Timing, TraceEvent,
};
use std::time::{Duration, Instant};

/// A clock that was compared longer ago is compared anew: clocks drift apart.
pub(super) const FRESH: Duration = Duration::from_secs(10);

/// wgpu's limit for the queries of a set; two per op.
const QUERIES: usize = wgpu::QUERY_SET_MAX_QUERIES as usize;

impl Gpu {
    /// Runs a prepared plan once, with a pass per op, and gives the seconds of each op on the device, in the plan's order. `None` where
    /// the driver gave no time: 0, or an end before its beginning.
    ///
    /// # Errors
    /// The device takes no timestamps ([`Gpu::time_by_command_buffers`] may do), or failed.
    pub fn time(&mut self, plan: PreparedId) -> Result<Vec<Option<f64>>, ExecuteError> {
        Ok(self.spans(plan)?.iter().map(|span| span.map(|span| span.seconds())).collect())
    }

    /// As [`Gpu::time`], with the moments that each op began and ended at, for a timeline.
    ///
    /// # Errors
    /// Those of [`Gpu::time`].
    pub fn spans(&mut self, plan: PreparedId) -> Result<Vec<Option<DeviceSpan>>, ExecuteError> {
        self.expect_timestamps()?;
        let (ticket, spans) = self.stamped(plan, &[])?;
        self.wait(ticket)?;
        Ok(spans)
    }

    /// See [`Executor::submit_timed`].
    pub(super) fn run_timed(&mut self, plan: PreparedId, reads: &[Operand]) -> Result<(Ticket, Timing), ExecuteError> {
        if self.timestamps {
            let (ticket, spans) = self.stamped(plan, reads)?;
            let timing = Timing { method: Method::Timestamps, spans, clock: self.clock(FRESH) };
            return Ok((ticket, timing));
        }
        self.refresh(plan)?;
        let by_driver = self.watch();
        let start = Instant::now();
        let mut spans = Vec::new();
        for index in 0..self.prepared[&plan].dispatches.len() {
            let begun = start.elapsed().as_secs_f64();
            let told = self.submit_alone(plan, index)?;
            let ended = start.elapsed().as_secs_f64();
            let span = if by_driver { extent(&told) } else { Some(DeviceSpan { begun, ended }) };
            spans.push(span);
        }
        let (method, clock) = match by_driver {
            true => (Method::CommandBuffers, None),
            false => (Method::Submissions, Some(Calibration { host: start, device: 0.0, uncertainty: Duration::ZERO })),
        };
        let encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let ticket = self.hand_over(encoder, plan, reads, 0, 0);
        Ok((ticket, Timing { method, spans, clock }))
    }

    /// Runs one op of a plan in a submission of its own and waits for it: what the driver tells of the time, where it is watched.
    fn submit_alone(&mut self, plan: PreparedId, index: usize) -> Result<Vec<CommandBufferTime>, ExecuteError> {
        self.log.take();
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        self.prepared[&plan].dispatches[index].encode(&mut encoder, None);
        let submission = self.queue.submit([encoder.finish()]);
        self.trace.record(TraceEvent::Submit { dispatches: 1, passes: 1 });
        self.wait_for(Some(submission))?;
        Ok(self.log.take())
    }

    /// Runs a plan with a pass and two timestamps per op, and waits until it is done.
    fn stamped(
        &mut self,
        plan: PreparedId,
        reads: &[Operand],
    ) -> Result<(Ticket, Vec<Option<DeviceSpan>>), ExecuteError> {
        self.refresh(plan)?;
        let count = self.prepared[&plan].dispatches.len();
        let mut sets = Vec::new();
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for part in self.prepared[&plan].dispatches.chunks(QUERIES / 2) {
            let set = query_set(&self.device, 2 * part.len() as u32);
            for (query, dispatch) in (0..).step_by(2).zip(part) {
                dispatch.encode(&mut encoder, Some(writes(&set, query)));
            }
            sets.push((set, 2 * part.len() as u64));
        }
        let ticket = self.hand_over(encoder, plan, reads, count as u64, count as u64);
        // Metal of macOS 26 resolves to zeros what is not complete when the resolving is committed (wgpu#9414): first wait.
        let submission = self.readback.submission(ticket);
        self.wait_for(submission)?;
        let mut ticks = Vec::with_capacity(2 * count);
        for (set, count) in &sets {
            ticks.extend(self.resolve(set, *count)?);
        }
        Ok((ticket, spans(&ticks, self.period())))
    }

    /// The device's clock by the host's, compared at most `fresh` ago.
    pub(super) fn clock(&mut self, fresh: Duration) -> Option<Calibration> {
        if self.clock.is_none_or(|clock| clock.host.elapsed() > fresh) {
            self.clock = self.calibrate().ok().flatten();
        }
        self.clock
    }

    /// Runs a prepared plan once, with a submission per op, and gives the seconds of each by the driver's times of command buffers.
    /// Coarser than timestamps, and there where these fail. [`Gpu::watch`] must have been asked for.
    ///
    /// # Errors
    /// The driver gives no such times, or the device failed.
    pub fn time_by_command_buffers(&mut self, plan: PreparedId) -> Result<Vec<Option<f64>>, ExecuteError> {
        if !self.watched {
            let (what, device) = ("timing ops by command buffers".to_owned(), self.info.name.clone());
            return Err(ExecuteError::MissingFeature { feature: "watched command buffers", what, device });
        }
        self.refresh(plan)?;
        let mut seconds = Vec::new();
        for index in 0..self.prepared[&plan].dispatches.len() {
            let told = self.submit_alone(plan, index)?;
            seconds.push(extent(&told).map(|span| span.seconds()));
        }
        Ok(seconds)
    }

    /// A moment by the clocks of host and device; the closest of a few tries. `None` where the device's clock cannot be read.
    ///
    /// # Errors
    /// The device failed.
    pub fn calibrate(&mut self) -> Result<Option<Calibration>, ExecuteError> {
        const TRIES: usize = 8;
        let mut best: Option<Calibration> = None;
        for _ in 0..TRIES {
            let begun = Instant::now();
            let sample = match platform::sample_clock(&self.device) {
                Some(sample) => sample,
                None if self.expect_timestamps().is_ok() => match self.stamp()? {
                    Some(sample) => sample,
                    None => continue,
                },
                None => return Ok(None),
            };
            // Read at some moment of the call: in its middle, as far as anybody knows.
            let uncertainty = sample.took / 2;
            if best.is_none_or(|best| uncertainty < best.uncertainty) {
                let device = sample.ticks as f64 * self.period();
                best = Some(Calibration { host: begun + uncertainty, device, uncertainty });
            }
        }
        Ok(best)
    }

    fn expect_timestamps(&self) -> Result<(), ExecuteError> {
        match self.timestamps {
            true => Ok(()),
            false => {
                let (what, device) = ("timing ops".to_owned(), self.info.name.clone());
                Err(ExecuteError::MissingFeature { feature: "timestamps", what, device })
            }
        }
    }

    /// Seconds of a tick.
    pub(super) fn period(&self) -> f64 {
        f64::from(self.queue.get_timestamp_period()) * 1e-9
    }

    /// A timestamp of a submission that does nothing else.
    fn stamp(&mut self) -> Result<Option<ClockSample>, ExecuteError> {
        let set = query_set(&self.device, 2);
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some("clock"),
            timestamp_writes: Some(writes(&set, 0)),
        });
        let commands = encoder.finish();
        let begun = Instant::now();
        let submission = self.queue.submit([commands]);
        self.wait_for(Some(submission))?;
        let took = begun.elapsed();
        let ticks = self.resolve(&set, 2)?;
        Ok((ticks[0] != 0).then(|| ClockSample { ticks: ticks[0], took }))
    }

    /// Copies the first `count` ticks of a set to the host; does not wait.
    pub(super) fn launch_resolve(&mut self, set: &wgpu::QuerySet, count: u64) -> Ticket {
        let bytes = count * 8;
        let resolved = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("timestamps"),
            size: bytes,
            usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        let staging = self.readback.take(&self.device, bytes);
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.resolve_query_set(set, 0..count as u32, &resolved, 0);
        encoder.copy_buffer_to_buffer(&resolved, 0, &staging.buffer, 0, bytes);
        let submission = self.queue.submit([encoder.finish()]);
        self.trace.record(TraceEvent::Submit { dispatches: 0, passes: 0 });
        self.readback.launch(submission, Some(staging), bytes, None)
    }

    fn resolve(&mut self, set: &wgpu::QuerySet, count: u64) -> Result<Vec<u64>, ExecuteError> {
        let ticket = self.launch_resolve(set, count);
        Ok(bytemuck::pod_collect_to_vec(&self.wait(ticket)?))
    }
}

pub(super) fn query_set(device: &wgpu::Device, count: u32) -> wgpu::QuerySet {
    let (label, ty) = (Some("timestamps"), wgpu::QueryType::Timestamp);
    device.create_query_set(&wgpu::QuerySetDescriptor { label, ty, count })
}

pub(super) fn writes(query_set: &wgpu::QuerySet, first: u32) -> wgpu::ComputePassTimestampWrites<'_> {
    wgpu::ComputePassTimestampWrites {
        query_set,
        beginning_of_pass_write_index: Some(first),
        end_of_pass_write_index: Some(first + 1),
    }
}

impl Dispatch {
    /// A pass of its own.
    fn encode(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        timestamp_writes: Option<wgpu::ComputePassTimestampWrites<'_>>,
    ) {
        self.record(&mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes }));
    }

    pub(super) fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        let [x, y, z] = self.workgroups;
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bindings, &[]);
        pass.dispatch_workgroups(x, y, z);
    }
}

/// Pairs of ticks as seconds. A pair with a 0, one that does not grow, and one that begins before the last good one did are missing:
/// drivers write such things for what they did not measure.
pub(super) fn spans(ticks: &[u64], period: f64) -> Vec<Option<DeviceSpan>> {
    let mut last = 0;
    let (pairs, _) = ticks.as_chunks::<2>();
    let span = |&[begun, ended]: &[u64; 2]| {
        if begun == 0 || ended <= begun || begun < last {
            return None;
        }
        last = begun;
        Some(DeviceSpan { begun: begun as f64 * period, ended: ended as f64 * period })
    };
    pairs.iter().map(span).collect()
}

/// From the first beginning to the last end of command buffers that have times.
fn extent(times: &[CommandBufferTime]) -> Option<DeviceSpan> {
    let timed = || times.iter().filter(|time| time.seconds().is_some());
    let begun = timed().map(|time| time.begun).reduce(f64::min)?;
    let ended = timed().map(|time| time.ended).reduce(f64::max)?;
    Some(DeviceSpan { begun, ended })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_that_a_driver_did_not_write_are_missing() {
        let seconds = |ticks: &[u64]| -> Vec<Option<f64>> {
            spans(ticks, 0.5).iter().map(|span| span.map(|span| span.seconds())).collect()
        };
        assert_eq!(seconds(&[10, 14, 14, 15]), [Some(2.0), Some(0.5)]);
        assert_eq!(seconds(&[0, 0, 10, 0, 0, 10, 10, 10, 12, 11]), [None; 5]);
        // Passes may overlap, but do not begin out of order.
        assert_eq!(seconds(&[10, 20, 15, 25, 5, 30, 16, 18]), [Some(5.0), Some(5.0), None, Some(1.0)]);
        assert!(seconds(&[]).is_empty());
    }

    #[test]
    fn command_buffers_span_from_the_first_beginning_to_the_last_end() {
        let time = |begun, ended| CommandBufferTime { begun, ended, error: None };
        let found = extent(&[time(2.0, 3.0), time(0.0, 9.0), time(1.5, 2.5), time(4.0, 1.0)]);
        assert_eq!(found.map(|span| span.seconds()), Some(1.5));
        assert_eq!(extent(&[time(0.0, 0.0)]), None);
    }
}
