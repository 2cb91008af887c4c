//! When submissions ran on the device, without waiting for any: for the timeline of a run that is not profiled.
//!
//! Timestamps are resolved by a submission of their own once what they time is complete: Metal of macOS 26 gives zeros otherwise
//! (wgpu#9414).

use super::Gpu;
use super::timestamps::{self, FRESH};
use crate::graph::{PassSpan, Ticket, TraceEvent};
use std::collections::VecDeque;

#[derive(Default)]
pub(super) struct Passes {
    on: bool,
    free: Vec<wgpu::QuerySet>,
    running: VecDeque<Timed>,
    resolving: VecDeque<Timed>,
}

struct Timed {
    /// Of the submission first, then of the readback of its times.
    ticket: Ticket,
    set: wgpu::QuerySet,
    dispatches: u64,
}

impl Passes {
    pub(super) fn switch(&mut self, on: bool) {
        self.on = on;
    }

    /// Where the times of the next submission go.
    pub(super) fn times(&mut self, device: &wgpu::Device) -> Option<wgpu::QuerySet> {
        if !self.on {
            return None;
        }
        Some(self.free.pop().unwrap_or_else(|| timestamps::query_set(device, 2)))
    }

    pub(super) fn submitted(&mut self, ticket: Ticket, set: wgpu::QuerySet, dispatches: u64) {
        self.running.push_back(Timed { ticket, set, dispatches });
    }
}

impl Gpu {
    /// Has the times of a submission that is complete brought over.
    pub(super) fn resolve_pass(&mut self, done: Ticket) {
        if self.passes.running.is_empty() {
            return;
        }
        let Some(at) = self.passes.running.iter().position(|timed| timed.ticket == done) else { return };
        // Submissions end in order: those before it are complete too, whoever waited for them or not.
        for timed in self.passes.running.drain(..=at).collect::<Vec<_>>() {
            let ticket = self.launch_resolve(&timed.set, 2);
            self.passes.resolving.push_back(Timed { ticket, ..timed });
        }
    }

    /// Submissions whose times have come.
    pub(super) fn arrived_pass_spans(&mut self) -> Vec<PassSpan> {
        if self.passes.resolving.is_empty() {
            return Vec::new();
        }
        let _ = self.device.poll(wgpu::PollType::Poll);
        let mut found = Vec::new();
        while let Some(timed) = self.passes.resolving.pop_front_if(|timed| self.readback.ready(timed.ticket)) {
            let mut bytes = Vec::new();
            if self.readback.collect(timed.ticket, &mut bytes).is_err() {
                continue;
            }
            self.trace.record(TraceEvent::Readback { bytes: bytes.len() as u64 });
            let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(&bytes);
            let span = timestamps::spans(&ticks, self.period())[0];
            if let (Some(span), Some(clock)) = (span, self.clock(FRESH))
                && let (Some(begun), Some(ended)) = (clock.host_time(span.begun), clock.host_time(span.ended))
            {
                found.push(PassSpan { dispatches: timed.dispatches, begun, ended });
            }
            self.passes.free.push(timed.set);
        }
        found
    }
}
