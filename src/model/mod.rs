//! Model families: one file each, and the table that lists them.

mod config;
mod decoder;
mod description;
mod rope;
mod window;

pub use config::ModelConfig;
pub use description::{Description, LayerDescription};
pub use rope::{Rope, Scaling};

use crate::Error;
use crate::cache::Cache;
use crate::graph::{Recorder, Tensor};
use crate::layers::Batch;
use crate::weights::{self, Checkpoint, Loader, TensorNames, Translation};

/// A loaded model: weights on a device and the order of its blocks.
pub trait Model {
    /// Hyperparameters.
    fn config(&self) -> &ModelConfig;

    /// Records a forward pass of `batch` up to the last block: `[tokens, hidden]`.
    fn forward(&self, r: &mut Recorder, batch: &Batch, cache: &Cache) -> Tensor;

    /// Records the logits (`[rows, vocab]`) behind what the last block leaves (`x`: `[rows, hidden]`).
    fn head(&self, r: &mut Recorder, x: Tensor) -> Tensor;

    /// Bytes of weights on the device.
    fn weight_bytes(&self) -> u64;

    /// What it computes.
    fn describe(&self) -> Description;
}

/// A family of models: by what names checkpoints call it, and how it is loaded.
pub struct Family {
    /// Its name here.
    pub name: &'static str,
    /// Models that belong to it.
    pub about: &'static str,
    /// `architectures[0]` of a `config.json`.
    pub architectures: &'static [&'static str],
    /// `model_type` of a `config.json`, of the whole or of its `text_config`.
    pub model_types: &'static [&'static str],
    /// `general.architecture` of a GGUF file.
    pub gguf: &'static [&'static str],
    /// How models of the family are sampled where their checkpoint does not say.
    pub sampling: SamplingDefaults,
    /// Names of tensors that Hugging Face checkpoints of this family spell in their own way.
    names: &'static [Translation],
    /// What the family's Python assumes where a `config.json` is silent, by GGUF's key.
    defaults: &'static [(&'static str, f64)],
    load: Load,
}

type Load = fn(&mut Loader<'_>, ModelConfig) -> Result<Box<dyn Model>, Error>;

/// Sampling that a family is made for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplingDefaults {
    /// Divides the logits.
    pub temperature: f32,
    /// Keeps the best tokens until their probability reaches this; 1 is off.
    pub top_p: f32,
    /// Keeps so many tokens; 0 is off.
    pub top_k: u32,
}

/// Of families that say nothing else.
const USUAL: SamplingDefaults = SamplingDefaults { temperature: 0.6, top_p: 1.0, top_k: 0 };

macro_rules! families {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*
        /// Every family that this build loads. The first that knows a name has it.
        pub static FAMILIES: &[&Family] = &[$(&$module::FAMILY),*];
    };
}
families! { llama, mistral, qwen2, qwen3, gemma2, gemma3 }

/// The family of a checkpoint: of a GGUF file by `general.architecture`, else by `architectures[0]` and `model_type`, of which one
/// that is known suffices.
///
/// # Errors
/// No family of this build goes by any of these names, or they name two.
pub fn family(checkpoint: &Checkpoint) -> Result<&'static Family, Error> {
    let settings = checkpoint.settings()?;
    let metadata = settings.metadata();
    let find = |name: Option<&str>, names: fn(&Family) -> &'static [&'static str]| {
        FAMILIES.iter().copied().find(|family| name.is_some_and(|name| names(family).contains(&name)))
    };
    let unknown = |named: &str| {
        // The name comes from a stranger's file.
        let found = named.chars().take(60).collect::<String>().escape_debug().to_string();
        let known = FAMILIES.iter().map(|family| family.name).collect::<Vec<_>>().join(", ");
        Error::Family { found, file: checkpoint.config_path().to_owned(), known }
    };
    if !settings.is_json() {
        let architecture = settings.model_type()?;
        return find(Some(architecture), |family| family.gguf).ok_or_else(|| unknown(architecture));
    }
    let architecture = metadata.opt_strings("architectures")?.and_then(|names| names.first()).map(String::as_str);
    let model_type = metadata.opt_str("model_type")?;
    let nested = metadata.opt_str("text_config.model_type")?;
    let found = [
        ("architectures", architecture, find(architecture, |family| family.architectures)),
        ("model_type", model_type, find(model_type, |family| family.model_types)),
        ("text_config.model_type", nested, find(nested, |family| family.model_types)),
    ];
    let mut known = found.iter().filter_map(|(key, name, family)| Some((key, (*name)?, (*family)?)));
    let Some((key, name, family)) = known.next() else {
        return Err(match architecture.or(model_type) {
            Some(name) => unknown(name),
            None => {
                let (key, file) = ("model_type".to_owned(), checkpoint.config_path().to_owned());
                weights::Error::MissingKey { key, file }.into()
            }
        });
    };
    match known.find(|(_, _, other)| other.name != family.name) {
        None => Ok(family),
        Some((other_key, other, _)) => Err(config::inconsistent(
            checkpoint,
            format!(
                "{other_key}: expected a model of the family {}, as {key} `{name}` is, found `{other}`",
                family.name
            ),
        )),
    }
}

impl Family {
    /// What the family's checkpoints call their tensors.
    pub fn names(&self, checkpoint: &Checkpoint) -> TensorNames {
        TensorNames::of(checkpoint, self.names)
    }

    /// What a checkpoint of Hugging Face's and MLX's kind that is to be written calls its tensors.
    pub fn new_names(&self) -> TensorNames {
        TensorNames::plain(self.names)
    }

    /// Reads and checks a checkpoint's hyperparameters.
    pub fn config(&self, checkpoint: &Checkpoint) -> Result<ModelConfig, Error> {
        ModelConfig::read(self.name, checkpoint, &self.names(checkpoint), self.defaults)
    }

    /// Loads the weights of a checkpoint.
    pub fn load(&self, loader: &mut Loader<'_>) -> Result<Box<dyn Model>, Error> {
        let config = self.config(loader.checkpoint())?;
        (self.load)(loader, config)
    }

    /// Loads nothing, but finds everything that loading would find wrong. The model knows its shape and can be recorded, not run.
    pub fn rehearse(&self, rehearsal: &mut Loader<'_>) -> Result<Box<dyn Model>, Error> {
        let model = self.load(rehearsal)?;
        // Half of a model that sees; its language is whole without.
        let sees = |name: &str| {
            ["vision_tower.", "multi_modal_projector.", "vision_model."].iter().any(|part| name.contains(part))
        };
        rehearsal.expect_all_used(self.name, sees)?;
        Ok(model)
    }
}
