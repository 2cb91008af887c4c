//! Runs plans on a GPU through wgpu. The only module that says `wgpu::`.

mod adapter;
mod buffers;
mod ceilings;
mod facts;
mod marks;
mod memory;
mod passes;
mod pipelines;
mod platform;
mod probe;
mod readback;
mod smoke;
mod source;
mod timestamps;

pub use adapter::{AdapterChoice, AdapterLine, adapters};
pub use facts::Facts;
pub use platform::{Chip, CommandBufferTime, DeviceMemory, Thermal, chip, signposts, thermal};
pub use source::{Language, metal, wgsl};

use crate::graph::{
    BufferId, BufferRole, Calibration, Ceiling, Choices, DeviceReport, ExecuteError, Executor, Forced, MappedPages,
    MemoryPart, MemoryReport, MemoryUse, Op, Operand, PassSpan, Plan, PreparedId, Slice, Target, Tensor, Ticket,
    Timing, Trace, TraceEvent, VariantError, Why,
};
use adapter::Opened;
use buffers::Buffers;
use marks::Marking;
use passes::Passes;
use pipelines::{Pipeline, Pipelines};
use platform::CommandBufferLog;
use readback::Readback;
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What kernels are compiled from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KernelChoice {
    /// Overrides where the device takes them and they pass a first test, WGSL elsewhere.
    #[default]
    Auto,
    /// WGSL alone.
    Wgsl,
    /// Overrides for Metal; an error where they cannot run.
    Msl,
    /// SPIR-V that naga makes of the WGSL, handed to the driver as overrides are: what there is of their path without Metal, for tests.
    Spirv,
}

/// How to open a GPU.
#[derive(Clone, Debug, Default)]
pub struct GpuOptions {
    /// Which adapter.
    pub adapter: AdapterChoice,
    /// Compile kernels with bounds checks.
    pub checked: bool,
    /// Most device memory to use, in bytes; what the device and the system suggest when absent.
    pub memory_budget: Option<u64>,
    /// Records plans as for a software driver, or as for a card, whatever the device is. Tests run both kinds anywhere.
    pub software: Option<bool>,
    /// What kernels are compiled from.
    pub kernels: KernelChoice,
    /// Which variants were found to be faster, by device as [`Gpu::identity`] spells it.
    pub tuned: BTreeMap<String, Choices>,
    /// Times ops as on a device that takes no timestamps, whatever this one does.
    pub without_timestamps: bool,
    /// Which variants were asked for, kernel by kernel. They outweigh `kernels` and `tuned`.
    pub forced: Forced,
}

/// Changes shader sources before they are compiled: `(kernel name, source) -> source`. Tests plant faults with it.
pub type SourceHook = Box<dyn Fn(&str, String) -> String>;

/// An open GPU with its buffers, pipelines and prepared plans.
pub struct Gpu {
    device: wgpu::Device,
    queue: wgpu::Queue,
    info: wgpu::AdapterInfo,
    available: wgpu::Features,
    target: Target,
    buffers: Buffers,
    pipelines: Pipelines,
    prepared: HashMap<PreparedId, Prepared>,
    next_plan: u32,
    readback: Readback,
    marking: Marking,
    passes: Passes,
    clock: Option<Calibration>,
    timestamps: bool,
    /// Command buffers, where they are watched.
    log: CommandBufferLog,
    watched: bool,
    trace: Trace,
    failure: Arc<Failure>,
    language: Language,
    warning: Option<String>,
}

/// What the device reported by itself. Looked at after every call, so whether there is anything shows without a lock.
#[derive(Default)]
struct Failure {
    noted: AtomicBool,
    /// A device that is lost stays lost: wgpu takes work for it without a word.
    lost: AtomicBool,
    message: Mutex<Option<String>>,
}

impl Failure {
    fn note(&self, message: String) {
        self.message.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(message);
        self.noted.store(true, Ordering::Release);
    }

    fn note_lost(&self, message: &str) {
        self.lost.store(true, Ordering::Release);
        self.note(format!("lost: {message}"));
    }

    fn take(&self) -> Option<String> {
        if !self.noted.load(Ordering::Acquire) {
            return None;
        }
        let mut message = self.message.lock().unwrap_or_else(PoisonError::into_inner);
        if self.lost.load(Ordering::Acquire) {
            return message.clone();
        }
        self.noted.store(false, Ordering::Release);
        message.take()
    }
}

struct Prepared {
    plan: Arc<Plan>,
    generation: u64,
    dispatches: Vec<Dispatch>,
}

struct Dispatch {
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroup,
    workgroups: [u32; 3],
}

