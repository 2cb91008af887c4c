//! From a path to a running engine.

use super::engine::{CHUNK, Engine, EngineOptions, check_features};
use super::fit::{RehearsedModel, check_context};
use crate::Error;
use crate::cpu::Cpu;
use crate::gpu::{AdapterChoice, Gpu, GpuOptions, KernelChoice};
use crate::graph::{Choices, Element, Executor, Forced};
use crate::model;
use crate::observe;
use crate::text::{Tokenizer, Vocabulary};
use crate::weights::{self, Checkpoint, Loader, hub};
use std::collections::BTreeMap;
use std::path::Path;

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
    /// Most tokens of one sequence; `None` takes the model's context, at most 32768 and what fits the memory budget.
    pub context: Option<u32>,
    /// What keys and values are stored as.
    pub kv: Element,
    /// Tokens of a prompt that run at once.
    pub chunk: usize,
    /// Most device memory to use, in bytes.
    pub memory_budget: Option<u64>,
    /// Records plans as for a software driver, or as for a card; `None` goes by the device.
    pub software: Option<bool>,
    /// What kernels are compiled from.
    pub kernels: KernelChoice,
    /// Which variants of kernels were found to be faster, by device; `crate::doctor::tuned` reads them.
    pub tuned: BTreeMap<String, Choices>,
    /// Times ops as on a device that takes no timestamps.
    pub without_timestamps: bool,
    /// Which variants of kernels were asked for; `crate::kernels::forced_by_environment` reads them.
    pub forced: Forced,
    /// Who is asked for smaller quantizations of a model that came from the hub and does not fit; `None` asks nobody.
    pub hub: Option<hub::Settings>,
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
            kernels: KernelChoice::Auto,
            tuned: BTreeMap::new(),
            without_timestamps: false,
            forced: Forced::default(),
            hub: None,
        }
    }
}

/// Opens a checkpoint: its tokenizer, and its weights on a device. `progress` is told bytes done and bytes in all.
pub fn open(
    path: &Path,
    options: &OpenOptions,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(Engine, Tokenizer), Error> {
    tracing::debug!(target: "ffai::load", "Model.load id-or-path={}", path.display());
    open_checkpoint(&Checkpoint::open(path)?, options, progress)
}

/// As [`open()`], of a checkpoint that is open already.
pub fn open_checkpoint(
    checkpoint: &Checkpoint,
    options: &OpenOptions,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(Engine, Tokenizer), Error> {
    let _load = observe::phase("model_load");
    let config = model::family(checkpoint)?.config(checkpoint)?;
    let kind = checkpoint.settings()?.metadata().opt_strings("architectures")?.and_then(<[String]>::first);
    let arch = kind.map_or(config.model_type.as_str(), String::as_str);
    let (model_type, hidden, layers) = (&config.model_type, config.hidden, config.layers);
    tracing::debug!(target: "ffai::load", "config: arch={arch} model_type={model_type} hidden={hidden} layers={layers}");
    let tokenizer = tokenizer(checkpoint)?;
    if tokenizer.vocab_size() as u64 > u64::from(config.vocab) {
        let what = format!(
            "expected the embedding to have a row for each of the vocabulary's {} tokens, found {}",
            tokenizer.vocab_size(),
            config.vocab
        );
        return Err(weights::Error::Model { file: checkpoint.path().to_owned(), what }.into());
    }
    Ok((load(checkpoint, options, progress)?, tokenizer))
}

/// Brings the weights of a checkpoint onto a device. `progress` is told bytes done and bytes in all.
///
/// # Errors
/// Before anything is allocated: what is wrong with the checkpoint, and [`Error::Misfit`] where the model does not fit.
pub fn load(
    checkpoint: &Checkpoint,
    options: &OpenOptions,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Engine, Error> {
    let family = model::family(checkpoint)?;
    check_context(checkpoint, &family.config(checkpoint)?, options.context)?;
    let mut executor = executor(options)?;
    check_features(&*executor, options.kv)?;
    let rehearsed = RehearsedModel::new(checkpoint, &*executor, options)?;
    let Some(context) = rehearsed.context(options.context) else {
        return Err(rehearsed.misfit(checkpoint, &*executor, options));
    };
    // What is asked of kernels has to be possible before weights are read.
    if !options.forced.is_empty() {
        for op in rehearsed.plans(context)?.iter().flat_map(|plan| &plan.ops) {
            executor.source(op)?;
        }
    }
    let names = family.names(checkpoint);
    let model = family.load(&mut Loader::new(checkpoint, names, &mut *executor, progress))?;
    executor.flush()?;
    Engine::new(executor, model, EngineOptions { context, kv: options.kv, chunk: options.chunk })
}

/// What runs plans, as `options` choose it.
pub fn executor(options: &OpenOptions) -> Result<Box<dyn Executor>, Error> {
    Ok(match options.backend {
        Backend::Cpu => {
            let mut cpu = Cpu::new(options.memory_budget);
            cpu.force(options.forced.clone())?;
            Box::new(cpu)
        }
        Backend::Gpu => Box::new(Gpu::open(&GpuOptions {
            adapter: options.adapter.clone(),
            checked: options.checked,
            memory_budget: options.memory_budget,
            software: options.software,
            kernels: options.kernels,
            tuned: options.tuned.clone(),
            without_timestamps: options.without_timestamps,
            forced: options.forced.clone(),
        })?),
    })
}

/// The tokenizer of a checkpoint.
pub fn tokenizer(checkpoint: &Checkpoint) -> Result<Tokenizer, Error> {
    match checkpoint.gguf() {
        Some(gguf) => Tokenizer::new(Vocabulary::from_gguf(gguf.metadata())?)
            .map_err(|source| Error::Vocabulary { file: checkpoint.path().to_owned(), source }),
        // Of a folder's files, the message names the one at fault itself.
        None => Ok(Tokenizer::from_folder(checkpoint.folder().unwrap_or(checkpoint.path()))?),
    }
}
