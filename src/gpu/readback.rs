//! Copies results to the CPU without stopping the device.

use super::marks::{self, Marks};
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
    marks: Option<Marks>,
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

    /// Bytes of all staging buffers.
    pub(super) fn bytes(&self) -> u64 {
        let flying = self.flights.values().filter_map(|flight| flight.staging.as_ref());
        self.free.iter().chain(flying).map(wgpu::Buffer::size).sum()
    }

    /// Tells when a submission is done and `staging` holds `bytes`, and the ring of marks behind them where `marks` are expected.
    pub(super) fn launch(
        &mut self,
        submission: wgpu::SubmissionIndex,
        staging: Option<wgpu::Buffer>,
        bytes: u64,
        marks: Option<Marks>,
    ) -> Ticket {
        let whole = bytes + marks.map_or(0, |_| marks::BYTES);
        let mapped = Arc::new(OnceLock::new());
        match &staging {
            Some(staging) => {
                let done = mapped.clone();
                staging.slice(..whole).map_async(wgpu::MapMode::Read, move |result| {
                    let _ = done.set(result);
                });
            }
            None => {
                let _ = mapped.set(Ok(()));
            }
        }
        let ticket = self.next;
        self.next += 1;
        self.flights.insert(ticket, Flight { submission, staging, bytes, marks, mapped });
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
        let whole = flight.bytes + flight.marks.map_or(0, |_| marks::BYTES);
        let (bytes, ran) = {
            let view = staging
                .slice(..whole)
                .get_mapped_range()
                .map_err(|error| ExecuteError::Device(format!("readback: {error}")))?;
            let (bytes, ring) = view.split_at(flight.bytes as usize);
            (bytes.to_vec(), flight.marks.map_or(Ok(()), |marks| marks.check(ring)))
        };
        staging.unmap();
        self.free.push(staging);
        ran.map(|()| bytes)
    }
}