impl Gpu {
    /// Opens an adapter and measures what recordings need to know about it.
    pub fn open(options: &GpuOptions) -> Result<Self, ExecuteError> {
        let opened = adapter::open(options)?;
        let failure = Arc::new(Failure::default());
        let (uncaptured, lost) = (failure.clone(), failure.clone());
        opened.device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| uncaptured.note(error.to_string())));
        opened.device.set_device_lost_callback(move |reason, message| {
            if reason != wgpu::DeviceLostReason::Destroyed {
                lost.note_lost(&message);
            }
        });
        let mut target = opened.target.clone();
        target.subgroup = match options.adapter {
            // Where nothing runs, nothing can be measured.
            AdapterChoice::Nothing => target.subgroup.max(1),
            _ => probe::subgroup_size(&opened.device, &opened.queue)?,
        };
        target.software = options.software.unwrap_or(target.software);
        let tuned = options.tuned.get(&identity(&opened.info)).cloned().unwrap_or_default();
        target.choices = tuned.with(options.forced.clone());
        let (language, warning) = kernels(options, &opened, target.subgroup)?;
        check_sources(options, &opened, target.subgroup, language)?;
        let why = if options.kernels == KernelChoice::Auto { Why::Default } else { Why::Forced };
        let budget = options.memory_budget.or_else(|| memory::budget(&opened.device, &opened.info));
        Ok(Self {
            buffers: Buffers::new(&opened.device, &opened.queue, &target, opened.info.name.clone(), budget),
            pipelines: Pipelines::new(options.checked, language, why),
            prepared: HashMap::new(),
            next_plan: 0,
            readback: Readback::default(),
            marking: Marking::new(&opened.device, &opened.queue),
            passes: Passes::default(),
            clock: None,
            timestamps: !options.without_timestamps
                && opened.device.features().contains(wgpu::Features::TIMESTAMP_QUERY),
            log: CommandBufferLog::default(),
            watched: false,
            trace: Trace::default(),
            failure,
            device: opened.device,
            queue: opened.queue,
            info: opened.info,
            available: opened.available,
            target,
            language,
            warning,
        })
    }

    /// Changes every source compiled from here on.
    pub fn set_source_hook(&mut self, hook: SourceHook) {
        self.pipelines.set_hook(hook);
    }

    /// Destroys the device, as a driver does that is reset: what is asked of it from here on is an error.
    pub fn lose(&mut self) {
        self.device.destroy();
        self.failure.note_lost("it was destroyed");
    }

    /// What a measurement on this device holds for: the adapter and its driver.
    pub fn identity(&self) -> String {
        identity(&self.info)
    }

    /// Runs other variants from here on, asked for or not. Plans that are prepared keep theirs.
    pub fn set_choices(&mut self, choices: Choices) {
        self.target.choices = choices;
    }

    /// Fails with what the device reported since it was last asked.
    fn check(&self) -> Result<(), ExecuteError> {
        match self.failure.take() {
            Some(message) => Err(ExecuteError::Device(message)),
            None if !self.watched => Ok(()),
            None => match self.log.failure() {
                // Said once: reading takes it out.
                Some(message) => {
                    self.log.take();
                    Err(ExecuteError::Device(message))
                }
                None => Ok(()),
            },
        }
    }

    /// What the driver says of the device's memory, where it does (Metal).
    pub fn device_memory(&self) -> Option<DeviceMemory> {
        platform::device_memory(&self.device)
    }

    /// Has the driver report each command buffer from here on (Metal): times for [`Gpu::command_buffers`], and what went wrong, in its
    /// own words, as the error of the next call. Whether it does.
    ///
    /// Off unless asked for: it changes the class of the queue's object at run time. What broke off shows without it too, by the
    /// number that is missing behind its results.
    pub fn watch(&mut self) -> bool {
        self.watched = self.watched || platform::watch(&self.queue, &self.log);
        self.watched
    }

    /// Command buffers that ended since this was last asked, at most 4096; none unless [`Gpu::watch`] could be done.
    pub fn command_buffers(&self) -> Vec<CommandBufferTime> {
        self.log.take()
    }

    fn bind(&mut self, plan: &Plan) -> Result<Vec<Dispatch>, ExecuteError> {
        if !self.buffers.has_arena(plan.arena_bytes) {
            self.release_arena()?;
            self.buffers.create_arena(plan.arena_bytes)?;
        }
        let mut dispatches = Vec::with_capacity(plan.ops.len());
        let languages =
            plan.ops.iter().map(|op| Ok(self.language(op)?.0)).collect::<Result<Vec<Language>, ExecuteError>>()?;
        let lengths = languages.iter().any(|language| *language != Language::Wgsl).then(|| self.lengths(plan));
        for (index, (op, language)) in plan.ops.iter().zip(languages).enumerate() {
            let Pipeline { pipeline, layout, lengths: wants } = self.pipelines.get(&self.device, op, language)?;
            let mut entries: Vec<wgpu::BindGroupEntry<'_>> = op
                .operands
                .iter()
                .enumerate()
                .map(|(slot, operand)| wgpu::BindGroupEntry {
                    binding: slot as u32,
                    resource: wgpu::BindingResource::Buffer(self.buffers.binding(plan, operand)),
                })
                .collect();
            if wants && let Some(lengths) = &lengths {
                let (offset, size) = (index as u64 * LENGTHS, NonZeroU64::new(LENGTHS));
                let resource = wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer: lengths, offset, size });
                entries.push(wgpu::BindGroupEntry { binding: op.operands.len() as u32, resource });
            }
            let bindings = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(op.kernel.name),
                layout: &layout,
                entries: &entries,
            });
            dispatches.push(Dispatch { pipeline, bindings, workgroups: op.workgroups });
        }
        self.check()?;
        Ok(dispatches)
    }

    /// The lengths of each op's operands in bytes, for shaders that wgpu does not tell them.
    fn lengths(&self, plan: &Plan) -> wgpu::Buffer {
        let mut bytes = vec![0; plan.ops.len() * LENGTHS as usize];
        for (op, bytes) in plan.ops.iter().zip(bytes.chunks_exact_mut(LENGTHS as usize)) {
            for (operand, bytes) in op.operands.iter().zip(bytes.chunks_exact_mut(4)) {
                let length = u32::try_from(operand.bytes()).unwrap_or(u32::MAX);
                bytes.copy_from_slice(&length.to_le_bytes());
            }
        }
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("lengths"),
            size: bytes.len() as u64,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.queue.write_buffer(&buffer, 0, &bytes);
        buffer
    }

    fn language(&self, op: &Op) -> Result<(Language, Why), ExecuteError> {
        Ok(self.pipelines.language(op, &self.target.choices, &self.info.name)?)
    }

    /// Lets the arena's memory go. Bind groups would keep it: they are made anew when their plans run again.
    fn release_arena(&mut self) -> Result<(), ExecuteError> {
        if !self.buffers.has_arena(0) {
            return Ok(());
        }
        for prepared in self.prepared.values_mut() {
            prepared.dispatches.clear();
        }
        self.buffers.release_arena();
        self.wait_for(None)
    }

    /// Bind groups name buffers; when one was replaced since, they are made anew.
    fn refresh(&mut self, id: PreparedId) -> Result<(), ExecuteError> {
        let prepared = &self.prepared[&id];
        if prepared.generation != self.buffers.generation() {
            let plan = prepared.plan.clone();
            let dispatches = self.bind(&plan)?;
            self.prepared.insert(id, Prepared { plan, generation: self.buffers.generation(), dispatches });
        }
        Ok(())
    }
}

