//! A toy: llama's blocks with the gate of Gemma.

use super::config::{ModelConfig, named, refused};
use super::decoder::{Biases, Decoder, LayerKind, Variant};
use super::rope::Rope;
use super::window::plain_scores;
use super::{Family, Model, USUAL};
use crate::Error;
use crate::kernels::gate_mul::Activation;
use crate::weights::Loader;

pub(super) static FAMILY: Family = Family {
    name: "toy",
    about: "A toy",
    architectures: &["ToyForCausalLM"],
    model_types: &["toy"],
    gguf: &[],
    sampling: USUAL,
    names: &[],
    defaults: &[("attention.layer_norm_rms_epsilon", 1e-6), ("rope.freq_base", 1e4), ("context_length", 2048.0)],
    load,
};

fn load(loader: &mut Loader<'_>, config: ModelConfig) -> Result<Box<dyn Model>, Error> {
    let checkpoint = loader.checkpoint();
    let s = config.settings(checkpoint)?;
    if let Some(other) = s.opt_str("hidden_act")?.filter(|&name| name != "gelu_pytorch_tanh") {
        return Err(refused(checkpoint, format!("activation {}", named(other))));
    }
    let variant = Variant {
        interleaved: false,
        biases: Biases::None,
        head_norms: false,
        post_norms: false,
        gains_lack_one: false,
        activation: Activation::Gelu,
        embedding_scale: 1.0,
        logit_cap: None,
        tied: s.opt_bool("tie_word_embeddings")?,
    };
    let rope = Rope::of(checkpoint, &s, 1e4)?.load(loader, "rotary frequencies", config.rotary, None)?;
    let scores = plain_scores(checkpoint, &config, &s)?;
    let kinds = vec![LayerKind { scores, rope }; config.layers as usize];
    Decoder::load(loader, config, &variant, &kinds)
}
