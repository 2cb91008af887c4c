//! Runs plans through the CPU twins: the reference for a whole model, and `--backend cpu`.

use crate::graph::{
    Bound, BufferId, BufferRole, Calibration, Choices, DeviceReport, DeviceSpan, ExecuteError, Executor, Forced,
    MappedPages, MemoryPart, MemoryReport, MemoryUse, Method, Operand, Plan, PreparedId, Slice, Target, Tensor,
    TensorId, TensorInfo, Ticket, Timing, Trace, TraceEvent, Twin, VariantError, allocation,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Buffers in host memory and the plans over them.
pub struct Cpu {
    target: Target,
    buffers: Vec<Buffer>,
    prepared: Vec<Prepared>,
    /// Bytes that the tensors of the largest plan take while it runs.
    arena: u64,
    /// The plan that ran last.
    last: Option<usize>,
    results: HashMap<u64, Vec<u8>>,
    next: u64,
    trace: Trace,
    budget: Option<u64>,
}

struct Buffer {
    storage: Storage,
    label: String,
    role: BufferRole,
}

/// Where a buffer's words are.
enum Storage {
    /// Nowhere any more.
    Freed,
    /// In memory of its own.
    Own(Vec<u32>),
    /// In a file.
    Mapped(MappedPages),
}

impl Storage {
    fn bytes(&self) -> u64 {
        match self {
            Self::Freed => 0,
            Self::Own(words) => words.len() as u64 * 4,
            Self::Mapped(pages) => pages.bytes(),
        }
    }

    fn words(&self) -> &[u32] {
        match self {
            Self::Freed => panic!("a buffer that was freed is read"),
            Self::Own(words) => words,
            Self::Mapped(pages) => bytemuck::cast_slice(pages.data()),
        }
    }

    fn own(&mut self) -> &mut Vec<u32> {
        match self {
            Self::Own(words) => words,
            Self::Freed => panic!("a buffer that was freed is written to"),
            Self::Mapped(pages) => panic!("{pages:?} is written to"),
        }
    }
}

/// Bytes of a page on Apple Silicon, and a multiple of what is one elsewhere: what is adopted here is what Metal adopts.
const PAGE: u64 = 16 << 10;

struct Prepared {
    plan: Arc<Plan>,
    /// One allocation per tensor: twins then borrow what they read and what they write apart from each other. A tensor has it from
    /// the first op that touches it to the last, so that all together never exceed the plan's arena.
    tensors: Vec<Vec<u32>>,
}

impl Cpu {
    /// An executor without buffers. `memory_budget` bounds what it allocates, in bytes.
    pub fn new(memory_budget: Option<u64>) -> Self {
        let target = Target {
            subgroup: 8,
            max_binding_bytes: u64::MAX,
            max_workgroups: u32::MAX,
            f16: true,
            software: true,
            choices: Choices::default(),
        };
        Self {
            target,
            buffers: Vec::new(),
            prepared: Vec::new(),
            arena: 0,
            last: None,
            results: HashMap::new(),
            next: 0,
            trace: Trace::default(),
            budget: memory_budget,
        }
    }

    /// Records plans with the algorithms that were asked for: all run the one twin.
    ///
    /// # Errors
    /// A source was asked for, and twins have none.
    pub fn force(&mut self, forced: Forced) -> Result<(), ExecuteError> {
        if let Some((kernel, source)) = forced.sources().next() {
            let expected = "no source, since it runs twins";
            return Err(VariantError::on("the CPU reference", kernel, expected, source).into());
        }
        self.target.choices = Choices::default().with(forced);
        Ok(())
    }

    fn allocated(&self) -> u64 {
        self.arena + self.buffers.iter().map(|buffer| buffer.storage.bytes()).sum::<u64>()
    }

    fn hold(&mut self, label: &str, role: BufferRole, storage: Storage) -> BufferId {
        let buffer = Buffer { storage, label: label.to_owned(), role };
        match self.buffers.iter().position(|buffer| matches!(buffer.storage, Storage::Freed)) {
            Some(index) => {
                self.buffers[index] = buffer;
                BufferId(index as u32)
            }
            None => {
                self.buffers.push(buffer);
                BufferId(self.buffers.len() as u32 - 1)
            }
        }
    }

    fn check(&self, what: &str, needed: u64) -> Result<(), ExecuteError> {
        match self.budget {
            Some(budget) if self.allocated() + needed > budget => {
                Err(ExecuteError::OutOfMemory { what: what.to_owned(), needed, used: self.allocated(), budget })
            }
            _ => Ok(()),
        }
    }

    /// Runs a plan and gives the seconds since `start` at which each op began and ended.
    fn run(&mut self, index: usize, start: Instant) -> Vec<DeviceSpan> {
        let plan = self.prepared[index].plan.clone();
        let mut spans = Vec::with_capacity(plan.ops.len());
        for (at, op) in plan.ops.iter().enumerate() {
            let begun = start.elapsed().as_secs_f64();
            self.make_tensors(index, at);
            // What is written is taken out of its table for the length of the op, so that the rest can be borrowed.
            let mut written: Vec<(usize, Vec<u32>)> = Vec::new();
            for (slot, operand) in op.operands.iter().enumerate() {
                if op.kernel.bindings[slot].access.writes() {
                    written.push((slot, std::mem::take(self.storage(index, operand))));
                }
            }
            {
                let mut writes = written.iter_mut().peekable();
                let bindings = op
                    .operands
                    .iter()
                    .enumerate()
                    .map(|(slot, operand)| match writes.next_if(|(at, _)| *at == slot) {
                        Some((_, words)) => Bound::Write(window_mut(words, operand)),
                        None => Bound::Read(window(self.peek(index, operand), operand)),
                    })
                    .collect();
                let mut twin = Twin::new(&op.constants, op.format, bindings, op.workgroups);
                (op.kernel.cpu)(&mut twin);
            }
            for (slot, words) in written {
                *self.storage(index, &op.operands[slot]) = words;
            }
            self.drop_tensors(index, |info| info.last == at);
            spans.push(DeviceSpan { begun, ended: start.elapsed().as_secs_f64() });
        }
        spans
    }

    /// Runs a plan and keeps what it is to read.
    fn execute(&mut self, plan: PreparedId, reads: &[Operand]) -> (Ticket, Timing) {
        let index = plan.0 as usize;
        // Plans share the arena: what the last one kept is gone now.
        if let Some(last) = self.last.replace(index).filter(|&last| last != index) {
            self.drop_tensors(last, |_| true);
        }
        let start = Instant::now();
        let spans = self.run(index, start);
        let mut bytes = Vec::new();
        for operand in reads {
            bytes.extend_from_slice(window(self.peek(index, operand), operand));
        }
        let dispatches = self.prepared[index].plan.ops.len() as u64;
        self.trace.record(TraceEvent::Submit { dispatches, passes: 0 });
        self.trace.record(TraceEvent::Readback { bytes: bytes.len() as u64 });
        let ticket = self.next;
        self.next += 1;
        self.results.insert(ticket, bytes);
        let clock = Calibration { host: start, device: 0.0, uncertainty: Duration::ZERO };
        let spans = spans.into_iter().map(Some).collect();
        (Ticket(ticket), Timing { method: Method::Host, spans, clock: Some(clock) })
    }

    /// Gives the tensors that begin to live with op number `at` their storage, unless they were written from outside.
    fn make_tensors(&mut self, index: usize, at: usize) {
        let Prepared { plan, tensors } = &mut self.prepared[index];
        let begin = plan.tensors.iter().zip(tensors).filter(|(info, words)| info.first == at && words.is_empty());
        for (info, words) in begin {
            *words = vec![0; info.tensor.bytes() as usize / 4];
        }
    }

    /// Takes the storage of tensors that are not needed any more.
    fn drop_tensors(&mut self, index: usize, over: impl Fn(&TensorInfo) -> bool) {
        let Prepared { plan, tensors } = &mut self.prepared[index];
        for (_, words) in plan.tensors.iter().zip(tensors).filter(|(info, _)| over(info)) {
            *words = Vec::new();
        }
    }

    fn storage(&mut self, index: usize, operand: &Operand) -> &mut Vec<u32> {
        match operand {
            Operand::Tensor(tensor) => &mut self.prepared[index].tensors[tensor.id.0 as usize],
            Operand::Slice(slice) => self.buffers[slice.buffer.0 as usize].storage.own(),
        }
    }

    fn peek(&self, index: usize, operand: &Operand) -> &[u32] {
        match operand {
            Operand::Tensor(Tensor { id: TensorId(id), .. }) => &self.prepared[index].tensors[*id as usize],
            Operand::Slice(slice) => self.buffers[slice.buffer.0 as usize].storage.words(),
        }
    }
}

/// The words an operand covers; tensors have storage of their own.
fn range(operand: &Operand) -> std::ops::Range<usize> {
    let start = match operand {
        Operand::Tensor(_) => 0,
        Operand::Slice(slice) => slice.offset as usize / 4,
    };
    start..start + operand.bytes() as usize / 4
}

fn window<'a>(words: &'a [u32], operand: &Operand) -> &'a [u8] {
    bytemuck::cast_slice(&words[range(operand)])
}

