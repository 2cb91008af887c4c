//! Whether a model fits a device: computed before anything is loaded, by recording what would run.

use super::open::OpenOptions;
use super::plans::{Key, record};
use super::step_buffers::StepBuffers;
use crate::Error;
use crate::cache::{Cache, CacheShape};
use crate::error::{Misfit, Offered, Shortage, Smaller};
use crate::graph::{Element, ExecuteError, Executor, MemoryReport, Needs, Plan, Rehearsal};
use crate::kernels::paged::PAGE;
use crate::model::{self, Model, ModelConfig};
use crate::weights::{Checkpoint, Loader, format, hub, siblings};
use serde::Serialize;
use std::sync::Arc;

/// The longest context that is taken without being asked for.
pub const AUTO_CONTEXT: u32 = 32_768;

/// The longest context at all: positions are single-precision factors of rotary angles, exact up to here.
const MOST_CONTEXT: u32 = 1 << 24;

/// What one sequence of a model takes of a device, and what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Fit {
    /// Tokens of the sequence.
    pub context: u32,
    /// What it takes, in bytes.
    pub needs: Needs,
    /// Bytes in use already.
    pub used: u64,
    /// Bytes that may be used, where device or user tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<u64>,
}

impl Fit {
    /// Whether there is room for it.
    pub fn fits(&self) -> bool {
        self.budget.is_none_or(|budget| self.used + self.needs.total() <= budget)
    }
}

/// A model as it would stand on a device: checked, measured, and not loaded.
pub struct RehearsedModel {
    model: Box<dyn Model>,
    /// Stands for the device, weights included.
    device: Rehearsal,
    memory: MemoryReport,
    kv: Element,
    chunk: usize,
}

impl RehearsedModel {
    /// Finds everything that loading `checkpoint` onto `executor` would find wrong, and what it takes.
    pub fn new(checkpoint: &Checkpoint, executor: &dyn Executor, options: &OpenOptions) -> Result<Self, Error> {
        let family = model::family(checkpoint)?;
        let mut device = Rehearsal::of(executor);
        let model = family.rehearse(&mut Loader::rehearsal(checkpoint, family.names(checkpoint), &mut device))?;
        Ok(Self { model, device, memory: executor.memory(), kv: options.kv, chunk: options.chunk.max(1) })
    }

    /// Its shape, and what it computes. It cannot run.
    pub fn model(&self) -> &dyn Model {
        &*self.model
    }

    fn shape(&self, context: u32) -> CacheShape {
        let config = self.model.config();
        CacheShape { layers: config.layers, heads: config.heads, element: self.kv, context }
    }

    /// What a sequence of `context` tokens takes, once it is full, however its tokens are chosen.
    ///
    /// # Errors
    /// A layer's cache is larger than the device's largest buffer.
    pub fn fit(&self, context: u32) -> Result<Fit, Error> {
        self.fit_with(self.weights(), context)
    }

    fn weights(&self) -> u64 {
        self.device.needs().weights
    }

    /// The same, were its weights of `weights` bytes.
    fn fit_with(&self, weights: u64, context: u32) -> Result<Fit, Error> {
        let mut device = Rehearsal::of(&self.device);
        let (mut cache, plans) = self.record(&mut device, context)?;
        for plan in plans {
            device.prepare(Arc::new(plan))?;
        }
        if let Some(sequence) = cache.open() {
            // Grown in the smallest steps, so that the last one finds as many old pages as there can be.
            let mut tokens = PAGE.min(context);
            while tokens < context {
                cache.reserve(&mut device, sequence, tokens)?;
                tokens = tokens.saturating_mul(2);
            }
            cache.reserve(&mut device, sequence, context)?;
        }
        let needs = Needs { weights, ..device.needs() };
        Ok(Fit { context, needs, used: self.memory.allocated, budget: self.memory.budget })
    }

    /// The plans of a sequence of `context` tokens: a whole chunk of a prompt, and a step at the end, with every way to sample.
    ///
    /// # Errors
    /// Those of [`Self::fit`].
    pub fn plans(&self, context: u32) -> Result<[Plan; 2], Error> {
        Ok(self.record(&mut Rehearsal::of(&self.device), context)?.1)
    }

    fn record(&self, device: &mut Rehearsal, context: u32) -> Result<(Cache, [Plan; 2]), Error> {
        let mut buffers = StepBuffers::new(device, self.chunk)?;
        let cache = Cache::new(device, self.shape(context))?;
        buffers.count_tokens(device, self.model.config().vocab)?;
        let plan = |key| record(device.target(), &*self.model, &cache, &buffers, key).0;
        let plans = Key::largest(self.chunk, context).map(plan);
        Ok((cache, plans))
    }

    fn fits(&self, weights: u64, context: u32) -> bool {
        self.fit_with(weights, context).is_ok_and(|fit| fit.fits())
    }

    /// The longest context up to `most` that fits, in whole pages; `None` where not even one page does.
    pub fn largest_context(&self, most: u32) -> Option<u32> {
        self.largest_context_with(self.weights(), most)
    }

