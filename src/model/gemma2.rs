//! Gemma 2: norms behind blocks too, capped scores and logits, every other layer through a window.

use super::config::{ModelConfig, named, refused};
use super::decoder::{Biases, Decoder, LayerKind, Variant};
use super::llama::refuse_attention_bias;
use super::rope::Rope;
use super::window::{positive, stored_scale, window, windows};
use super::{Family, Model, SamplingDefaults};
use crate::Error;
use crate::kernels::gate_mul::Activation;
use crate::kernels::paged::Scores;
use crate::weights::{Checkpoint, Loader, Settings, Translation};

pub(super) static FAMILY: Family = Family {
    name: "gemma2",
    about: "Gemma 2",
    architectures: &["Gemma2ForCausalLM"],
    model_types: &["gemma2"],
    gguf: &["gemma2"],
    sampling: SAMPLING,
    names: NAMES,
    defaults: &[
        ("attention.layer_norm_rms_epsilon", 1e-6),
        ("attention.key_length", 256.0),
        ("attention.head_count", 8.0),
        ("attention.head_count_kv", 4.0),
        ("attention.sliding_window", 4096.0),
        ("rope.freq_base", 1e4),
        ("context_length", 8192.0),
        ("query_pre_attn_scalar", 256.0),
        ("attn_logit_softcapping", 50.0),
        ("final_logit_softcapping", 30.0),
    ],
    load,
};

/// What Google recommends for all of them.
pub(super) const SAMPLING: SamplingDefaults = SamplingDefaults { temperature: 1.0, top_p: 0.95, top_k: 64 };

/// Four norms per layer, two of which llama's names mean otherwise.
pub(super) const NAMES: &[Translation] = &[
    ("post_attention_norm", "post_attention_layernorm"),
    ("ffn_norm", "pre_feedforward_layernorm"),
    ("post_ffw_norm", "post_feedforward_layernorm"),
];

/// Layers of the 27B model, whose scores GGUF files scale by rule instead of by a number.
const LAYERS_27B: u32 = 46;

/// What GGUF files mean that do not say: the first ones had no such keys.
const WINDOW: u32 = 4096;
const SCORE_CAP: f32 = 50.0;
const LOGIT_CAP: f32 = 30.0;

fn load(loader: &mut Loader<'_>, config: ModelConfig) -> Result<Box<dyn Model>, Error> {
    let s = config.settings(loader.checkpoint())?;
    let checkpoint = loader.checkpoint();
    let old = |value: f32| (!s.is_json()).then_some(value);
    let logit_cap = cap(checkpoint, &s, "final_logit_softcapping")?.or(old(LOGIT_CAP));
    let variant = Variant { logit_cap, ..gemma(loader, &config, &s)? };
    let window = window(checkpoint, &s)?.or((!s.is_json()).then_some(WINDOW));
    let windows = windows(checkpoint, &s, config.layers, window, |layer| layer.is_multiple_of(2))?;
    let scores = Scores {
        scale: score_scale(checkpoint, &config, &s, LAYERS_27B)?,
        cap: cap(checkpoint, &s, "attn_logit_softcapping")?.or(old(SCORE_CAP)),
        window: None,
    };
    let rope = Rope::of(checkpoint, &s, 1e4)?.load(loader, "rotary frequencies", config.rotary, None)?;
    let kinds = LayerKind::windowed(windows, scores, rope);
    Decoder::load(loader, config, &variant, &kinds)
}

/// A soft cap, if the file has one.
pub(super) fn cap(checkpoint: &Checkpoint, s: &Settings<'_>, key: &str) -> Result<Option<f32>, Error> {
    s.opt_f32(key)?.map(|cap| positive(checkpoint, key, cap)).transpose()
}

/// What the generations share.
pub(super) fn gemma(loader: &Loader<'_>, config: &ModelConfig, s: &Settings<'_>) -> Result<Variant, Error> {
    // `hidden_act` of old files says "gelu" and was never meant: the models were trained with the tanh form.
    if let Some(other) = s.opt_str("hidden_activation")?.filter(|&name| name != "gelu_pytorch_tanh") {
        return Err(refused(loader.checkpoint(), format!("activation {}", named(other))));
    }
    refuse_attention_bias(loader, s)?;
    Ok(Variant {
        interleaved: false,
        biases: if s.is_json() { Biases::None } else { Biases::AsStored },
        head_norms: false,
        post_norms: true,
        // Converters to GGUF have added it.
        gains_lack_one: s.is_json(),
        activation: Activation::Gelu,
        embedding_scale: (config.hidden as f32).sqrt(),
        logit_cap: None,
        tied: if s.is_json() { Some(s.opt_bool("tie_word_embeddings")?.unwrap_or(true)) } else { None },
    })
}

/// The factor of scores: 1 / √`query_pre_attn_scalar`, which GGUF files do not hold. There it is 1 / √head_dim, except in the
/// model of `largest` layers, where it is 1 / √(hidden / heads), as llama.cpp has it.
pub(super) fn score_scale(
    checkpoint: &Checkpoint,
    config: &ModelConfig,
    s: &Settings<'_>,
    largest: u32,
) -> Result<f32, Error> {
    const KEY: &str = "query_pre_attn_scalar";
    if let Some(scale) = stored_scale(checkpoint, s)? {
        return Ok(scale);
    }
    let scalar = match s.opt_f32(KEY)?.filter(|_| s.is_json()) {
        Some(scalar) => f64::from(positive(checkpoint, KEY, scalar)?),
        None if config.layers == largest => f64::from(config.hidden / config.heads.heads),
        None => f64::from(config.heads.head_dim),
    };
    Ok(scalar.sqrt().recip() as f32)
}