fn identity(info: &wgpu::AdapterInfo) -> String {
    format!("{}, {} {}", info.name, info.driver, info.driver_info).trim().to_owned()
}

/// Bytes of the lengths of one op: room for 16 slots, and a multiple of what offsets of bindings are multiples of everywhere.
const LENGTHS: u64 = 64;

/// What kernels are compiled from on this device, and why it is not what one would expect.
fn kernels(options: &GpuOptions, opened: &Opened, subgroup: u32) -> Result<(Language, Option<String>), ExecuteError> {
    let able = opened.device.features().contains(wgpu::Features::PASSTHROUGH_SHADERS);
    let (wanted, backend, feature) = match options.kernels {
        KernelChoice::Wgsl => return Ok((Language::Wgsl, None)),
        // Overrides have no bounds checks.
        KernelChoice::Auto if options.checked || !able || opened.info.backend != wgpu::Backend::Metal => {
            return Ok((Language::Wgsl, None));
        }
        KernelChoice::Auto | KernelChoice::Msl => (Language::Msl, wgpu::Backend::Metal, "Metal"),
        KernelChoice::Spirv => (Language::Spirv, wgpu::Backend::Vulkan, "SPIR-V"),
    };
    if !able || opened.info.backend != backend {
        let (what, device) = (format!("--kernels {}", wanted.name()), opened.info.name.clone());
        return Err(ExecuteError::MissingFeature { feature, what, device });
    }
    match smoke::run(&opened.device, &opened.queue, wanted, &smoke::text(wanted), subgroup) {
        Ok(()) => Ok((wanted, None)),
        Err(error) if options.kernels == KernelChoice::Auto => {
            let device = &opened.info.name;
            Ok((
                Language::Wgsl,
                Some(format!("Metal overrides are off: the kernel `smoke` fails on {device}: {error}")),
            ))
        }
        Err(error) => Err(ExecuteError::Device(format!("the kernel `smoke` fails: {error}"))),
    }
}

