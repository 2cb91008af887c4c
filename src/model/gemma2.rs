//! Gemma 2: norms behind blocks too, capped scores and logits, every other layer through a window.

use super::config::{ModelConfig, refused};
use super::decoder::{Biases, Decoder, LayerKind, Variant};
use super::rope::Rope;
use super::{Family, Model, SamplingDefaults};
use crate::Error;
use crate::kernels::gate_mul::Activation;
use crate::kernels::paged::Scores;
use crate::weights::{Loader, Settings, Translation};

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

fn load(loader: &mut Loader<'_>, config: ModelConfig) -> Result<Box<dyn Model>, Error> {
    let s = config.settings(loader.checkpoint())?;
    let cap = |key: &str| -> Result<Option<f32>, Error> {
        let set = s.opt_f32(key)?.filter(|&cap| cap != 0.0);
        match set {
            Some(cap) if !(cap.is_finite() && cap > 0.0) => Err(refused(loader.checkpoint(), format!("{key} of {cap}"))),
            set => Ok(set),
        }
    };
    let variant = Variant { logit_cap: cap("final_logit_softcapping")?, ..gemma(loader, &config, &s)? };
    let scores = Scores {
        scale: score_scale(&config, &s, LAYERS_27B)?,
        cap: cap("attn_logit_softcapping")?,
        window: super::llama::window(&s)?,
    };
    let frequencies = Rope::of(loader.checkpoint(), &s, 1e4)?.frequencies(config.rotary, None);
    let frequencies = loader.upload_vector("rotary frequencies", &frequencies)?;
    let mut kinds = Vec::new();
    for layer in 0..config.layers {
        let slides = slides(&s, layer)?.unwrap_or(layer % 2 == 0);
        let window = scores.window.filter(|_| slides);
        kinds.push(LayerKind { scores: Scores { window, ..scores }, frequencies });
    }
    Decoder::load(loader, config, &variant, &kinds)
}

/// What the generations share.
pub(super) fn gemma(loader: &Loader<'_>, config: &ModelConfig, s: &Settings<'_>) -> Result<Variant, Error> {
    // `hidden_act` of old files says "gelu" and was never meant: the models were trained with the tanh form.
    if let Some(other) = s.opt_str("hidden_activation")?.filter(|&name| name != "gelu_pytorch_tanh") {
        let other = other.chars().take(20).collect::<String>().escape_debug().to_string();
        return Err(refused(loader.checkpoint(), format!("activation `{other}`")));
    }
    Ok(Variant {
        interleaved: false,
        biases: Biases::AsStored,
        head_norms: false,
        post_norms: true,
        // Converters to GGUF have added it.
        gains_lack_one: s.is_json(),
        activation: Activation::Gelu,
        embedding_scale: (config.hidden as f32).sqrt(),
        logit_cap: None,
        tied: s.is_json().then_some(true),
    })
}

/// The factor of scores: 1 / √`query_pre_attn_scalar`, which GGUF files do not hold. There it is 1 / √head_dim, except in the
/// model of `largest` layers, where it is 1 / √(hidden / heads), as llama.cpp has it.
pub(super) fn score_scale(config: &ModelConfig, s: &Settings<'_>, largest: u32) -> Result<f32, Error> {
    if let Some(scale) = s.opt_f32("attention.scale")?.filter(|_| !s.is_json()) {
        return Ok(scale);
    }
    let scalar = match s.opt_f32("query_pre_attn_scalar")?.filter(|_| s.is_json()) {
        Some(scalar) => f64::from(scalar),
        None if config.layers == largest => f64::from(config.hidden / config.heads.heads),
        None => f64::from(config.heads.head_dim),
    };
    Ok(scalar.max(1e-6).sqrt().recip() as f32)
}

/// Whether the file says that a layer sees through the window.
pub(super) fn slides(s: &Settings<'_>, layer: u32) -> Result<Option<bool>, Error> {
    let kinds = s.opt_strings("layer_types")?;
    Ok(kinds.and_then(|kinds| kinds.get(layer as usize)).map(|kind| kind == "sliding_attention"))
}
