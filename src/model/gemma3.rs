//! Gemma 3, its language half: normalised heads, five layers of six through a window with rotary frequencies of their own.

use super::config::ModelConfig;
use super::decoder::{Decoder, LayerKind, Variant};
use super::gemma2::{NAMES, SAMPLING, gemma, score_scale, slides};
use super::rope::{Rope, Scaling};
use super::{Family, Model};
use crate::Error;
use crate::kernels::paged::Scores;
use crate::weights::Loader;

pub(super) static FAMILY: Family = Family {
    name: "gemma3",
    about: "Gemma 3, text",
    architectures: &["Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"],
    model_types: &["gemma3_text", "gemma3"],
    gguf: &["gemma3"],
    sampling: SAMPLING,
    names: NAMES,
    defaults: &[
        ("attention.layer_norm_rms_epsilon", 1e-6),
        ("attention.key_length", 256.0),
        ("attention.head_count", 8.0),
        ("attention.head_count_kv", 4.0),
        ("attention.sliding_window", 4096.0),
        ("rope.freq_base", 1e6),
        ("context_length", 131_072.0),
        ("query_pre_attn_scalar", 256.0),
    ],
    load,
};

/// Every sixth layer sees everything, unless the file says otherwise.
const PATTERN: u32 = 6;
/// Base of the rotary frequencies of layers with a window; older GGUF files do not hold it.
const LOCAL_BASE: f32 = 1e4;
/// Layers of the 27B model, whose scores GGUF files scale by rule instead of by a number.
const LAYERS_27B: u32 = 62;

fn load(loader: &mut Loader<'_>, config: ModelConfig) -> Result<Box<dyn Model>, Error> {
    let s = config.settings(loader.checkpoint())?;
    let checkpoint = loader.checkpoint();
    let variant = Variant { head_norms: true, ..gemma(loader, &config, &s)? };
    let global = "rope_parameters.full_attention";
    let base = s.opt_f32(&format!("{global}.rope_theta"))?.or(s.opt_f32("rope.freq_base")?).unwrap_or(1e6);
    let global = if s.is_json() {
        Rope::in_tables(checkpoint, &s, base, &[global, "rope_scaling"])?
    } else {
        Rope::of(checkpoint, &s, base)?
    };
    let mut base = LOCAL_BASE;
    for key in ["rope.freq_base_swa", "rope_local_base_freq", "rope_parameters.sliding_attention.rope_theta"] {
        base = s.opt_f32(key)?.unwrap_or(base);
    }
    let local = Rope { base, scaling: Scaling::None };
    let global = loader.upload_vector("rotary frequencies", &global.frequencies(config.rotary, None))?;
    let local = loader.upload_vector("local rotary frequencies", &local.frequencies(config.rotary, None))?;
    let scale = score_scale(&config, &s, LAYERS_27B)?;
    let window = super::llama::window(&s)?;
    let pattern = s.opt_u32("sliding_window_pattern")?.or(s.opt_u32("attention.sliding_window_pattern")?);
    let pattern = pattern.filter(|&pattern| pattern > 0).unwrap_or(PATTERN);
    let mut kinds = Vec::new();
    for layer in 0..config.layers {
        let slides = slides(&s, layer)?.unwrap_or((layer + 1) % pattern != 0);
        let scores = Scores { scale, cap: None, window: window.filter(|_| slides) };
        kinds.push(LayerKind { scores, frequencies: if slides { local } else { global } });
    }
    Decoder::load(loader, config, &variant, &kinds)
}
