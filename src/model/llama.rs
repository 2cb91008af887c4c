//! Llama 2 and 3, SmolLM2, and what follows their shape. GGUF files of Mistral come under this name too, with their window.

use super::config::{ModelConfig, refused};
use super::decoder::{Biases, Decoder, LayerKind, Variant};
use super::rope::{Rope, stored_factors};
use super::{Family, Model, USUAL};
use crate::Error;
use crate::kernels::gate_mul::Activation;
use crate::kernels::paged::Scores;
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
    let window = if s.is_json() { None } else { window(&s)? };
    let variant = Variant { interleaved, biases: Biases::AsStored, ..plain(loader, &s)? };
    let rope = Rope::of(loader.checkpoint(), &s, 1e4)?;
    let factors = stored_factors(loader, &config)?;
    let frequencies = rope.frequencies(config.rotary, factors.as_deref());
    let frequencies = loader.upload_vector("rotary frequencies", &frequencies)?;
    let scores = Scores { window, ..Scores::plain(config.heads.head_dim) };
    let kinds = vec![LayerKind { scores, frequencies }; config.layers as usize];
    Decoder::load(loader, config, &variant, &kinds)
}

/// The window of a file, if it has one.
pub(super) fn window(s: &Settings<'_>) -> Result<Option<u32>, Error> {
    Ok(s.opt_u32("attention.sliding_window")?.filter(|&window| window > 0))
}

/// The plainest decoder: SiLU, nothing normalised but the inputs of blocks. Refuses another activation.
pub(super) fn plain(loader: &Loader<'_>, s: &Settings<'_>) -> Result<Variant, Error> {
    if let Some(other) = s.opt_str("hidden_act")?.filter(|&name| name != "silu") {
        let other = other.chars().take(20).collect::<String>().escape_debug().to_string();
        return Err(refused(loader.checkpoint(), format!("activation `{other}`")));
    }
    Ok(Variant {
        interleaved: false,
        biases: Biases::AsStored,
        head_norms: false,
        post_norms: false,
        gains_lack_one: false,
        activation: Activation::Silu,
        embedding_scale: 1.0,
        logit_cap: None,
        tied: s.opt_bool("tie_word_embeddings")?.filter(|_| s.is_json()),
    })
}
