//! Mistral: llama's blocks, and attention through a sliding window in some of its models. GGUF files call it llama.

use super::config::ModelConfig;
use super::decoder::{Decoder, LayerKind};
use super::llama::{plain, window};
use super::rope::Rope;
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
        ("rope.freq_base", 1e4),
        ("context_length", 131_072.0),
    ],
    load,
};

fn load(loader: &mut Loader<'_>, config: ModelConfig) -> Result<Box<dyn Model>, Error> {
    let s = config.settings(loader.checkpoint())?;
    let variant = plain(loader, &s)?;
    let frequencies = Rope::of(loader.checkpoint(), &s, 1e4)?.frequencies(config.rotary, None);
    let frequencies = loader.upload_vector("rotary frequencies", &frequencies)?;
    let scores = Scores { window: window(&s)?, ..Scores::plain(config.heads.head_dim) };
    let kinds = vec![LayerKind { scores, frequencies }; config.layers as usize];
    Decoder::load(loader, config, &variant, &kinds)
}
