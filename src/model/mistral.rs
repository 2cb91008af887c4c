//! Mistral: llama's blocks, and attention through a sliding window in some of its models. GGUF files call it llama.

use super::config::{ModelConfig, refused};
use super::decoder::{Decoder, LayerKind};
use super::llama::plain;
use super::rope::Rope;
use super::window::{plain_scores, window, windows};
use super::{Family, Model, USUAL};
use crate::Error;
use crate::kernels::paged::Scores;
use crate::weights::Loader;

pub(super) static FAMILY: Family = Family {
    name: "mistral",
    about: "Mistral 7B, Nemo, Small, with and without a sliding window",
    architectures: &["MistralForCausalLM"],
    model_types: &["mistral"],
    gguf: &["mistral"],
    sampling: USUAL,
    names: &[],
    defaults: &[
        ("attention.layer_norm_rms_epsilon", 1e-6),
        ("attention.head_count_kv", 8.0),
        ("attention.sliding_window", 4096.0),
        ("rope.freq_base", 1e4),
        ("context_length", 131_072.0),
    ],
    load,
};

fn load(loader: &mut Loader<'_>, config: ModelConfig) -> Result<Box<dyn Model>, Error> {
    let s = config.settings(loader.checkpoint())?;
    let variant = plain(loader, &s)?;
    let rope = Rope::of(loader.checkpoint(), &s, 1e4)?.load(loader, "rotary frequencies", config.rotary, None)?;
    let window = window(loader.checkpoint(), &s)?;
    let windows = windows(loader.checkpoint(), &s, config.layers, window, |_| window.is_some())?;
    if windows.iter().any(|&layer| layer != window) {
        // Ministral; transformers would let all layers of a Mistral slide.
        return Err(refused(loader.checkpoint(), "a window in some layers only (`layer_types`)".to_owned()));
    }
    let scores = Scores { window, ..plain_scores(loader.checkpoint(), &config, &s)? };
    let kinds = vec![LayerKind { scores, rope }; config.layers as usize];
    Decoder::load(loader, config, &variant, &kinds)
}
