//! From a path to a running engine.

use super::engine::{CHUNK, Engine, EngineOptions};
use crate::Error;
use crate::cpu::Cpu;
use crate::gpu::{AdapterChoice, Gpu, GpuOptions};
use crate::graph::{Element, Executor};
use crate::kernels::paged::PAGE;
use crate::model;
use crate::text::{Tokenizer, Vocabulary};
use crate::weights::{self, Checkpoint, Loader};
use std::path::Path;

/// The longest context that is taken without being asked for.
const AUTO_CONTEXT: u32 = 32_768;

/// The longest context at all: positions are single-precision factors of rotary angles, exact up to here.
const MOST_CONTEXT: u32 = 1 << 24;

/// What runs the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// The best GPU, a software driver among them, or an error.
    #[default]
    Gpu,
    /// The reference.
    Cpu,
}

/// How to open a model.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// What runs it.
    pub backend: Backend,
    /// Which adapter.
    pub adapter: AdapterChoice,
    /// Compile kernels with bounds checks.
    pub checked: bool,
    /// Most tokens of one sequence; `None` takes the model's context, at most 32768.
    pub context: Option<u32>,
    /// What keys and values are stored as.
    pub kv: Element,
    /// Tokens of a prompt that run at once.
    pub chunk: usize,
    /// Most device memory to use, in bytes.
    pub memory_budget: Option<u64>,
    /// Records plans as for a software driver, or as for a card; `None` goes by the device.
    pub software: Option<bool>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            backend: Backend::Gpu,
            adapter: AdapterChoice::Best,
            checked: false,
            context: None,
            kv: Element::F16,
            chunk: CHUNK,
            memory_budget: None,
            software: None,
        }
    }
}

/// Opens a checkpoint: its tokenizer, and its weights on a device. `progress` is told bytes done and bytes in all.
pub fn open(
    path: &Path,
    options: &OpenOptions,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(Engine, Tokenizer), Error> {
    let checkpoint = Checkpoint::open(path)?;
    let config = model::family(&checkpoint)?.config(&checkpoint)?;
    let tokenizer = tokenizer(&checkpoint)?;
    if tokenizer.vocab_size() as u64 > u64::from(config.vocab) {
        let what = format!(
            "expected the embedding to have a row for each of the vocabulary's {} tokens, found {}",
            tokenizer.vocab_size(),
            config.vocab
        );
        return Err(weights::Error::Model { file: path.to_owned(), what }.into());
    }
    Ok((load(&checkpoint, options, progress)?, tokenizer))
}

/// Brings the weights of a checkpoint onto a device. `progress` is told bytes done and bytes in all.
pub fn load(
    checkpoint: &Checkpoint,
    options: &OpenOptions,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Engine, Error> {
    let path = checkpoint.path();
    let family = model::family(checkpoint)?;
    let config = family.config(checkpoint)?;
    let context = match options.context {
        Some(0) => return Err(Error::Option { option: "--ctx", expected: "at least 1", found: "0".to_owned() }),
        Some(context) if context > config.context => {
            return Err(Error::Option {
                option: "--ctx",
                expected: "at most the model's own context",
                found: format!("{context}, where {} has {}", path.display(), config.context),
            });
        }
        Some(context) if context > MOST_CONTEXT => {
            return Err(Error::Option { option: "--ctx", expected: "at most 16777216", found: context.to_string() });
        }
        Some(context) => context,
        None => config.context.min(AUTO_CONTEXT),
    };
    let mut executor: Box<dyn Executor> = match options.backend {
        Backend::Cpu => Box::new(Cpu::new(options.memory_budget)),
        Backend::Gpu => Box::new(Gpu::open(&GpuOptions {
            adapter: options.adapter.clone(),
            checked: options.checked,
            memory_budget: options.memory_budget,
            software: options.software,
        })?),
    };
    let names = family.names(checkpoint);
    let needed = family.rehearse(&mut Loader::rehearsal(checkpoint, names.clone(), &mut *executor))?;
    check_budget(path, needed, &*executor)?;
    let model = family.load(&mut Loader::new(checkpoint, names, &mut *executor, progress))?;
    executor.flush()?;
    let context =
        if options.context.is_some() { context } else { context.min(fitting(&*executor, &config, options.kv)) };
    Engine::new(executor, model, EngineOptions { context, kv: options.kv, chunk: options.chunk })
}

/// The tokenizer of a checkpoint.
pub fn tokenizer(checkpoint: &Checkpoint) -> Result<Tokenizer, Error> {
    let read = match (checkpoint.gguf(), checkpoint.folder()) {
        (Some(gguf), _) => Tokenizer::new(Vocabulary::from_gguf(gguf.metadata())?),
        (None, folder) => Tokenizer::from_folder(folder.unwrap_or(checkpoint.path())),
    };
    read.map_err(|source| Error::Vocabulary { file: checkpoint.path().to_owned(), source })
}

/// The longest context whose cache one binding per layer holds and the memory budget leaves room for; at least one page.
fn fitting(executor: &dyn Executor, config: &model::ModelConfig, kv: Element) -> u32 {
    let key_bytes = config.heads.key_bytes(kv);
    let bound = executor.target().max_binding_bytes / key_bytes;
    let memory = executor.memory();
    // Half of what is left: growing a layer holds its old and its new pages for a moment, and plans need their arena.
    let left = memory.budget.map_or(u64::MAX, |budget| budget.saturating_sub(memory.allocated) / 2);
    let tokens = bound.min(left / (2 * key_bytes * u64::from(config.layers)));
    (tokens.min(u64::from(u32::MAX)) as u32 / PAGE * PAGE).max(PAGE)
}

/// Refuses a model whose weights alone do not fit, before minutes are spent on loading it.
fn check_budget(path: &Path, needed: u64, executor: &dyn Executor) -> Result<(), Error> {
    let memory = executor.memory();
    match memory.budget {
        Some(budget) if memory.allocated + needed > budget => Err(crate::graph::ExecuteError::OutOfMemory {
            what: format!("the weights of {}", path.display()),
            needed,
            used: memory.allocated,
            budget,
        }
        .into()),
        _ => Ok(()),
    }
}
