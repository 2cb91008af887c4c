//! Qwen 2 and 2.5: llama's blocks with biases on queries, keys and values.

use super::config::{ModelConfig, refused};
use super::decoder::{Biases, Decoder, LayerKind, Variant};
use super::llama::plain;
use super::rope::Rope;
use super::window::{plain_scores, window, windows};
use super::{Family, Model, USUAL};
use crate::Error;
use crate::weights::{Checkpoint, Loader, Settings};

pub(super) static FAMILY: Family = Family {
    name: "qwen2",
    about: "Qwen 2 and 2.5, DeepSeek-R1-Distill-Qwen",
    architectures: &["Qwen2ForCausalLM"],
    model_types: &["qwen2"],
    gguf: &["qwen2"],
    sampling: USUAL,
    names: &[],
    defaults: &[
        ("attention.layer_norm_rms_epsilon", 1e-6),
        ("attention.head_count_kv", 32.0),
        ("attention.sliding_window", 4096.0),
        ("rope.freq_base", 1e4),
        ("context_length", 32768.0),
    ],
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
        let rope = Rope::of(loader.checkpoint(), &s, 1e4)?.load(loader, "rotary frequencies", config.rotary, None)?;
        let window = used_window(loader.checkpoint(), &config, &s)?;
        let first = s.opt_u32("max_window_layers")?.unwrap_or(28);
        let slides = |layer| window.is_some() && layer >= first;
        let windows = windows(loader.checkpoint(), &s, config.layers, window, slides)?;
        let scores = plain_scores(loader.checkpoint(), &config, &s)?;
        let kinds = LayerKind::windowed(windows, scores, rope);
        Self::load(loader, config, variant, &kinds)
    }
}

/// The window, if it is used: most files name one and do not. A GGUF file has no switch for it, and none is known that needs it.
fn used_window(checkpoint: &Checkpoint, config: &ModelConfig, s: &Settings<'_>) -> Result<Option<u32>, Error> {
    if s.is_json() {
        return if s.opt_bool("use_sliding_window")? == Some(true) { window(checkpoint, s) } else { Ok(None) };
    }
    match window(checkpoint, s)?.filter(|&window| window < config.context) {
        Some(window) => Err(refused(checkpoint, format!("a sliding window of {window}"))),
        None => Ok(None),
    }
}