fn window_mut<'a>(words: &'a mut [u32], operand: &Operand) -> &'a mut [u8] {
    bytemuck::cast_slice_mut(&mut words[range(operand)])
}

impl Executor for Cpu {
    fn target(&self) -> &Target {
        &self.target
    }

    fn device(&self) -> DeviceReport {
        DeviceReport {
            backend: "cpu",
            name: "CPU reference".to_owned(),
            driver: String::new(),
            kernels: "twins",
            warning: None,
        }
    }

    fn allocate(&mut self, label: &str, role: BufferRole, bytes: u64) -> Result<BufferId, ExecuteError> {
        let bytes = allocation(bytes);
        self.check(label, bytes)?;
        Ok(self.hold(label, role, Storage::Own(vec![0; bytes as usize / 4])))
    }

    fn map_page(&self) -> Option<u64> {
        Some(PAGE)
    }

    fn adopt(&mut self, label: &str, pages: &MappedPages) -> Result<Option<BufferId>, ExecuteError> {
        self.check(label, pages.bytes())?;
        Ok(Some(self.hold(label, BufferRole::Weights, Storage::Mapped(pages.clone()))))
    }

    fn grow(&mut self, buffer: BufferId, bytes: u64) -> Result<(), ExecuteError> {
        let bytes = allocation(bytes);
        if self.buffers[buffer.0 as usize].storage.bytes() >= bytes {
            return Ok(());
        }
        self.check("a larger buffer", bytes)?;
        self.buffers[buffer.0 as usize].storage.own().resize(bytes as usize / 4, 0);
        Ok(())
    }