/// Refuses what was asked for kernel by kernel where this device does not run it at all. What single ops do not take shows when they
/// are recorded.
fn check_sources(options: &GpuOptions, opened: &Opened, subgroup: u32, language: Language) -> Result<(), ExecuteError> {
    let foreign = |source: &str| source != Language::Wgsl.name() && source != language.name();
    let Some((kernel, source)) = options.forced.sources().find(|(_, source)| foreign(source)) else { return Ok(()) };
    let able = opened.device.features().contains(wgpu::Features::PASSTHROUGH_SHADERS)
        && opened.info.backend == wgpu::Backend::Metal
        && source == Language::Msl.name();
    if !able {
        return Err(VariantError::on(&opened.info.name, kernel, "wgsl, since it has no Metal", source).into());
    }
    let text = smoke::text(Language::Msl);
    smoke::run(&opened.device, &opened.queue, Language::Msl, &text, subgroup).map_err(|error| {
        ExecuteError::Device(format!("kernel `{kernel}` cannot run from {source}: the kernel `smoke` fails: {error}"))
    })
}

impl Executor for Gpu {
    fn target(&self) -> &Target {
        &self.target
    }

    fn device(&self) -> DeviceReport {
        DeviceReport {
            backend: "gpu",
            name: self.info.name.clone(),
            driver: format!("{} {}", self.info.driver, self.info.driver_info).trim().to_owned(),
            kernels: self.language.name(),
            warning: self.warning.clone(),
        }
    }

    fn source(&self, op: &Op) -> Result<(&'static str, Why), ExecuteError> {
        self.language(op).map(|(language, why)| (language.name(), why))
    }

    fn allocate(&mut self, label: &str, role: BufferRole, bytes: u64) -> Result<BufferId, ExecuteError> {
        let id = self.buffers.allocate(label, role, bytes)?;
        self.check()?;
        Ok(id)
    }

    fn map_page(&self) -> Option<u64> {
        self.buffers.map_page()
    }

    fn adopt(&mut self, label: &str, pages: &MappedPages) -> Result<Option<BufferId>, ExecuteError> {
        let id = self.buffers.adopt(label, pages)?;
        self.check()?;
        Ok(id)
    }

    fn grow(&mut self, buffer: BufferId, bytes: u64) -> Result<(), ExecuteError> {
        self.buffers.grow(&self.queue, buffer, bytes)?;
        self.trace.record(TraceEvent::Submit { dispatches: 0, passes: 0 });
        // The copy keeps the old buffer: with many to grow, all old ones would stand beside all new ones.
        self.wait_for(None)
    }

    fn free(&mut self, buffer: BufferId) {
        self.buffers.free(buffer);
    }

    fn write(&mut self, buffer: BufferId, offset: u64, bytes: &[u8]) {
        self.queue.write_buffer(self.buffers.get(buffer), offset, bytes);
    }

    fn flush(&mut self) -> Result<(), ExecuteError> {
        self.buffers.keep_weights();
        self.queue.submit([]);
        self.trace.record(TraceEvent::Submit { dispatches: 0, passes: 0 });
        self.wait_for(None)
    }

    fn prepare(&mut self, plan: Arc<Plan>) -> Result<PreparedId, ExecuteError> {
        let dispatches = self.bind(&plan)?;
        let id = PreparedId(self.next_plan);
        self.next_plan += 1;
        self.prepared.insert(id, Prepared { plan, generation: self.buffers.generation(), dispatches });
        Ok(id)
    }

    fn discard(&mut self, plan: PreparedId) {
        self.prepared.remove(&plan);
    }

    fn write_tensor(&mut self, plan: PreparedId, tensor: Tensor, bytes: &[u8]) {
        let offset = self.prepared[&plan].plan.info(tensor.id).offset;
        self.queue.write_buffer(self.buffers.arena(), offset, bytes);
    }

