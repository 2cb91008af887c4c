//! Whether submissions ran to their end.
//!
//! Metal calls a command buffer completed that a fault broke off, wgpu passes that on, and what the program reads then is what was
//! in memory before. So the last command of every submission copies its own number into a ring, and every readback brings the ring
//! along: a number that is missing is a submission that broke off. Both copies run on the device; none waits.

use crate::graph::ExecuteError;

/// Submissions whose numbers the ring holds: more than run between two readbacks.
const RING: usize = 64;
/// Numbers before they repeat.
const NUMBERS: u64 = 1 << 14;

/// Bytes that a readback brings along.
pub(super) const BYTES: u64 = RING as u64 * 4;

/// What the ring must hold when a submission is done; 0 where nothing was submitted yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks([u32; RING]);

pub(super) struct Marking {
    numbers: wgpu::Buffer,
    ring: wgpu::Buffer,
    expected: Marks,
    next: u64,
}

impl Marking {
    pub(super) fn new(device: &wgpu::Device, queue: &wgpu::Queue) -> Self {
        let buffer = |size| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("marks"),
                size,
                usage: wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        };
        let numbers = buffer(NUMBERS * 4);
        // Never 0, which is what the ring begins with.
        let values: Vec<u32> = (1..=NUMBERS as u32).collect();
        queue.write_buffer(&numbers, 0, bytemuck::cast_slice(&values));
        Self { numbers, ring: buffer(BYTES), expected: Marks([0; RING]), next: 0 }
    }

    /// Bytes of both buffers.
    pub(super) fn bytes(&self) -> u64 {
        self.numbers.size() + self.ring.size()
    }

    /// Ends a submission with its number.
    pub(super) fn mark(&mut self, encoder: &mut wgpu::CommandEncoder) {
        let (number, slot) = self.expect();
        encoder.copy_buffer_to_buffer(&self.numbers, number * 4, &self.ring, slot * 4, 4);
    }

    fn expect(&mut self) -> (u64, u64) {
        let (number, slot) = (self.next % NUMBERS, self.next % RING as u64);
        self.expected.0[slot as usize] = number as u32 + 1;
        self.next += 1;
        (number, slot)
    }

    /// Copies the ring behind what is read, and gives what it must hold.
    pub(super) fn read(&self, encoder: &mut wgpu::CommandEncoder, staging: &wgpu::Buffer, at: u64) -> Marks {
        encoder.copy_buffer_to_buffer(&self.ring, 0, staging, at, BYTES);
        self.expected
    }

    /// As if a fault had broken a submission off: its number never gets into the ring.
    #[cfg(test)]
    pub(super) fn lose_one(&mut self) {
        self.expect();
    }
}

impl Marks {
    /// Fails where a number is missing from what was read.
    pub(super) fn check(&self, ring: &[u8]) -> Result<(), ExecuteError> {
        let found = ring.chunks_exact(4).map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
        let missing = self.0.iter().zip(found).filter(|(expected, found)| *expected != found).count();
        match missing {
            0 => Ok(()),
            _ => Err(ExecuteError::Device(format!(
                "{missing} of the last submissions broke off, so results are undefined: expected the number of each behind its \
                 results, found older ones"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Gpu, GpuOptions};
    use super::*;
    use crate::graph::{BufferRole, Executor, Operand, Recorder, Slice};
    use std::sync::Arc;

    /// Submits plans without ops and reads a buffer behind some of them.
    #[test]
    fn a_submission_that_broke_off_is_an_error_at_the_next_readback() {
        let mut gpu = Gpu::open(&GpuOptions::default()).unwrap();
        let buffer = gpu.allocate("x", BufferRole::Step, 256).unwrap();
        gpu.write(buffer, 0, &[3; 256]);
        let mut recorder = Recorder::new(gpu.target());
        let kept = recorder.tensor(1, 64);
        recorder.keep(kept);
        let plan = gpu.prepare(Arc::new(recorder.finish())).unwrap();
        let reads = [Operand::Slice(Slice { buffer, offset: 0, bytes: 256 })];
        let run = |gpu: &mut Gpu, reads: &[Operand]| {
            let ticket = gpu.submit(plan, reads).unwrap();
            gpu.wait(ticket)
        };
        // More than the ring holds, with and without a readback.
        for index in 0..3 * RING {
            let reads = &reads[..usize::from(index % 5 != 0)];
            assert_eq!(run(&mut gpu, reads).unwrap(), vec![3; 256 * reads.len()], "submission {index}");
        }
        gpu.marking.lose_one();
        assert!(run(&mut gpu, &[]).unwrap().is_empty());
        let error = run(&mut gpu, &reads).unwrap_err().to_string();
        assert!(error.contains("1 of the last submissions broke off"), "{error}");
        // It stays so until the ring has come round: what ran since may rest on what did not.
        assert!(run(&mut gpu, &reads).is_err());
    }

    #[test]
    fn numbers_go_round_without_a_slot_keeping_an_old_one() {
        let mut gpu = Gpu::open(&GpuOptions::default()).unwrap();
        gpu.marking.next = NUMBERS - 1;
        let numbers: Vec<(u64, u64)> = (0..3).map(|_| gpu.marking.expect()).collect();
        assert_eq!(numbers, [(NUMBERS - 1, 63), (0, 0), (1, 1)]);
        assert_eq!(gpu.marking.expected.0[63], NUMBERS as u32);
        assert!(NUMBERS > RING as u64 && NUMBERS.is_multiple_of(RING as u64));
    }
}
