//! An executor that holds nothing and adds up what another would hold.

use super::{
    BufferId, BufferRole, DeviceReport, ExecuteError, Executor, MappedPages, MemoryReport, Operand, Plan, PreparedId,
    Slice, Target, Tensor, Ticket, Trace,
};
use serde::Serialize;
use std::sync::Arc;

/// Executors round what they allocate up to so many bytes.
const ALLOCATION: u64 = 256;

/// What an executor allocates where `bytes` are asked for.
pub(crate) const fn allocation(bytes: u64) -> u64 {
    bytes.next_multiple_of(ALLOCATION)
}

/// What a model takes of a device's memory, by what it is for; all in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Needs {
    /// Weights.
    pub weights: u64,
    /// Keys and values of a whole context.
    pub cache: u64,
    /// A layer's old keys, beside the new ones that they are copied to when the cache grows.
    pub growth: u64,
    /// Activations of the largest plan.
    pub arena: u64,
    /// Rows, page tables, sampling settings and counts of tokens.
    pub step: u64,
}

impl Needs {
    /// The sum.
    pub const fn total(&self) -> u64 {
        self.weights + self.cache + self.growth + self.arena + self.step
    }
}

/// An executor that allocates nothing and runs nothing. What a loader, a cache and plans ask of it is what they would ask of the
/// device whose target it has; so its sums are those that the device will see.
#[derive(Debug)]
pub struct Rehearsal {
    target: Target,
    device: DeviceReport,
    map_page: Option<u64>,
    buffers: Vec<Option<(BufferRole, u64)>>,
    arena: u64,
    allocated: u64,
    peak: u64,
    trace: Trace,
}

impl Rehearsal {
    /// For what is to run on `executor`; what that holds already does not count.
    pub fn of(executor: &dyn Executor) -> Self {
        Self {
            target: executor.target().clone(),
            device: executor.device(),
            map_page: executor.map_page(),
            buffers: Vec::new(),
            arena: 0,
            allocated: 0,
            peak: 0,
            trace: Trace::default(),
        }
    }

    /// What would be allocated now.
    pub fn needs(&self) -> Needs {
        let of = |wanted| {
            let sizes = self.buffers.iter().flatten().filter(|(role, _)| *role == wanted);
            sizes.map(|(_, bytes)| bytes).sum()
        };
        Needs {
            weights: of(BufferRole::Weights),
            cache: of(BufferRole::Cache),
            growth: self.peak - self.allocated,
            arena: self.arena,
            step: of(BufferRole::Step),
        }
    }

    fn add(&mut self, bytes: u64) {
        self.allocated += bytes;
        self.peak = self.peak.max(self.allocated);
    }

    fn entry(&mut self, buffer: BufferId) -> &mut Option<(BufferRole, u64)> {
        &mut self.buffers[buffer.0 as usize]
    }
}

impl Executor for Rehearsal {
    fn target(&self) -> &Target {
        &self.target
    }

    fn device(&self) -> DeviceReport {
        self.device.clone()
    }

    fn allocate(&mut self, _label: &str, role: BufferRole, bytes: u64) -> Result<BufferId, ExecuteError> {
        let bytes = allocation(bytes);
        self.add(bytes);
        self.buffers.push(Some((role, bytes)));
        Ok(BufferId(self.buffers.len() as u32 - 1))
    }

    fn map_page(&self) -> Option<u64> {
        self.map_page
    }

    /// Whole pages: no less than what the device takes where it should not adopt them after all.
    fn adopt(&mut self, _label: &str, pages: &MappedPages) -> Result<Option<BufferId>, ExecuteError> {
        self.add(pages.bytes());
        self.buffers.push(Some((BufferRole::Weights, pages.bytes())));
        Ok(Some(BufferId(self.buffers.len() as u32 - 1)))
    }

    fn grow(&mut self, buffer: BufferId, bytes: u64) -> Result<(), ExecuteError> {
        let Some((role, old)) = *self.entry(buffer) else { panic!("{buffer:?} was freed") };
        let bytes = allocation(bytes);
        if old >= bytes {
            return Ok(());
        }
        self.add(bytes);
        self.allocated -= old;
        *self.entry(buffer) = Some((role, bytes));
        Ok(())
    }

    fn free(&mut self, buffer: BufferId) {
        if let Some((_, bytes)) = self.entry(buffer).take() {
            self.allocated -= bytes;
        }
    }

    fn write(&mut self, _buffer: BufferId, _offset: u64, _bytes: &[u8]) {}

    fn flush(&mut self) -> Result<(), ExecuteError> {
        Ok(())
    }

    fn prepare(&mut self, plan: Arc<Plan>) -> Result<PreparedId, ExecuteError> {
        // The old arena goes before the new one comes.
        let more = plan.arena_bytes.saturating_sub(self.arena);
        self.arena += more;
        self.add(more);
        Ok(PreparedId(0))
    }

    fn discard(&mut self, _plan: PreparedId) {}

    fn write_tensor(&mut self, _plan: PreparedId, _tensor: Tensor, _bytes: &[u8]) {}

    fn submit(&mut self, plan: PreparedId, _reads: &[Operand]) -> Result<Ticket, ExecuteError> {
        panic!("{plan:?} was to run in a rehearsal")
    }

    fn collect(&mut self, ticket: Ticket, _into: &mut Vec<u8>) -> Result<(), ExecuteError> {
        panic!("{ticket:?} was waited for in a rehearsal")
    }

    fn read(&mut self, slice: Slice) -> Result<Vec<u8>, ExecuteError> {
        panic!("{slice:?} was read in a rehearsal")
    }

    fn trace(&self) -> &Trace {
        &self.trace
    }

    fn memory(&self) -> MemoryReport {
        MemoryReport { allocated: self.allocated, device: None, budget: None, working_set: None }
    }
}
