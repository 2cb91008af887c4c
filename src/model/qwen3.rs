//! Qwen 3: queries and keys are normalised head by head, and there are no biases.

use super::config::ModelConfig;
use super::decoder::{Decoder, Variant};
use super::llama::{plain, refuse_attention_bias};
use super::{Family, Model, SamplingDefaults};
use crate::Error;
use crate::weights::Loader;

pub(super) static FAMILY: Family = Family {
    name: "qwen3",
    about: "Qwen 3, dense",
    architectures: &["Qwen3ForCausalLM"],
    model_types: &["qwen3"],
    gguf: &["qwen3"],
    sampling: SamplingDefaults { temperature: 0.6, top_p: 0.95, top_k: 20 },
    names: &[],
    defaults: &[
        ("attention.layer_norm_rms_epsilon", 1e-6),
        ("attention.key_length", 128.0),
        ("attention.head_count_kv", 32.0),
        ("attention.sliding_window", 4096.0),
        ("rope.freq_base", 1e4),
        ("context_length", 32768.0),
    ],
    load,
};

fn load(loader: &mut Loader<'_>, config: ModelConfig) -> Result<Box<dyn Model>, Error> {
    let s = config.settings(loader.checkpoint())?;
    refuse_attention_bias(loader, &s)?;
    let variant = Variant { head_norms: true, ..plain(loader, &s)? };
    Decoder::load_with_windows(loader, config, &variant)
}
