//! What runs plans: the GPU, or the CPU twins.

use super::{
    BufferId, Ceiling, Choices, MappedPages, MemoryPart, Op, Operand, PassSpan, Plan, Slice, Tensor, Timing, Trace,
    VariantError, Why,
};
use std::sync::Arc;

/// What a recording has to know about the device.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Lanes of a subgroup, as a probe kernel saw them. Kernels are right at any size and fast at this one.
    pub subgroup: u32,
    /// Largest window that a binding may cover, in bytes.
    pub max_binding_bytes: u64,
    /// Most workgroups along one axis of a dispatch.
    pub max_workgroups: u32,
    /// Whether shaders may use `f16`.
    pub f16: bool,
    /// A driver that runs on the CPU: barriers and shared memory cost more than arithmetic there.
    pub software: bool,
    /// Which variants of kernels it runs, where that was measured or asked for.
    pub choices: Choices,
}

/// What a buffer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BufferRole {
    /// Model weights.
    Weights,
    /// Keys and values.
    Cache,
    /// Positions, page tables, sampling state.
    Step,
}

/// A plan made ready to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PreparedId(pub u32);

/// Work in flight whose readback can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

/// What runs, for people.
#[derive(Clone, Debug)]
pub struct DeviceReport {
    /// `gpu` or `cpu`.
    pub backend: &'static str,
    /// The adapter's name.
    pub name: String,
    /// The driver and its version, where known.
    pub driver: String,
    /// What kernels are compiled from: `wgsl`; `msl` where overrides run beside it; `spirv` in tests of their path; `twins` on the CPU.
    pub kernels: &'static str,
    /// Something that the user should know of it, with what to do.
    pub warning: Option<String>,
}

/// Device memory in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryReport {
    /// Allocated on the device now, by our own account.
    pub allocated: u64,
    /// The same by the account of the driver or its allocator, where it keeps one: staging and rounding are in it.
    pub device: Option<u64>,
    /// Bytes that we let ourselves use, where there is a limit.
    pub budget: Option<u64>,
    /// Bytes that the operating system recommends not to exceed, where it tells (Metal).
    pub working_set: Option<u64>,
}

/// Why the device could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// An allocation does not fit the memory budget.
    #[error("{what} needs {needed} of device memory: {used} are in use and the budget is {budget}", needed = binary(*needed), used = binary(*used), budget = binary(*budget))]
    OutOfMemory {
        /// What was to be allocated.
        what: String,
        /// Bytes asked for.
        needed: u64,
        /// Bytes in use.
        used: u64,
        /// Bytes that may be used.
        budget: u64,
    },
    /// A buffer is larger than the device allows.
    #[error("{what} needs a buffer of {needed}, but {device} allows at most {limit}", needed = binary(*needed), limit = binary(*limit))]
    TooLarge {
        /// What was to be allocated.
        what: String,
        /// Bytes asked for.
        needed: u64,
        /// Bytes allowed.
        limit: u64,
        /// The device.
        device: String,
    },
    /// No GPU driver at all.
    #[error("no GPU adapter was found: neither Metal nor Vulkan answered")]
    NoAdapter,
    /// The adapter that was asked for is not there.
    #[error("no GPU adapter matches `{asked}`; found: {found}")]
    NoSuchAdapter {
        /// What was asked for.
        asked: String,
        /// What there is.
        found: String,
    },
    /// A feature that the run needs and the device lacks.
    #[error("{device} has no {feature}, which {what} needs")]
    MissingFeature {
        /// The feature.
        feature: &'static str,
        /// What needs it.
        what: String,
        /// The device.
        device: String,
    },
    /// A variant of a kernel that was asked for, and that there is not or that the device cannot run.
    #[error(transparent)]
    Variant(#[from] VariantError),
    /// The device failed or was lost.
    #[error("the device failed: {0}")]
    Device(String),
}

impl MemoryReport {
    /// What the device says is allocated; our own account where it says nothing.
    pub fn bytes(&self) -> u64 {
        self.device.unwrap_or(self.allocated)
    }
}

impl ExecuteError {
    /// What to do next, where there is something.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::OutOfMemory { .. } => {
                "use a smaller --ctx, a smaller or more strongly quantized model, or free memory"
            }
            Self::TooLarge { .. } => "use a smaller --ctx, or a device with larger buffers (`ffai --device list`)",
            Self::NoAdapter => {
                "install a GPU driver; on Debian `apt install mesa-vulkan-drivers libvulkan1` brings a software one. \
                 `--backend cpu` runs the slow reference without any"
            }
            Self::NoSuchAdapter { .. } => "`ffai --device list` shows what there is",
            Self::MissingFeature { feature: "Metal" | "SPIR-V", .. } => {
                "run with `--kernels auto`, which takes the sources that the device can run"
            }
            Self::MissingFeature { feature: "f16", .. } => "run with `--kv-cache f32`",
            Self::MissingFeature { .. } => "choose another device (`ffai --device list`) or run with `--backend cpu`",
            Self::Variant(error) => &error.hint,
            Self::Device(_) => return None,
        };
        Some(text.to_owned())
    }
}

