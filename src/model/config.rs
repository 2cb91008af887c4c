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
const MOST_HEADS: u32 = 1 << 14;
/// Query heads that share a key head: decode attention holds their scores in one workgroup.
const MOST_SHARING: u32 = 64;

impl ModelConfig {
    /// Reads the keys `<architecture>.*` and checks that they fit each other.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self, Error> {
        let m = gguf.metadata();
        let architecture = m.str("general.architecture")?.to_owned();
        if !super::architectures().any(|known| known == architecture) {
            return Err(super::unknown(gguf));
        }
        refuse_variants(gguf, &architecture)?;
        let key = |name: &str| format!("{architecture}.{name}");
        let heads = m.u32(&key("attention.head_count"))?;
        let kv_heads = m.opt_u32(&key("attention.head_count_kv"))?.unwrap_or(heads);
        let hidden = m.u32(&key("embedding_length"))?;
        let bad = |what: String| -> Error { weights::Error::Model { file: gguf.path().to_owned(), what }.into() };
        if heads == 0 || kv_heads == 0 || !heads.is_multiple_of(kv_heads) || heads > MOST_HEADS {
            return Err(bad(format!(
                "expected up to {MOST_HEADS} query heads that divide among the key heads, found {heads} and {kv_heads}"
            )));
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
        config.check(value_dim).map_err(bad)?;
        Ok(config)
    }

    /// What is wrong, with what was expected and found.
    fn check(&self, value_dim: u32) -> Result<(), String> {
        let Self { hidden, layers, ffn, context, eps, rope_base, rotary, .. } = *self;
        let head_dim = self.heads.head_dim;
        let expect = |good: bool, what: &str, expected: &str, found: String| {
            if good { Ok(()) } else { Err(format!("{what}: expected {expected}, found {found}")) }
        };
        let count =
            |what: &str, count: u32| expect((1..=MOST).contains(&count), what, "1 to 1048576", count.to_string());
        count("embedding_length", hidden)?;
        count("block_count", layers)?;
        count("feed_forward_length", ffn)?;
        let fits = head_dim > 0 && head_dim.is_multiple_of(4) && head_dim <= 256;
        expect(fits, "elements per head", "a multiple of 4 up to 256", head_dim.to_string())?;
        expect(
            value_dim == head_dim,
            "attention.value_length",
            "as many elements as keys have",
            format!("{value_dim}, not {head_dim}"),
        )?;
        let group = self.heads.group();
        expect(group <= MOST_SHARING, "query heads per key head", "at most 64", group.to_string())?;
        let rotates = rotary > 0 && rotary.is_multiple_of(2) && rotary <= head_dim;
        expect(rotates, "rope.dimension_count", &format!("an even number up to {head_dim}"), rotary.to_string())?;
        expect(context > 0, "context_length", "at least 1", context.to_string())?;
        expect(
            (0.0..=1.0).contains(&eps),
            "attention.layer_norm_rms_epsilon",
            "a number from 0 to 1",
            eps.to_string(),
        )?;
        expect((1.0..=1e12).contains(&rope_base), "rope.freq_base", "a number from 1 to 1e12", rope_base.to_string())
    }
}

/// Refuses what changes a model's results and is not computed here: better no text than a wrong one.
fn refuse_variants(gguf: &Gguf, architecture: &str) -> Result<(), Error> {
    let m = gguf.metadata();
    let key = |name: &str| format!("{architecture}.{name}");
    let refuse = |what: String| -> Result<(), Error> {
        let what = format!("{what} in {}", gguf.path().display());
        Err(weights::Error::Unsupported { what, hint: Some("fetch another model of this family".to_owned()) }.into())
    };
    let scaling = m.opt_str(&key("rope.scaling.type"))?.unwrap_or("linear");
    let factor = m.opt_f32(&key("rope.scaling.factor"))?.or(m.opt_f32(&key("rope.scale_linear"))?).unwrap_or(1.0);
    if scaling != "none" && factor != 1.0 {
        let scaling: String = scaling.chars().take(20).collect();
        return refuse(format!("rope scaling `{}` by {factor}", scaling.escape_debug()));
    }
    if let Some(window) = m.opt_u32(&key("attention.sliding_window"))?.filter(|&window| window > 0) {
        return refuse(format!("attention through a sliding window of {window} tokens"));
    }
    if let Some(experts) = m.opt_u32(&key("expert_count"))?.filter(|&experts| experts > 0) {
        return refuse(format!("a mixture of {experts} experts"));
    }
    Ok(())
}