    fn free(&mut self, buffer: BufferId) {
        self.buffers[buffer.0 as usize].storage = Storage::Freed;
    }

    fn write(&mut self, buffer: BufferId, offset: u64, bytes: &[u8]) {
        let words = self.buffers[buffer.0 as usize].storage.own();
        bytemuck::cast_slice_mut(words)[offset as usize..][..bytes.len()].copy_from_slice(bytes);
    }

    fn flush(&mut self) -> Result<(), ExecuteError> {
        Ok(())
    }

    fn prepare(&mut self, plan: Arc<Plan>) -> Result<PreparedId, ExecuteError> {
        if let Some(more) = plan.arena_bytes.checked_sub(self.arena) {
            self.check("arena", more)?;
            self.arena += more;
        }
        let tensors = vec![Vec::new(); plan.tensors.len()];
        self.prepared.push(Prepared { plan, tensors });
        Ok(PreparedId(self.prepared.len() as u32 - 1))
    }

    fn discard(&mut self, plan: PreparedId) {
        self.drop_tensors(plan.0 as usize, |_| true);
    }

    fn write_tensor(&mut self, plan: PreparedId, tensor: Tensor, bytes: &[u8]) {
        let words = &mut self.prepared[plan.0 as usize].tensors[tensor.id.0 as usize];
        words.resize(tensor.bytes() as usize / 4, 0);
        bytemuck::cast_slice_mut(words)[..bytes.len()].copy_from_slice(bytes);
    }

    fn submit(&mut self, plan: PreparedId, reads: &[Operand]) -> Result<Ticket, ExecuteError> {
        Ok(self.execute(plan, reads).0)
    }

    fn submit_timed(&mut self, plan: PreparedId, reads: &[Operand]) -> Result<(Ticket, Timing), ExecuteError> {
        Ok(self.execute(plan, reads))
    }

    fn collect(&mut self, ticket: Ticket, into: &mut Vec<u8>) -> Result<(), ExecuteError> {
        *into = self.results.remove(&ticket.0).unwrap_or_else(|| panic!("{ticket:?} was waited for already"));
        Ok(())
    }

    fn read(&mut self, slice: Slice) -> Result<Vec<u8>, ExecuteError> {
        let operand = Operand::Slice(slice);
        Ok(window(self.buffers[slice.buffer.0 as usize].storage.words(), &operand).to_vec())
    }

    fn trace(&self) -> &Trace {
        &self.trace
    }

    fn memory(&self) -> MemoryReport {
        MemoryReport { allocated: self.allocated(), device: None, budget: self.budget, working_set: None }
    }

    fn memory_parts(&self) -> Vec<MemoryPart> {
        let arena = MemoryPart { use_of: MemoryUse::Arena, label: "arena".to_owned(), bytes: self.arena };
        let buffers = self.buffers.iter().filter(|buffer| !matches!(buffer.storage, Storage::Freed));
        let parts = buffers.map(|buffer| MemoryPart {
            use_of: buffer.role.into(),
            label: buffer.label.clone(),
            bytes: buffer.storage.bytes(),
        });
        parts.chain([arena]).collect()
    }
}
