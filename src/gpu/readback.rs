//! Copies results to the CPU without stopping the device.

use super::marks::{self, Marks};
use crate::graph::{ExecuteError, Ticket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Staging buffers and the submissions that fill them. Both are used again, so that a steady step allocates nothing here.
#[derive(Default)]
pub(super) struct Readback {
    free: Vec<Staging>,
    /// In the order of their tickets; few at a time.
    flights: Vec<Flight>,
    next: u64,
}

/// A buffer that the host reads, and how its mapping stands.
pub(super) struct Staging {
    pub(super) buffer: wgpu::Buffer,
    mapping: Arc<AtomicU8>,
}

const PENDING: u8 = 0;
const MAPPED: u8 = 1;
const FAILED: u8 = 2;

struct Flight {
    ticket: u64,
    submission: wgpu::SubmissionIndex,
    staging: Option<Staging>,
    bytes: u64,
    marks: Option<Marks>,
}

impl Flight {
    fn mapping(&self) -> u8 {
        self.staging.as_ref().map_or(MAPPED, |staging| staging.mapping.load(Ordering::Acquire))
    }
}

impl Readback {
    /// A staging buffer of at least `bytes`.
    pub(super) fn take(&mut self, device: &wgpu::Device, bytes: u64) -> Staging {
        if let Some(index) = self.free.iter().position(|staging| staging.buffer.size() >= bytes) {
            return self.free.swap_remove(index);
        }
        let buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("readback"),
            size: bytes.next_power_of_two().max(256),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        Staging { buffer, mapping: Arc::default() }
    }

    /// Bytes of all staging buffers.
    pub(super) fn bytes(&self) -> u64 {
        let flying = self.flights.iter().filter_map(|flight| flight.staging.as_ref());
        self.free.iter().chain(flying).map(|staging| staging.buffer.size()).sum()
    }

    /// Tells when a submission is done and `staging` holds `bytes`, and the ring of marks behind them where `marks` are expected.
    pub(super) fn launch(
        &mut self,
        submission: wgpu::SubmissionIndex,
        staging: Option<Staging>,
        bytes: u64,
        marks: Option<Marks>,
    ) -> Ticket {
        let whole = bytes + marks.map_or(0, |_| marks::BYTES);
        if let Some(Staging { buffer, mapping }) = &staging {
            mapping.store(PENDING, Ordering::Release);
            let done = mapping.clone();
            buffer.slice(..whole).map_async(wgpu::MapMode::Read, move |result| {
                done.store(if result.is_ok() { MAPPED } else { FAILED }, Ordering::Release);
            });
        }
        let ticket = self.next;
        self.next += 1;
        self.flights.push(Flight { ticket, submission, staging, bytes, marks });
        Ticket(ticket)
    }

    fn place(&self, ticket: Ticket) -> usize {
        let place = self.flights.iter().position(|flight| flight.ticket == ticket.0);
        place.unwrap_or_else(|| panic!("{ticket:?} was waited for already"))
    }

    pub(super) fn ready(&self, ticket: Ticket) -> bool {
        self.flights[self.place(ticket)].mapping() != PENDING
    }

    pub(super) fn submission(&self, ticket: Ticket) -> Option<wgpu::SubmissionIndex> {
        Some(self.flights[self.place(ticket)].submission.clone())
    }

    /// Puts what a finished submission read in place of what `into` holds.
    pub(super) fn collect(&mut self, ticket: Ticket, into: &mut Vec<u8>) -> Result<(), ExecuteError> {
        let flight = self.flights.remove(self.place(ticket));
        into.clear();
        match flight.mapping() {
            MAPPED => {}
            PENDING => {
                return Err(ExecuteError::Device("readback: the device was waited for and did not answer".to_owned()));
            }
            _ => return Err(ExecuteError::Device("readback: the buffer could not be mapped".to_owned())),
        }
        let Some(staging) = flight.staging else { return Ok(()) };
        let whole = flight.bytes + flight.marks.map_or(0, |_| marks::BYTES);
        let ran = {
            let view = staging
                .buffer
                .slice(..whole)
                .get_mapped_range()
                .map_err(|error| ExecuteError::Device(format!("readback: {error}")))?;
            let (bytes, ring) = view.split_at(flight.bytes as usize);
            into.extend_from_slice(bytes);
            flight.marks.map_or(Ok(()), |marks| marks.check(ring))
        };
        staging.buffer.unmap();
        self.free.push(staging);
        ran
    }
}
