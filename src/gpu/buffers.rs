//! Device memory: buffers that outlive plans, the arena that plans share, and the budget they must fit.

use super::platform::{Resident, WeightMemory};
use crate::graph::{
    BufferId, BufferRole, ExecuteError, MappedPages, MemoryPart, MemoryReport, MemoryUse, Operand, Plan, Slice, Target,
    allocation,
};
use std::num::NonZeroU64;

pub(super) struct Buffers {
    device: wgpu::Device,
    device_name: String,
    entries: Vec<Option<Entry>>,
    arena: Option<wgpu::Buffer>,
    generation: u64,
    allocated: u64,
    budget: Option<u64>,
    limit: u64,
    weights: WeightMemory,
}

struct Entry {
    buffer: wgpu::Buffer,
    label: String,
    role: BufferRole,
    /// Keeps weights where the device reaches them fast.
    _resident: Option<Resident>,
}

const USAGE: wgpu::BufferUsages =
    wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_DST).union(wgpu::BufferUsages::COPY_SRC);

fn descriptor(label: &str, bytes: u64) -> wgpu::BufferDescriptor<'_> {
    wgpu::BufferDescriptor { label: Some(label), size: bytes, usage: USAGE, mapped_at_creation: false }
}

impl Buffers {
    pub(super) fn new(
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        target: &Target,
        device_name: String,
        budget: Option<u64>,
    ) -> Self {
        let limit = device.limits().max_buffer_size.max(target.max_binding_bytes);
        Self {
            device: device.clone(),
            device_name,
            entries: Vec::new(),
            arena: None,
            generation: 0,
            allocated: 0,
            budget,
            limit,
            weights: WeightMemory::new(device, queue),
        }
    }

    /// Takes `bytes` from the budget.
    fn take(&mut self, label: &str, bytes: u64) -> Result<(), ExecuteError> {
        if bytes > self.limit {
            return Err(ExecuteError::TooLarge {
                what: label.to_owned(),
                needed: bytes,
                limit: self.limit,
                device: self.device_name.clone(),
            });
        }
        // wgpu reports no exhaustion on Metal and on software drivers, so the sum is kept here.
        if let Some(budget) = self.budget
            && self.allocated + bytes > budget
        {
            let (what, used) = (label.to_owned(), self.allocated);
            return Err(ExecuteError::OutOfMemory { what, needed: bytes, used, budget });
        }
        self.allocated += bytes;
        Ok(())
    }

    fn create(&mut self, label: &str, bytes: u64) -> Result<wgpu::Buffer, ExecuteError> {
        self.take(label, bytes)?;
        Ok(self.device.create_buffer(&descriptor(label, bytes)))
    }

    pub(super) fn allocate(&mut self, label: &str, role: BufferRole, bytes: u64) -> Result<BufferId, ExecuteError> {
        let bytes = allocation(bytes);
        self.take(label, bytes)?;
        let descriptor = descriptor(label, bytes);
        let kept = match role {
            BufferRole::Weights => self.weights.allocate(&self.device, &descriptor),
            BufferRole::Cache | BufferRole::Step => None,
        };
        let (buffer, resident) = match kept {
            Some((buffer, resident)) => (buffer, Some(resident)),
            None => (self.device.create_buffer(&descriptor), None),
        };
        Ok(self.hold(Entry { buffer, label: label.to_owned(), role, _resident: resident }))
    }

    /// Bytes of a page where mapped files can be adopted.
    pub(super) fn map_page(&self) -> Option<u64> {
        self.weights.page()
    }

    /// See [`Executor::adopt`](crate::graph::Executor::adopt).
    pub(super) fn adopt(&mut self, label: &str, pages: &MappedPages) -> Result<Option<BufferId>, ExecuteError> {
        // A few pages more than the largest buffer are no error: written, the weights fit.
        if pages.bytes() > self.limit {
            return Ok(None);
        }
        let Some((buffer, resident)) = self.weights.adopt(&self.device, label, pages) else { return Ok(None) };
        self.take(label, pages.bytes())?;
        let role = BufferRole::Weights;
        Ok(Some(self.hold(Entry { buffer, label: label.to_owned(), role, _resident: Some(resident) })))
    }

