//! Runs plans op by op in the emulator.

use super::{Launch, Layer, Loads, Program, Schedule};
use ffai::graph::{
    BufferId, BufferRole, Choices, DeviceReport, ExecuteError, Executor, MemoryReport, Op, Operand, Plan, PreparedId,
    Slice, Target, Tensor, Ticket, Trace, TraceEvent,
};
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// The Metal source of an op. Its bindings are slots 0 to n - 1 as the kernel declares them; slot n holds lengths.
#[derive(Clone, Debug)]
pub(crate) struct MslSource {
    /// The source.
    pub(crate) text: String,
    /// Name of the kernel in it.
    pub(crate) entry: String,
    /// Threads of one workgroup.
    pub(crate) threads: [u32; 3],
    /// Bindings whose lengths in bytes slot n holds, one u32 each: all of them for overrides.
    pub(crate) lengths: Vec<usize>,
}

/// How an op becomes Metal source.
pub(crate) type Translate = Box<dyn Fn(&Op) -> Result<MslSource, String> + Send + Sync>;

/// An executor over buffers in host memory.
pub(crate) struct Emulator {
    target: Target,
    translate: Translate,
    layer: Layer,
    schedule: Schedule,
    buffers: Vec<Vec<u8>>,
    prepared: Vec<Prepared>,
    results: HashMap<u64, Vec<u8>>,
    trace: Trace,
    /// What each op loaded from its slots, in the order in which ops ran; for [`Layer::Loads`].
    pub(crate) loads: Vec<Vec<Loads>>,
}

struct Prepared {
    plan: Arc<Plan>,
    arena: Vec<u8>,
    programs: Vec<(Program, MslSource)>,
}

/// A device as Metal describes it.
pub(crate) fn apple() -> Target {
    Target {
        subgroup: 32,
        max_binding_bytes: 1 << 32,
        max_workgroups: 65_535,
        f16: true,
        software: false,
        choices: Choices::default(),
    }
}

fn device(message: String) -> ExecuteError {
    ExecuteError::Device(message)
}

impl Emulator {
    pub(crate) fn new(
        translate: impl Fn(&Op) -> Result<MslSource, String> + Send + Sync + 'static,
        layer: Layer,
        schedule: Schedule,
    ) -> Self {
        Self {
            target: apple(),
            translate: Box::new(translate),
            layer,
            schedule,
            buffers: Vec::new(),
            prepared: Vec::new(),
            results: HashMap::new(),
            trace: Trace::default(),
            loads: Vec::new(),
        }
    }

    /// Builds every source of a plan, on all cores; what is built already costs a look into a folder.
    pub(crate) fn programs(
        plan: &Plan,
        translate: &Translate,
        layer: Layer,
    ) -> Result<Vec<(Program, MslSource)>, String> {
        // Plans repeat their ops.
        let known: Mutex<HashMap<String, Program>> = Mutex::new(HashMap::new());
        let build = |op: &Op| {
            let source = translate(op)?;
            let found = known.lock().map_err(|error| error.to_string())?.get(&source.text).cloned();
            let program = match found {
                Some(program) => program,
                None => {
                    let name = format!("{}.metal", op.kernel.name);
                    let program = Program::build(&name, &source.text, layer)?;
                    known.lock().map_err(|error| error.to_string())?.insert(source.text.clone(), program.clone());
                    program
                }
            };
            Ok((program, source))
        };
        plan.ops.par_iter().map(build).collect()
    }

    fn bytes(&self, prepared: usize, operand: &Operand) -> &[u8] {
        let length = operand.bytes() as usize;
        match operand {
            Operand::Tensor(tensor) => {
                let Prepared { plan, arena, .. } = &self.prepared[prepared];
                &arena[plan.info(tensor.id).offset as usize..][..length]
            }
            Operand::Slice(slice) => &self.buffers[slice.buffer.0 as usize][slice.offset as usize..][..length],
        }
    }

    fn put(&mut self, prepared: usize, operand: &Operand, bytes: &[u8]) {
        match operand {
            Operand::Tensor(tensor) => {
                let Prepared { plan, arena, .. } = &mut self.prepared[prepared];
                arena[plan.info(tensor.id).offset as usize..][..bytes.len()].copy_from_slice(bytes);
            }
            Operand::Slice(Slice { buffer, offset, .. }) => {
                self.buffers[buffer.0 as usize][*offset as usize..][..bytes.len()].copy_from_slice(bytes);
            }
        }
    }

