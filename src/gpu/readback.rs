//! Copies results to the CPU without stopping the device.

use crate::graph::{ExecuteError, Ticket};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// Staging buffers and the submissions that fill them.
#[derive(Default)]
pub(super) struct Readback {
    free: Vec<wgpu::Buffer>,
    flights: HashMap<u64, Flight>,
    next: u64,
}

struct Flight {
    submission: wgpu::SubmissionIndex,
    staging: Option<wgpu::Buffer>,
    bytes: u64,
    mapped: Arc<OnceLock<Result<(), wgpu::BufferAsyncError>>>,
}

impl Readback {
    /// A staging buffer of at least `bytes`.
    pub(super) fn take(&mut self, device: &wgpu::Device, bytes: u64) -> wgpu::Buffer {
        if let Some(index) = self.free.iter().position(|buffer| buffer.size() >= bytes) {
            return self.free.swap_remove(index);
        }
        device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("readback"),
            size: bytes.next_power_of_two().max(256),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    }

    pub(super) fn launch(
        &mut self,
        submission: wgpu::SubmissionIndex,
        staging: Option<wgpu::Buffer>,
        bytes: u64,
    ) -> Ticket {
        let mapped = Arc::new(OnceLock::new());
        match &staging {
            Some(staging) => {
                let done = mapped.clone();
                staging.slice(..bytes).map_async(wgpu::MapMode::Read, move |result| {
                    let _ = done.set(result);
                });
            }
            None => {
                let _ = mapped.set(Ok(()));
            }
        }
        let ticket = self.next;
        self.next += 1;
        self.flights.insert(ticket, Flight { submission, staging, bytes, mapped });
        Ticket(ticket)
    }

    fn flight(&self, ticket: Ticket) -> &Flight {
        self.flights.get(&ticket.0).unwrap_or_else(|| panic!("{ticket:?} was waited for already"))
    }

    pub(super) fn ready(&self, ticket: Ticket) -> bool {
        self.flight(ticket).mapped.get().is_some()
    }

    pub(super) fn submission(&self, ticket: Ticket) -> Option<wgpu::SubmissionIndex> {
        Some(self.flight(ticket).submission.clone())
    }

    /// What a finished submission read.
    pub(super) fn collect(&mut self, ticket: Ticket) -> Result<Vec<u8>, ExecuteError> {
        let flight = self.flights.remove(&ticket.0).unwrap_or_else(|| panic!("{ticket:?} was waited for already"));
        match flight.mapped.get() {
            Some(Ok(())) => {}
            Some(Err(error)) => return Err(ExecuteError::Device(format!("readback: {error}"))),
            None => {
                return Err(ExecuteError::Device("readback: the device was waited for and did not answer".to_owned()));
            }
        }
        let Some(staging) = flight.staging else { return Ok(Vec::new()) };
        let bytes = {
            let view = staging
                .slice(..flight.bytes)
                .get_mapped_range()
                .map_err(|error| ExecuteError::Device(format!("readback: {error}")))?;
            view.to_vec()
        };
        staging.unmap();
        self.free.push(staging);
        Ok(bytes)
    }
}
