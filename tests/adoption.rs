//! Weights that a device reads in the mapped file are those that would be written to it.
//!
//! The CPU stands in for devices that do: it reads mapped pages as they are.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

#[path = "support/folder.rs"]
mod folder;

use ffai::cpu::Cpu;
use ffai::generate::{Engine, EngineOptions, OpenOptions, RehearsedModel};
use ffai::graph::{
    BufferId, BufferRole, DeviceReport, Element, ExecuteError, Executor, MappedPages, MemoryReport, Operand, Plan,
    PreparedId, Slice, Target, Tensor, Ticket, Trace,
};
use ffai::model;
use ffai::weights::{Checkpoint, Loader};
use folder::Folder;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a device does with mapped files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Adopts {
    Always,
    /// It names a size of pages, and then cannot.
    Refuses,
    Never,
}

/// Bytes of a page: so few that rounding to them adds little to the matrices of golden models.
const PAGE: u64 = 64;

/// The CPU, with a say in what it adopts.
struct Device {
    cpu: Cpu,
    adopts: Adopts,
    adopted: Arc<AtomicU64>,
}

impl Executor for Device {
    fn target(&self) -> &Target {
        self.cpu.target()
    }
    fn device(&self) -> DeviceReport {
        self.cpu.device()
    }
    fn allocate(&mut self, label: &str, role: BufferRole, bytes: u64) -> Result<BufferId, ExecuteError> {
        self.cpu.allocate(label, role, bytes)
    }
    fn map_page(&self) -> Option<u64> {
        (self.adopts != Adopts::Never).then_some(PAGE)
    }
    fn adopt(&mut self, label: &str, pages: &MappedPages) -> Result<Option<BufferId>, ExecuteError> {
        if self.adopts != Adopts::Always {
            return Ok(None);
        }
        self.adopted.fetch_add(1, Ordering::Relaxed);
        self.cpu.adopt(label, pages)
    }
    fn grow(&mut self, buffer: BufferId, bytes: u64) -> Result<(), ExecuteError> {
        self.cpu.grow(buffer, bytes)
    }
    fn free(&mut self, buffer: BufferId) {
        self.cpu.free(buffer);
    }
    fn write(&mut self, buffer: BufferId, offset: u64, bytes: &[u8]) {
        self.cpu.write(buffer, offset, bytes);
    }
    fn flush(&mut self) -> Result<(), ExecuteError> {
        self.cpu.flush()
    }
    fn prepare(&mut self, plan: Arc<Plan>) -> Result<PreparedId, ExecuteError> {
        self.cpu.prepare(plan)
    }
    fn discard(&mut self, plan: PreparedId) {
        self.cpu.discard(plan);
    }
    fn write_tensor(&mut self, plan: PreparedId, tensor: Tensor, bytes: &[u8]) {
        self.cpu.write_tensor(plan, tensor, bytes);
    }
    fn submit(&mut self, plan: PreparedId, reads: &[Operand]) -> Result<Ticket, ExecuteError> {
        self.cpu.submit(plan, reads)
    }
    fn collect(&mut self, ticket: Ticket, into: &mut Vec<u8>) -> Result<(), ExecuteError> {
        self.cpu.collect(ticket, into)
    }
    fn read(&mut self, slice: Slice) -> Result<Vec<u8>, ExecuteError> {
        self.cpu.read(slice)
    }
    fn trace(&self) -> &Trace {
        self.cpu.trace()
    }
    fn memory(&self) -> MemoryReport {
        self.cpu.memory()
    }
}

/// A golden llama in safetensors whose data begins `behind` bytes after a multiple of 32: headers end in spaces as writers like.
fn llama(name: &str, behind: usize) -> Folder {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/llama").join(name);
    let folder = Folder::new();
    for file in std::fs::read_dir(&source).unwrap() {
        let file = file.unwrap();
        let mut bytes = std::fs::read(file.path()).unwrap();
        if file.file_name() == "model.safetensors" {
            let data = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            let padded = (data - behind).next_multiple_of(32) + behind;
            bytes[..8].copy_from_slice(&(padded as u64 - 8).to_le_bytes());
            bytes.splice(data..data, vec![b' '; padded - data]);
        }
        folder.write(file.file_name().to_str().unwrap(), &bytes);
    }
    folder
}

struct Loaded {
    logits: Vec<Vec<f32>>,
    /// Bytes that the weights take, before and after they were loaded.
    rehearsed: u64,
    allocated: u64,
    adopted: u64,
}

