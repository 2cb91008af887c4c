//! What a checkpoint is, and whether it runs here: found without loading its weights.

mod kernels;
mod tokenizer;
mod weights;

pub use kernels::{Chosen, KernelRow};
pub use tokenizer::{Probe, TokenText, TokenizerReport};
pub use weights::{Parameters, WeightRow};

use crate::Error;
use crate::cache::{CacheShape, token_bytes};
use crate::generate::{
    Backend, Fit, OpenOptions, RehearsedModel, SamplingDefaults, check_context, check_features, executor,
    sampling_defaults, tokenizer,
};
use crate::graph::{DeviceReport, Element, ExecuteError, Executor};
use crate::model::{self, Description, ModelConfig};
use crate::text::{ChatFeatures, ChatTemplate, ThinkingStyle};
use crate::weights::Checkpoint;
use serde::Serialize;

/// Tokens that sizes of caches are told for.
const CACHE_TOKENS: u64 = 1024;

/// What can be told of a checkpoint. What is not known is `None`, and [`Inspection::problems`] says why.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// Where it lies.
    pub model: String,
    /// `gguf`, `safetensors` or `mlx`.
    pub storage: &'static str,
    /// What its authors call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the checkpoint calls its kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_type: Option<String>,
    /// The family of this build that loads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<&'static str>,
    /// Why it cannot be loaded, or parts of this are missing; empty for a sound model on a device that it fits.
    pub problems: Vec<String>,
    /// Weights by number.
    pub parameters: Parameters,
    /// Bytes of its files of weights.
    pub file_bytes: u64,
    /// Weights by role and format.
    pub weights: Vec<WeightRow>,
    /// Its shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<ModelConfig>,
    /// What it computes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub computes: Option<Description>,
    /// Its tokenizer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<TokenizerReport>,
    /// What its chat template makes use of; absent where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat_template: Option<ChatFeatures>,
    /// How it marks thinking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Thinking>,
    /// How it is sampled unless its user says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampling: Option<SamplingDefaults>,
    /// What keys and values take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheSize>,
    /// Whether it fits the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fit: Option<FitReport>,
    /// What runs a chunk of a prompt and a step on the device; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernels: Option<Vec<KernelRow>>,
}

/// How thinking is marked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Thinking {
    /// `none`, `tags` or `harmony`.
    pub style: &'static str,
    /// What opens it, with what closes it; empty but for tags.
    pub tags: Vec<[&'static str; 2]>,
}

/// Bytes of keys and values of 1024 tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CacheSize {
    /// As halves, `--kv-cache f16`.
    pub f16_bytes_per_1024_tokens: u64,
    /// In single precision.
    pub f32_bytes_per_1024_tokens: u64,
}

/// Whether a model fits a device.
#[derive(Clone, Debug, Serialize)]
pub struct FitReport {
    /// `gpu` or `cpu`.
    pub backend: &'static str,
    /// The device's name.
    pub device: String,
    /// Whether there is room.
    pub fits: bool,
    /// The sum.
    #[serde(flatten)]
    pub fit: Fit,
    /// All of it.
    pub total: u64,
    /// The longest context that fits; `None` where not even one page does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub largest_context: Option<u32>,
    /// What to do where there is no room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Looks at a checkpoint, and whether it fits what `options` would run it on.
///
/// # Errors
/// `options` ask for a device that is not there, for a variant of a kernel that the device cannot run, or for a context that no run of the model may have. What is wrong with the
/// checkpoint is told as a problem.
pub fn inspect(checkpoint: &Checkpoint, options: &OpenOptions) -> Result<Inspection, Error> {
    let mut problems = Vec::new();
    let inventory = checkpoint.inventory();
    let (weights, parameters) = weights::count(&inventory, &mut problems);
    let settings = checkpoint.settings().ok();
    let model_type = settings.and_then(|settings| settings.model_type().ok()).filter(|kind| !kind.is_empty());
    let family = model::family(checkpoint).map_err(|error| problems.push(error.to_string())).ok();
    let mut inspection = Inspection {
        model: checkpoint.path().display().to_string(),
        storage: storage(checkpoint),
        name: settings
            .and_then(|settings| settings.metadata().opt_str("general.name").ok().flatten().map(str::to_owned)),
        model_type: model_type.map(str::to_owned),
        family: family.map(|family| family.name),
        problems,
        parameters,
        file_bytes: checkpoint.file_bytes(),
        weights,
        shape: None,
        computes: None,
        tokenizer: None,
        chat_template: None,
        thinking: None,
        sampling: None,
        cache: None,
        fit: None,
        kernels: None,
    };
    inspection.read_text(checkpoint);
    if family.is_some() {
        inspection.rehearse(checkpoint, options)?;
    }
    Ok(inspection)
}

/// How the weights are stored.
fn storage(checkpoint: &Checkpoint) -> &'static str {
    let is_mlx = |settings: crate::weights::Settings<'_>| settings.has("quantization");
    match checkpoint.gguf() {
        Some(_) => "gguf",
        None if checkpoint.settings().is_ok_and(is_mlx) => "mlx",
        None => "safetensors",
    }
}