    fn largest_context_with(&self, weights: u64, most: u32) -> Option<u32> {
        if self.fits(weights, most) {
            return Some(most);
        }
        let (mut fits, mut fails) = (0, most.div_ceil(PAGE)); // pages
        while fits + 1 < fails {
            let middle = fits + (fails - fits) / 2;
            if self.fits(weights, middle * PAGE) {
                fits = middle;
            } else {
                fails = middle;
            }
        }
        (fits > 0).then_some(fits * PAGE)
    }

    /// The longest context that may be asked for.
    pub fn most_context(&self) -> u32 {
        self.model.config().context.min(MOST_CONTEXT)
    }

    /// The context of a run: what was asked for, else the longest up to 32768 that fits. `None` where that does not fit.
    pub fn context(&self, asked: Option<u32>) -> Option<u32> {
        self.context_with(self.weights(), asked)
    }

    fn context_with(&self, weights: u64, asked: Option<u32>) -> Option<u32> {
        match asked {
            Some(context) => self.fits(weights, context).then_some(context),
            None => self.largest_context_with(weights, self.most_context().min(AUTO_CONTEXT)),
        }
    }

    /// What a context would have to be at least: what was asked for, or a page.
    pub(crate) fn least_context(&self, asked: Option<u32>) -> u32 {
        asked.unwrap_or(self.most_context().min(PAGE))
    }

    /// Why there is no such context, and what could be done.
    pub(crate) fn misfit(&self, checkpoint: &Checkpoint, executor: &dyn Executor, options: &OpenOptions) -> Error {
        let context = self.least_context(options.context);
        let shortage = match self.fit(context) {
            Ok(Fit { needs, used, budget, .. }) => {
                Shortage::Memory { needs, used, budget: budget.unwrap_or_else(|| panic!("without a budget all fits")) }
            }
            Err(Error::Device(ExecuteError::TooLarge { limit, device, .. })) => {
                let pages = u64::from(context.div_ceil(PAGE));
                let needed = pages * u64::from(PAGE) * self.model.config().heads.key_bytes(self.kv);
                Shortage::Buffer { needed, limit, device }
            }
            Err(error) => return error,
        };
        let largest_context = self.largest_context(context);
        let smaller = self.smaller(checkpoint, executor, options);
        let offered = self.offered(checkpoint, options, smaller.as_ref().map_or(0, |(_, bytes)| *bytes));
        Error::Misfit(Box::new(Misfit {
            file: checkpoint.path().to_owned(),
            context,
            shortage,
            largest_context,
            smaller: smaller.map(|(smaller, _)| smaller),
            offered,
        }))
    }

    /// The largest other quantization beside the checkpoint that fits, and its bytes. Files that cannot be used are none.
    fn smaller(
        &self,
        checkpoint: &Checkpoint,
        executor: &dyn Executor,
        options: &OpenOptions,
    ) -> Option<(Smaller, u64)> {
        checkpoint.gguf()?;
        let mut files = siblings(checkpoint.path());
        files.retain(|file| file.bytes < checkpoint.file_bytes());
        files.into_iter().find_map(|file| {
            let other = Self::new(&Checkpoint::open(&file.path).ok()?, executor, options).ok()?;
            let same = other.model.config() == self.model.config();
            let context = other.context(options.context).filter(|_| same)?;
            Some((Smaller { path: file.path, context }, file.bytes))
        })
    }

    /// The largest other quantization on the hub that should fit, if it has more than `least` bytes. Nothing but its size and its
    /// name are known.
    fn offered(&self, checkpoint: &Checkpoint, options: &OpenOptions, least: u64) -> Option<Offered> {
        let settings = options.hub.as_ref()?;
        checkpoint.gguf()?;
        let own = checkpoint.file_bytes();
        // A file holds more than weights, and weights take 2 % more on a device than in a file at most, or what they do of this one.
        let on_device = |bytes: u64| {
            let bytes = u128::from(bytes);
            let as_this = bytes * u128::from(self.weights()) / u128::from(own.max(1));
            u64::try_from((bytes + bytes / 50).max(as_this)).unwrap_or(u64::MAX)
        };
        let mut offers = hub::offers(checkpoint.path(), settings);
        offers.retain(|offer| (least + 1..own).contains(&offer.bytes) && format::reads(&offer.quantization));
        offers.into_iter().find_map(|offer| {
            let context = self.context_with(on_device(offer.bytes), options.context)?;
            Some(Offered { name: offer.name.to_string(), bytes: offer.bytes, context })
        })
    }
}

/// Refuses a context that no run of the model may have, whatever fits.
pub(crate) fn check_context(checkpoint: &Checkpoint, config: &ModelConfig, asked: Option<u32>) -> Result<(), Error> {
    let refuse = |expected, found| Err(Error::Option { option: "--ctx", expected, found });
    match asked {
        Some(0) => refuse("at least 1", "0".to_owned()),
        Some(context) if context > config.context => {
            let found = format!("{context}, where {} has {}", checkpoint.path().display(), config.context);
            refuse("at most the model's own context", found)
        }
        Some(context) if context > MOST_CONTEXT => refuse("at most 16777216", context.to_string()),
        _ => Ok(()),
    }
}