fn load(path: &Path, adopts: Adopts) -> Loaded {
    let checkpoint = Checkpoint::open(path).unwrap();
    let family = model::family(&checkpoint).unwrap();
    let adopted = Arc::new(AtomicU64::new(0));
    let mut device = Box::new(Device { cpu: Cpu::new(None), adopts, adopted: adopted.clone() });
    let rehearsal = RehearsedModel::new(&checkpoint, &*device, &OpenOptions::default()).unwrap();
    let rehearsed = rehearsal.fit(64).unwrap().needs.weights;
    let (mut done, mut total) = (0, 1);
    let mut progress = |now, all| (done, total) = (now, all);
    let mut loader = Loader::new(&checkpoint, family.names(&checkpoint), &mut *device, &mut progress);
    let model = family.load(&mut loader).unwrap();
    let resident = loader.resident();
    assert_eq!(done, total, "progress ends where the file does");
    let allocated = device.memory().allocated;
    assert_eq!(resident, allocated, "what the loader counts is what the device counts");
    let mut engine = Engine::new(device, model, EngineOptions { context: 64, kv: Element::F32, chunk: 16 }).unwrap();
    // Whoever reads the maps keeps them.
    drop(checkpoint);
    let sequence = engine.open().unwrap();
    let tokens: Vec<u32> = (5..29).collect();
    let logits = engine.logits(sequence, &tokens, &(0..tokens.len()).collect::<Vec<_>>()).unwrap();
    Loaded { logits, rehearsed, allocated, adopted: adopted.load(Ordering::Relaxed) }
}

/// The layout of the golden folders: three layers; a `lm_head` of its own; of each layer the output projection, the `down` one and,
/// where they lie one behind the other as in the folder of Hugging Face, `gate` and `up` as one. Q, K and V never do.
#[test]
fn adopted_weights_give_the_logits_of_written_ones() {
    for (name, expected) in [("hf", 2 + 3 * 3), ("mlx", 2 + 3 * 2)] {
        let folder = llama(name, 0);
        let written = load(&folder.0, Adopts::Never);
        let adopted = load(&folder.0, Adopts::Always);
        assert_eq!((written.adopted, adopted.adopted), (0, expected), "{name}");
        assert_eq!(adopted.logits, written.logits, "{name}");
    }
}

#[test]
fn what_is_adopted_is_counted_once_and_foreseen() {
    for name in ["hf", "mlx"] {
        let folder = llama(name, 0);
        for adopts in [Adopts::Always, Adopts::Never] {
            let loaded = load(&folder.0, adopts);
            assert_eq!(loaded.rehearsed, loaded.allocated, "{name} {adopts:?}");
        }
    }
}

#[test]
fn a_device_that_refuses_after_all_gets_its_weights_written_and_takes_no_more_than_foreseen() {
    for name in ["hf", "mlx"] {
        let folder = llama(name, 0);
        let (refused, written) = (load(&folder.0, Adopts::Refuses), load(&folder.0, Adopts::Never));
        assert_eq!(refused.adopted, 0);
        assert_eq!(refused.logits, written.logits, "{name}");
        assert_eq!(refused.allocated, written.allocated, "{name}");
        assert!(refused.allocated <= refused.rehearsed, "{name}");
    }
}

/// Safetensors promise multiples of 8 at most, and bindings begin at multiples of 32.
#[test]
fn weights_where_no_binding_can_begin_are_written() {
    for behind in [8, 16, 24, 3] {
        let folder = llama("hf", behind);
        let loaded = load(&folder.0, Adopts::Always);
        assert_eq!(loaded.adopted, 0, "{behind} behind a multiple of 32");
        assert_eq!(loaded.logits, load(&folder.0, Adopts::Never).logits);
    }
}

/// GGUF aligns tensors to 32; that of a format that is repacked is never adopted.
#[test]
fn gguf_is_adopted_where_its_format_is_kept() {
    let golden =
        |name: &str| -> PathBuf { Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/llama").join(name) };
    for name in ["llama2.gguf", "llama3.gguf"] {
        let (adopted, written) = (load(&golden(name), Adopts::Always), load(&golden(name), Adopts::Never));
        assert_eq!(adopted.logits, written.logits, "{name}");
        let checkpoint = Checkpoint::open(&golden(name)).unwrap();
        let plain = checkpoint.gguf().unwrap().tensors().any(|tensor| {
            tensor.dims.len() == 2 && ["f32", "f16", "bf16"].contains(&tensor.kind.name().to_lowercase().as_str())
        });
        println!("{name}: {} adopted, plain matrices: {plain}", adopted.adopted);
        assert!(plain || adopted.adopted == 0, "{name}");
    }
}
