//! Gemma 3, its language half: normalised heads, five layers of six through a window with rotary frequencies of their own.

use super::config::{ModelConfig, inconsistent, refused};
use super::decoder::{Decoder, LayerKind, Variant};
use super::gemma2::{NAMES, SAMPLING, cap, gemma, score_scale};
use super::rope::Rope;
use super::window::{window, windows};
use super::{Family, Model};
use crate::Error;
use crate::kernels::paged::Scores;
use crate::weights::{Checkpoint, Loader, Settings};

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
/// Bases of the rotary frequencies, of layers without and with a window; older GGUF files do not hold the second.
const BASE: f32 = 1e6;
const LOCAL_BASE: f32 = 1e4;
/// Layers of the 27B model, whose scores GGUF files scale by rule instead of by a number.
const LAYERS_27B: u32 = 62;

fn load(loader: &mut Loader<'_>, config: ModelConfig) -> Result<Box<dyn Model>, Error> {
    let s = config.settings(loader.checkpoint())?;
    let checkpoint = loader.checkpoint();
    if cap(checkpoint, &s, "attn_logit_softcapping")?.is_some() {
        return Err(refused(checkpoint, "a cap of scores (`attn_logit_softcapping`)".to_owned()));
    }
    let logit_cap = cap(checkpoint, &s, "final_logit_softcapping")?;
    let variant = Variant { head_norms: true, logit_cap, ..gemma(loader, &config, &s)? };
    let [global, local] = ropes(checkpoint, &s)?;
    let global = global.load(loader, "rotary frequencies", config.rotary, None)?;
    let local = local.load(loader, "local rotary frequencies", config.rotary, None)?;
    let scale = score_scale(checkpoint, &config, &s, LAYERS_27B)?;
    let (window, pattern) = (window(checkpoint, &s)?, pattern(checkpoint, &s)?);
    // Converters leave the window out of a GGUF file where no layer slides.
    let slides = |layer: u32| (s.is_json() || window.is_some()) && !(layer + 1).is_multiple_of(pattern);
    let kind = |window: Option<u32>| LayerKind {
        scores: Scores { scale, cap: None, window },
        rope: if window.is_some() { local } else { global },
    };
    let windows = windows(checkpoint, &s, config.layers, window, slides)?;
    let kinds: Vec<LayerKind> = windows.into_iter().map(kind).collect();
    Decoder::load(loader, config, &variant, &kinds)
}

/// Rotary positions of layers that see everything, and of those with a window.
fn ropes(checkpoint: &Checkpoint, s: &Settings<'_>) -> Result<[Rope; 2], Error> {
    if !s.is_json() {
        let local = Rope::plain(checkpoint, s, s.opt_f32("rope.freq_base_swa")?.unwrap_or(LOCAL_BASE))?;
        return Ok([Rope::of(checkpoint, s, BASE)?, local]);
    }
    for key in ["rope_theta", "rope_type", "type", "factor"] {
        if s.has(&format!("rope_parameters.{key}")) {
            let what = format!("rope_parameters: expected a table per kind of layer, found `{key}` beside them");
            return Err(inconsistent(checkpoint, what));
        }
    }
    let [global, local] = ["full_attention", "sliding_attention"].map(|kind| format!("rope_parameters.{kind}"));
    let base = |table: &str| s.opt_f32(&format!("{table}.rope_theta"));
    let global_base = base(&global)?.or(s.opt_f32("rope.freq_base")?).unwrap_or(BASE);
    let local_base = base(&local)?.or(s.opt_f32("rope_local_base_freq")?).unwrap_or(LOCAL_BASE);
    Ok([
        Rope::in_tables(checkpoint, s, global_base, &[&global, "rope_scaling"])?,
        Rope::in_tables(checkpoint, s, local_base, &[&local])?,
    ])
}

/// Every so many layers, one sees everything.
fn pattern(checkpoint: &Checkpoint, s: &Settings<'_>) -> Result<u32, Error> {
    let key = if s.is_json() { "sliding_window_pattern" } else { "attention.sliding_window_pattern" };
    match s.opt_u32(key)?.unwrap_or(PATTERN) {
        0 => Err(inconsistent(checkpoint, format!("{key}: expected at least 1, found 0"))),
        pattern => Ok(pattern),
    }
}