    fn submit(&mut self, plan: PreparedId, reads: &[Operand]) -> Result<Ticket, ExecuteError> {
        self.refresh(plan)?;
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let times = self.passes.times(&self.device);
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: None,
                timestamp_writes: times.as_ref().map(|set| timestamps::writes(set, 0)),
            });
            for dispatch in &self.prepared[&plan].dispatches {
                dispatch.record(&mut pass);
            }
        }
        let ticket = self.hand_over(encoder, plan, reads, self.prepared[&plan].dispatches.len() as u64, 1);
        if let Some(set) = times {
            self.passes.submitted(ticket, set, self.prepared[&plan].dispatches.len() as u64);
        }
        self.check()?;
        Ok(ticket)
    }

    fn submit_timed(&mut self, plan: PreparedId, reads: &[Operand]) -> Result<(Ticket, Timing), ExecuteError> {
        self.run_timed(plan, reads)
    }

    fn time_passes(&mut self, on: bool) {
        self.passes.switch(on && self.timestamps);
    }

    fn pass_spans(&mut self) -> Vec<PassSpan> {
        self.arrived_pass_spans()
    }

    fn ceilings(&mut self) -> Result<Vec<Ceiling>, ExecuteError> {
        self.measure_ceilings()
    }

    fn collect(&mut self, ticket: Ticket, into: &mut Vec<u8>) -> Result<(), ExecuteError> {
        // A result that has already arrived costs no wait.
        let _ = self.device.poll(wgpu::PollType::Poll);
        if !self.readback.ready(ticket) {
            let submission = self.readback.submission(ticket);
            self.wait_for(submission)?;
        }
        self.readback.collect(ticket, into)?;
        self.trace.record(TraceEvent::Readback { bytes: into.len() as u64 });
        self.resolve_pass(ticket);
        self.check()
    }

    fn read(&mut self, slice: Slice) -> Result<Vec<u8>, ExecuteError> {
        let staging = self.readback.take(&self.device, slice.bytes);
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(self.buffers.get(slice.buffer), slice.offset, &staging.buffer, 0, slice.bytes);
        let submission = self.queue.submit([encoder.finish()]);
        self.trace.record(TraceEvent::Submit { dispatches: 0, passes: 0 });
        let ticket = self.readback.launch(submission, Some(staging), slice.bytes, None);
        self.wait(ticket)
    }

    fn trace(&self) -> &Trace {
        &self.trace
    }

    fn memory(&self) -> MemoryReport {
        memory::report(&self.device, self.buffers.memory())
    }

    fn memory_parts(&self) -> Vec<MemoryPart> {
        let staging = |label: &str, bytes| MemoryPart { use_of: MemoryUse::Staging, label: label.to_owned(), bytes };
        let mut parts = self.buffers.parts();
        parts.push(staging("readback", self.readback.bytes()));
        parts.push(staging("marks", self.marking.bytes()));
        parts
    }
}

impl Gpu {
    /// Ends a submission that runs a plan: its mark, what is read behind it, and who is told when it is done.
    fn hand_over(
        &mut self,
        mut encoder: wgpu::CommandEncoder,
        plan: PreparedId,
        reads: &[Operand],
        dispatches: u64,
        passes: u64,
    ) -> Ticket {
        self.marking.mark(&mut encoder);
        let prepared = &self.prepared[&plan];
        let total: u64 = reads.iter().map(Operand::bytes).sum();
        let staging = (total > 0).then(|| self.readback.take(&self.device, total + marks::BYTES));
        let mut expected = None;
        if let Some(staging) = &staging {
            let mut at = 0;
            for operand in reads {
                let (buffer, offset) = self.buffers.place(&prepared.plan, operand);
                encoder.copy_buffer_to_buffer(buffer, offset, &staging.buffer, at, operand.bytes());
                at += operand.bytes();
            }
            expected = Some(self.marking.read(&mut encoder, &staging.buffer, at));
        }
        let submission = self.queue.submit([encoder.finish()]);
        self.trace.record(TraceEvent::Submit { dispatches, passes });
        tracing::debug!(target: "ffai::dispatch", "submit: {dispatches} dispatches in {passes} passes, reads {total} bytes");
        self.readback.launch(submission, staging, total, expected)
    }

    fn wait_for(&mut self, submission_index: Option<wgpu::SubmissionIndex>) -> Result<(), ExecuteError> {
        self.trace.record(TraceEvent::Sync);
        tracing::debug!(target: "ffai::dispatch", "wait for the device");
        let poll = wgpu::PollType::Wait { submission_index, timeout: None };
        let polled = self.device.poll(poll);
        // What the device reported before is the reason where waiting fails.
        self.check()?;
        polled.map(drop).map_err(|error| ExecuteError::Device(error.to_string()))
    }
}
