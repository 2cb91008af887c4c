//! Llama 2 and 3, SmolLM2, and what follows their shape. GGUF files of Mistral come under this name too, with their window.

use super::config::{ModelConfig, named, refused};
use super::decoder::{Biases, Decoder, LayerKind, Variant};
use super::rope::{Rope, stored_factors};
use super::window::{plain_scores, window, windows};
use super::{Family, Model, USUAL};
use crate::Error;
use crate::kernels::gate_mul::Activation;
use crate::weights::{Loader, Settings};

pub(super) static FAMILY: Family = Family {
    name: "llama",
    about: "Llama 2 and 3, SmolLM2, TinyLlama",
    architectures: &["LlamaForCausalLM"],
    model_types: &["llama"],
    gguf: &["llama"],
    sampling: USUAL,
    names: &[],
    defaults: &[("attention.layer_norm_rms_epsilon", 1e-6), ("rope.freq_base", 1e4), ("context_length", 2048.0)],
    load,
};

fn load(loader: &mut Loader<'_>, config: ModelConfig) -> Result<Box<dyn Model>, Error> {
    let s = config.settings(loader.checkpoint())?;
    // GGUF files of this family store the rows of Q and K so that the two elements of a pair are neighbours.
    let interleaved = !s.is_json();
    refuse_attention_bias(loader, &s)?;
    let variant = Variant { interleaved, ..plain(loader, &s)? };
    let rope = Rope::of(loader.checkpoint(), &s, 1e4)?;
    let factors = stored_factors(loader, &config)?;
    let rope = rope.load(loader, "rotary frequencies", config.rotary, factors.as_deref())?;
    // The family itself has no window: transformers passes over one that a config.json names.
    let window = if s.is_json() { None } else { window(loader.checkpoint(), &s)? };
    let windows = windows(loader.checkpoint(), &s, config.layers, window, |_| window.is_some())?;
    let scores = plain_scores(loader.checkpoint(), &config, &s)?;
    let kinds = LayerKind::windowed(windows, scores, rope);
    Decoder::load(loader, config, &variant, &kinds)
}

/// The plainest decoder: SiLU, nothing normalised but the inputs of blocks, biases where a GGUF file has some. Refuses another
/// activation.
pub(super) fn plain(loader: &Loader<'_>, s: &Settings<'_>) -> Result<Variant, Error> {
    if let Some(other) = s.opt_str("hidden_act")?.filter(|name| !["silu", "swish"].contains(name)) {
        return Err(refused(loader.checkpoint(), format!("activation {}", named(other))));
    }
    Ok(Variant {
        interleaved: false,
        // Those of a safetensors file are refused as unused: transformers would pass over them.
        biases: if s.is_json() { Biases::None } else { Biases::AsStored },
        head_norms: false,
        post_norms: false,
        gains_lack_one: false,
        activation: Activation::Silu,
        embedding_scale: 1.0,
        logit_cap: None,
        tied: s.opt_bool("tie_word_embeddings")?.filter(|_| s.is_json()),
    })
}

/// Refuses biases behind attention, which come with those of queries, keys and values in families that know this switch.
pub(super) fn refuse_attention_bias(loader: &Loader<'_>, s: &Settings<'_>) -> Result<(), Error> {
    match s.opt_bool("attention_bias")? {
        Some(true) if s.is_json() => Err(refused(loader.checkpoint(), "`attention_bias`".to_owned())),
        _ => Ok(()),
    }
}