    /// Has weights brought in and kept in, where the system can be told.
    pub(super) fn keep_weights(&self) {
        self.weights.keep();
    }

    fn hold(&mut self, entry: Entry) -> BufferId {
        match self.entries.iter().position(Option::is_none) {
            Some(index) => {
                self.entries[index] = Some(entry);
                BufferId(index as u32)
            }
            None => {
                self.entries.push(Some(entry));
                BufferId(self.entries.len() as u32 - 1)
            }
        }
    }

    fn entry(&self, id: BufferId) -> &Entry {
        match &self.entries[id.0 as usize] {
            Some(entry) => entry,
            None => panic!("{id:?} was freed"),
        }
    }

    pub(super) fn get(&self, id: BufferId) -> &wgpu::Buffer {
        &self.entry(id).buffer
    }

    pub(super) fn grow(&mut self, queue: &wgpu::Queue, id: BufferId, bytes: u64) -> Result<(), ExecuteError> {
        let entry = self.entry(id);
        let (label, role, old) = (entry.label.clone(), entry.role, entry.buffer.clone());
        if old.size() >= bytes {
            return Ok(());
        }
        let buffer = self.create(&label, allocation(bytes))?;
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(&old, 0, &buffer, 0, old.size());
        queue.submit([encoder.finish()]);
        self.allocated -= old.size();
        self.entries[id.0 as usize] = Some(Entry { buffer, label, role, _resident: None });
        self.generation += 1;
        Ok(())
    }

    pub(super) fn free(&mut self, id: BufferId) {
        if let Some(entry) = self.entries[id.0 as usize].take() {
            self.allocated -= entry.buffer.size();
            self.generation += 1;
        }
    }

    /// Whether a plan that needs `bytes` has its arena. Plans run one after the other, so one serves all; it grows to the largest.
    pub(super) fn has_arena(&self, bytes: u64) -> bool {
        self.arena.as_ref().is_some_and(|arena| arena.size() >= bytes)
    }

    /// Gives the arena up; its memory is free once no bind group names it and no work in flight uses it.
    pub(super) fn release_arena(&mut self) {
        if let Some(arena) = self.arena.take() {
            self.allocated -= arena.size();
            self.generation += 1;
        }
    }

    /// A new arena, where there is none.
    pub(super) fn create_arena(&mut self, bytes: u64) -> Result<(), ExecuteError> {
        self.arena = Some(self.create("arena", bytes)?);
        self.generation += 1;
        Ok(())
    }

    pub(super) fn arena(&self) -> &wgpu::Buffer {
        self.arena.as_ref().unwrap_or_else(|| panic!("no plan was prepared"))
    }

    /// Where an operand starts.
    pub(super) fn place(&self, plan: &Plan, operand: &Operand) -> (&wgpu::Buffer, u64) {
        match operand {
            Operand::Tensor(tensor) => (self.arena(), plan.info(tensor.id).offset),
            Operand::Slice(Slice { buffer, offset, .. }) => (self.get(*buffer), *offset),
        }
    }

    pub(super) fn binding(&self, plan: &Plan, operand: &Operand) -> wgpu::BufferBinding<'_> {
        let (buffer, offset) = self.place(plan, operand);
        wgpu::BufferBinding { buffer, offset, size: NonZeroU64::new(operand.bytes()) }
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn memory(&self) -> MemoryReport {
        MemoryReport { allocated: self.allocated, device: None, budget: self.budget, working_set: None }
    }

    /// What the memory is for.
    pub(super) fn parts(&self) -> Vec<MemoryPart> {
        let entries = self.entries.iter().flatten().map(|entry| MemoryPart {
            use_of: entry.role.into(),
            label: entry.label.clone(),
            bytes: entry.buffer.size(),
        });
        let arena = self.arena.iter().map(|arena| MemoryPart {
            use_of: MemoryUse::Arena,
            label: "arena".to_owned(),
            bytes: arena.size(),
        });
        entries.chain(arena).collect()
    }
}
