//! Hyperparameters that every family has.

use crate::Error;
use crate::kernels::paged::Heads;
use crate::weights;
use crate::weights::gguf::Gguf;

/// Shape of a decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// `general.architecture`.
    pub architecture: String,
    /// Entries of the vocabulary.
    pub vocab: u32,
    /// Width of the residual stream.
    pub hidden: u32,
    /// Decoder layers.
    pub layers: u32,
    /// Width of the feed-forward block.
    pub ffn: u32,
    /// Attention heads.
    pub heads: Heads,
    /// Most tokens the model was made for.
    pub context: u32,
    /// Epsilon of the norms.
    pub eps: f32,
    /// Base of the rotary frequencies.
    pub rope_base: f32,
    /// Elements of a head that are rotated.
    pub rotary: u32,
}

/// Layers and widths past which a file is damaged rather than large.
const MOST: u32 = 1 << 20;

impl ModelConfig {
    /// Reads the keys `<architecture>.*` and checks that they fit each other.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self, Error> {
        let m = gguf.metadata();
        let architecture = m.str("general.architecture")?.to_owned();
        let key = |name: &str| format!("{architecture}.{name}");
        let heads = m.u32(&key("attention.head_count"))?;
        let kv_heads = m.opt_u32(&key("attention.head_count_kv"))?.unwrap_or(heads);
        let hidden = m.u32(&key("embedding_length"))?;
        let bad = |what: String| -> Error { weights::Error::Model { file: gguf.path().to_owned(), what }.into() };
        if heads == 0 || kv_heads == 0 || !heads.is_multiple_of(kv_heads) || heads > MOST {
            return Err(bad(format!("{heads} query heads do not divide among {kv_heads} key heads")));
        }
        let head_dim = m.opt_u32(&key("attention.key_length"))?.unwrap_or(hidden / heads);
        let value_dim = m.opt_u32(&key("attention.value_length"))?.unwrap_or(head_dim);
        let vocab = gguf.tensor("token_embd.weight")?.rows();
        let config = Self {
            vocab: u32::try_from(vocab).map_err(|_| bad(format!("a vocabulary of {vocab} entries")))?,
            hidden,
            layers: m.u32(&key("block_count"))?,
            ffn: m.u32(&key("feed_forward_length"))?,
            heads: Heads { heads, kv_heads, head_dim },
            context: m.u32(&key("context_length"))?,
            eps: m.f32(&key("attention.layer_norm_rms_epsilon"))?,
            rope_base: m.opt_f32(&key("rope.freq_base"))?.unwrap_or(10_000.0),
            rotary: m.opt_u32(&key("rope.dimension_count"))?.unwrap_or(head_dim),
            architecture,
        };
        let (rotary, context) = (config.rotary, config.context);
        if value_dim != head_dim {
            return Err(bad(format!("keys of {head_dim} and values of {value_dim} elements per head")));
        }
        if head_dim == 0 || !head_dim.is_multiple_of(4) || head_dim > 256 {
            return Err(bad(format!("heads of {head_dim} elements: expected a multiple of 4 up to 256")));
        }
        if rotary == 0 || !rotary.is_multiple_of(2) || rotary > head_dim {
            return Err(bad(format!("{rotary} rotated elements in heads of {head_dim}")));
        }
        if config.layers == 0 || config.layers > MOST || hidden == 0 || hidden > MOST || config.ffn == 0 || config.ffn > MOST {
            return Err(bad(format!("{} layers of width {hidden} and {}", config.layers, config.ffn)));
        }
        if context == 0 || !config.eps.is_finite() || !config.rope_base.is_finite() || config.rope_base <= 0.0 {
            return Err(bad(format!("context {context}, epsilon {}, rotary base {}", config.eps, config.rope_base)));
        }
        Ok(config)
    }
}