impl Inspection {
    /// Tokenizer, thinking, sampling.
    fn read_text(&mut self, checkpoint: &Checkpoint) {
        match tokenizer(checkpoint) {
            Ok(tokenizer) => {
                let style = ThinkingStyle::of(self.model_type.as_deref().unwrap_or_default(), &tokenizer);
                self.thinking = Some(thinking(&style));
                self.tokenizer = Some(TokenizerReport::of(&tokenizer));
                match ChatTemplate::find(checkpoint.path(), &tokenizer) {
                    Ok(template) => self.chat_template = template.map(|template| template.features()),
                    Err(error) => self.problems.push(error.to_string()),
                }
            }
            Err(error) => self.problems.push(error.to_string()),
        }
        match sampling_defaults(checkpoint) {
            Ok(defaults) => self.sampling = Some(defaults),
            Err(error) => self.problems.push(error.to_string()),
        }
    }

    /// Shape, computation, memory.
    fn rehearse(&mut self, checkpoint: &Checkpoint, options: &OpenOptions) -> Result<(), Error> {
        let device = match executor(options) {
            Err(error @ Error::Device(ExecuteError::NoSuchAdapter { .. } | ExecuteError::Variant(_))) => {
                return Err(error);
            }
            Err(error) => {
                self.problems.push(error.to_string());
                None
            }
            Ok(device) => Some(device),
        };
        // What the model computes does not depend on the device: the reference stands in for one that is not there.
        let any = match device {
            Some(_) => None,
            None => Some(executor(&OpenOptions { backend: Backend::Cpu, ..options.clone() })?),
        };
        let Some(shown) = device.as_deref().or(any.as_deref()) else { return Ok(()) };
        let rehearsed = match RehearsedModel::new(checkpoint, shown, options) {
            Ok(rehearsed) => rehearsed,
            Err(error) => {
                self.problems.push(error.to_string());
                return Ok(());
            }
        };
        check_context(checkpoint, rehearsed.model().config(), options.context)?;
        let config = rehearsed.model().config().clone();
        let per_tokens = |element| {
            let shape = CacheShape { layers: config.layers, heads: config.heads, element, context: config.context };
            CACHE_TOKENS * token_bytes(&shape)
        };
        self.cache = Some(CacheSize {
            f16_bytes_per_1024_tokens: per_tokens(Element::F16),
            f32_bytes_per_1024_tokens: per_tokens(Element::F32),
        });
        self.computes = Some(rehearsed.model().describe());
        self.shape = Some(config);
        if let Some(device) = device {
            self.measure(checkpoint, &*device, options, &rehearsed)?;
        }
        Ok(())
    }

    /// Whether it fits, and what runs it.
    fn measure(
        &mut self,
        checkpoint: &Checkpoint,
        device: &dyn Executor,
        options: &OpenOptions,
        rehearsed: &RehearsedModel,
    ) -> Result<(), Error> {
        if let Err(error) = check_features(device, options.kv) {
            self.problems.push(error.to_string());
        }
        let context = rehearsed.context(options.context);
        let hint = context.is_none().then(|| rehearsed.misfit(checkpoint, device, options));
        if let Some(error) = &hint {
            self.problems.push(error.to_string());
        }
        let context = context.unwrap_or_else(|| rehearsed.least_context(options.context));
        // Where no cache can be made for the context, nothing runs, and the reason is told below.
        if let Ok(plans) = rehearsed.plans(context) {
            self.kernels = Some(kernels::rows(device, &plans)?);
        }
        let DeviceReport { backend, name, .. } = device.device();
        match rehearsed.fit(context) {
            Ok(fit) => {
                self.fit = Some(FitReport {
                    backend,
                    device: name,
                    fits: fit.fits(),
                    fit,
                    total: fit.needs.total(),
                    largest_context: rehearsed.largest_context(rehearsed.most_context()),
                    hint: hint.and_then(|error| error.hint()),
                });
            }
            // Told already: a cache that no buffer holds is a misfit.
            Err(_) if hint.is_some() => {}
            Err(error) => self.problems.push(error.to_string()),
        }
        Ok(())
    }
}

fn thinking(style: &ThinkingStyle) -> Thinking {
    match style {
        ThinkingStyle::None => Thinking { style: "none", tags: Vec::new() },
        ThinkingStyle::Harmony => Thinking { style: "harmony", tags: Vec::new() },
        ThinkingStyle::Tags(pairs) => {
            Thinking { style: "tags", tags: pairs.iter().map(|pair| [pair.open, pair.close]).collect() }
        }
    }
}