/// Bytes as people read them: `92.1 MiB`, and from 1024 of these on `1.50 GiB`.
pub(crate) fn binary(bytes: u64) -> String {
    let mib = bytes as f64 / 1_048_576.0;
    if mib < 1024.0 { format!("{mib:.1} MiB") } else { format!("{:.2} GiB", mib / 1024.0) }
}

/// Holds buffers and runs plans over them.
pub trait Executor {
    /// What recordings have to know.
    fn target(&self) -> &Target;

    /// What runs, for people.
    fn device(&self) -> DeviceReport;

    /// What an op runs from here, and who chose that. The CPU runs twins, whatever the kernel.
    ///
    /// # Errors
    /// [`ExecuteError::Variant`] where a source was asked for that this op or this device does not have.
    fn source(&self, op: &Op) -> Result<(&'static str, Why), ExecuteError> {
        let _ = op;
        Ok((self.device().kernels, Why::Default))
    }

    /// A zeroed buffer.
    fn allocate(&mut self, label: &str, role: BufferRole, bytes: u64) -> Result<BufferId, ExecuteError>;

    /// Bytes of a page where [`Executor::adopt`] takes mapped files; `None` where it never does.
    fn map_page(&self) -> Option<u64> {
        None
    }

    /// A buffer of weights over pages of a mapped file, which it keeps mapped and which nothing is written to; `None` where the device
    /// cannot read them there, and they have to be written to a buffer of its own.
    fn adopt(&mut self, label: &str, pages: &MappedPages) -> Result<Option<BufferId>, ExecuteError> {
        panic!("{label}: {pages:?} is to be adopted by an executor that names no pages for it")
    }

    /// Makes a buffer at least so large; its content stays. Old and new stand side by side for a moment, and only these two.
    fn grow(&mut self, buffer: BufferId, bytes: u64) -> Result<(), ExecuteError>;

    /// Gives a buffer's memory back.
    fn free(&mut self, buffer: BufferId);

    /// Writes `bytes` at `offset`, ordered before every later submission.
    fn write(&mut self, buffer: BufferId, offset: u64, bytes: &[u8]);

    /// Waits until everything written has reached the device, so that staging memory is free again.
    fn flush(&mut self) -> Result<(), ExecuteError>;

    /// Makes a plan ready: compiles pipelines, sets bindings.
    fn prepare(&mut self, plan: Arc<Plan>) -> Result<PreparedId, ExecuteError>;

    /// Forgets a plan that will not run again.
    fn discard(&mut self, plan: PreparedId);

    /// Writes a tensor of a prepared plan's arena, ordered before every later submission.
    fn write_tensor(&mut self, plan: PreparedId, tensor: Tensor, bytes: &[u8]);

    /// Runs a plan and copies `reads` out, one after the other, once it is done. Does not wait.
    fn submit(&mut self, plan: PreparedId, reads: &[Operand]) -> Result<Ticket, ExecuteError>;

    /// As [`Executor::submit`], taking the time of every op, and waiting until it is done. Slower: each op has a pass of its own.
    ///
    /// What the taking of times costs besides (passes, submissions, waits, copies) is recorded as any other work is.
    fn submit_timed(&mut self, _plan: PreparedId, _reads: &[Operand]) -> Result<(Ticket, Timing), ExecuteError> {
        let (what, device) = ("timing ops".to_owned(), self.device().name);
        Err(ExecuteError::MissingFeature { feature: "clock", what, device })
    }

    /// Takes the time of every submission from here on, or no longer. Costs a submission more for each; nothing waits for it.
    fn time_passes(&mut self, _on: bool) {}

    /// Submissions whose times arrived since this was last asked.
    fn pass_spans(&mut self) -> Vec<PassSpan> {
        Vec::new()
    }

    /// What the device can do at best, measured now; nothing where kernels are no measure of it. Takes about a second.
    fn ceilings(&mut self) -> Result<Vec<Ceiling>, ExecuteError> {
        Ok(Vec::new())
    }

    /// Waits for a submission and puts what it read in place of what `into` holds, whose room is used again.
    fn collect(&mut self, ticket: Ticket, into: &mut Vec<u8>) -> Result<(), ExecuteError>;

    /// Waits for a submission and gives what it read.
    fn wait(&mut self, ticket: Ticket) -> Result<Vec<u8>, ExecuteError> {
        let mut bytes = Vec::new();
        self.collect(ticket, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads a buffer; waits for everything before.
    fn read(&mut self, slice: Slice) -> Result<Vec<u8>, ExecuteError>;

    /// What it did since it was made.
    fn trace(&self) -> &Trace;

    /// Device memory in use.
    fn memory(&self) -> MemoryReport;

    /// What it is in use for. Adds up to what [`Executor::memory`] says is allocated, plus what that does not count: staging.
    fn memory_parts(&self) -> Vec<MemoryPart> {
        Vec::new()
    }
}