    fn run(&mut self, prepared: usize, index: usize) -> Result<(), String> {
        let plan = self.prepared[prepared].plan.clone();
        let op = &plan.ops[index];
        let mut buffers: Vec<Vec<u8>> =
            op.operands.iter().map(|operand| self.bytes(prepared, operand).to_vec()).collect();
        let mut writable: Vec<bool> = op.kernel.bindings.iter().map(|binding| binding.access.writes()).collect();
        let (program, source) = &self.prepared[prepared].programs[index];
        let lengths = source.lengths.iter().flat_map(|&slot| (buffers[slot].len() as u32).to_le_bytes()).collect();
        buffers.push(lengths);
        writable.push(false);
        let outcome = program.run(&Launch {
            entry: &source.entry,
            workgroups: op.workgroups,
            threads: source.threads,
            buffers: &buffers,
            writable: &writable,
            schedule: self.schedule,
        })?;
        for (slot, operand) in op.operands.iter().enumerate().filter(|(slot, _)| writable[*slot]) {
            self.put(prepared, operand, &outcome.buffers[slot]);
        }
        self.loads.push(outcome.loads);
        Ok(())
    }
}

impl Executor for Emulator {
    fn target(&self) -> &Target {
        &self.target
    }

    fn device(&self) -> DeviceReport {
        DeviceReport {
            backend: "emulator",
            name: "Metal, emulated".to_owned(),
            driver: String::new(),
            kernels: "msl",
            warning: None,
        }
    }

    fn allocate(&mut self, _label: &str, _role: BufferRole, bytes: u64) -> Result<BufferId, ExecuteError> {
        let bytes = vec![0; bytes.max(4).next_multiple_of(4) as usize];
        let free = self.buffers.iter().position(Vec::is_empty);
        let index = free.unwrap_or(self.buffers.len());
        if free.is_none() {
            self.buffers.push(Vec::new());
        }
        self.buffers[index] = bytes;
        Ok(BufferId(index as u32))
    }

    fn grow(&mut self, buffer: BufferId, bytes: u64) -> Result<(), ExecuteError> {
        let buffer = &mut self.buffers[buffer.0 as usize];
        let bytes = (bytes.next_multiple_of(4) as usize).max(buffer.len());
        buffer.resize(bytes, 0);
        Ok(())
    }

    fn free(&mut self, buffer: BufferId) {
        self.buffers[buffer.0 as usize] = Vec::new();
    }

    fn write(&mut self, buffer: BufferId, offset: u64, bytes: &[u8]) {
        self.buffers[buffer.0 as usize][offset as usize..][..bytes.len()].copy_from_slice(bytes);
    }

    fn flush(&mut self) -> Result<(), ExecuteError> {
        Ok(())
    }

    fn prepare(&mut self, plan: Arc<Plan>) -> Result<PreparedId, ExecuteError> {
        let programs = Self::programs(&plan, &self.translate, self.layer).map_err(device)?;
        let arena = vec![0; plan.arena_bytes as usize];
        self.prepared.push(Prepared { plan, arena, programs });
        Ok(PreparedId(self.prepared.len() as u32 - 1))
    }

    fn discard(&mut self, plan: PreparedId) {
        self.prepared[plan.0 as usize].arena = Vec::new();
    }

    fn write_tensor(&mut self, plan: PreparedId, tensor: Tensor, bytes: &[u8]) {
        self.put(plan.0 as usize, &Operand::Tensor(tensor), bytes);
    }

    fn submit(&mut self, plan: PreparedId, reads: &[Operand]) -> Result<Ticket, ExecuteError> {
        let index = plan.0 as usize;
        let ops = self.prepared[index].plan.ops.len();
        for op in 0..ops {
            self.run(index, op).map_err(device)?;
        }
        let bytes: Vec<u8> = reads.iter().flat_map(|operand| self.bytes(index, operand).to_vec()).collect();
        self.trace.record(TraceEvent::Submit { dispatches: ops as u64, passes: 1 });
        let ticket = self.trace.totals().submits;
        self.results.insert(ticket, bytes);
        Ok(Ticket(ticket))
    }

    fn collect(&mut self, ticket: Ticket, into: &mut Vec<u8>) -> Result<(), ExecuteError> {
        let results = self.results.remove(&ticket.0);
        *into = results.ok_or_else(|| device(format!("{ticket:?} was waited for already")))?;
        Ok(())
    }

    fn read(&mut self, slice: Slice) -> Result<Vec<u8>, ExecuteError> {
        Ok(self.bytes(0, &Operand::Slice(slice)).to_vec())
    }

    fn trace(&self) -> &Trace {
        &self.trace
    }

    fn memory(&self) -> MemoryReport {
        MemoryReport {
            allocated: self.buffers.iter().map(|b| b.len() as u64).sum(),
            device: None,
            budget: None,
            working_set: None,
        }
    }
}
