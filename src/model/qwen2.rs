//! Qwen 2 and 2.5: llama's blocks with biases on queries, keys and values.

use super::config::ModelConfig;
use super::decoder::{Biases, Decoder, LayerKind, Variant};
use super::llama::{plain, window};
use super::rope::Rope;
use super::{Family, Model, USUAL};
use crate::Error;
use crate::kernels::paged::Scores;
use crate::weights::{Loader, Settings};

pub(super) static FAMILY: Family = Family {
    name: "qwen2",
    about: "Qwen 2 and 2.5, DeepSeek-R1-Distill-Qwen",
    architectures: &["Qwen2ForCausalLM"],
    model_types: &["qwen2"],
    gguf: &["qwen2"],
    sampling: USUAL,
    names: &[],
    defaults: &[("attention.layer_norm_rms_epsilon", 1e-6), ("rope.freq_base", 1e4), ("context_length", 32768.0)],
    load,
};

fn load(loader: &mut Loader<'_>, config: ModelConfig) -> Result<Box<dyn Model>, Error> {
    let s = config.settings(loader.checkpoint())?;
    let variant = Variant { biases: Biases::Required, ..plain(loader, &s)? };
    Decoder::load_with_windows(loader, config, &variant)
}

impl Decoder {
    /// Loads a decoder whose upper layers may see through a window, as Qwen's do when asked to.
    pub(super) fn load_with_windows(
        loader: &mut Loader<'_>,
        config: ModelConfig,
        variant: &Variant,
    ) -> Result<Box<dyn Model>, Error> {
        let s = config.settings(loader.checkpoint())?;
        let frequencies = Rope::of(loader.checkpoint(), &s, 1e4)?.frequencies(config.rotary, None);
        let frequencies = loader.upload_vector("rotary frequencies", &frequencies)?;
        let mut kinds = Vec::new();
        for layer in 0..config.layers {
            let window = if slides(&s, layer)? { window(&s)? } else { None };
            kinds.push(LayerKind { scores: Scores { window, ..Scores::plain(config.heads.head_dim) }, frequencies });
        }
        Self::load(loader, config, variant, &kinds)
    }
}

/// Whether a layer sees through the window. Most files name one and do not use it.
fn slides(s: &Settings<'_>, layer: u32) -> Result<bool, Error> {
    if s.opt_bool("use_sliding_window")? != Some(true) {
        return Ok(false);
    }
    if let Some(kinds) = s.opt_strings("layer_types")? {
        return Ok(kinds.get(layer as usize).is_some_and(|kind| kind == "sliding_attention"));
    }
    Ok(layer >= s.opt_u32("max_window_layers")?.unwrap_or(28))
}
