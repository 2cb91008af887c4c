//! Hyperparameters that every family has.

use crate::Error;
use crate::kernels::paged::Heads;
use crate::weights::{self, Checkpoint, Settings, TensorNames};

/// Shape of a decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// The family's name.
    pub family: &'static str,
    /// What the checkpoint calls its kind: `model_type`, or GGUF's `general.architecture`.
    pub model_type: String,
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
    /// Elements of a head that are rotated.
    pub rotary: u32,
    /// What the family's Python assumes where a `config.json` is silent.
    pub(super) defaults: &'static [(&'static str, f64)],
}

/// Layers and widths past which a file is damaged rather than large.
const MOST: u32 = 1 << 20;
const MOST_HEADS: u32 = 1 << 14;
/// Query heads that share a key head: decode attention holds their scores in one workgroup.
const MOST_SHARING: u32 = 64;

impl ModelConfig {
    /// Reads what the checkpoint says of its shape and checks that it fits together.
    pub(super) fn read(
        family: &'static str,
        checkpoint: &Checkpoint,
        names: &TensorNames,
        defaults: &'static [(&'static str, f64)],
    ) -> Result<Self, Error> {
        let s = checkpoint.settings()?.with_defaults(defaults);
        refuse_variants(checkpoint, &s)?;
        let heads = s.u32("attention.head_count")?;
        let kv_heads = s.opt_u32("attention.head_count_kv")?.unwrap_or(heads);
        let hidden = s.u32("embedding_length")?;
        let bad = |what: String| -> Error {
            weights::Error::Model { file: checkpoint.config_path().to_owned(), what }.into()
        };
        if heads == 0 || kv_heads == 0 || !heads.is_multiple_of(kv_heads) || heads > MOST_HEADS {
            return Err(bad(format!(
                "expected up to {MOST_HEADS} query heads that divide among the key heads, found {heads} and {kv_heads}"
            )));
        }
        let head_dim = s.opt_u32("attention.key_length")?.unwrap_or(hidden / heads);
        let value_dim = s.opt_u32("attention.value_length")?.unwrap_or(head_dim);
        let part = if s.is_json() { s.opt_f32("partial_rotary_factor")? } else { None };
        let rotary = match part {
            Some(part) => (head_dim as f32 * part) as u32,
            None => s.opt_u32("rope.dimension_count")?.unwrap_or(head_dim),
        };
        let vocab = checkpoint.rows(&names.native("token_embd.weight"))?;
        let config = Self {
            family,
            model_type: s.model_type()?.to_owned(),
            vocab: u32::try_from(vocab).map_err(|_| bad(format!("a vocabulary of {vocab} entries")))?,
            hidden,
            layers: s.u32("block_count")?,
            ffn: s.u32("feed_forward_length")?,
            heads: Heads { heads, kv_heads, head_dim },
            context: s.u32("context_length")?,
            eps: s.f32("attention.layer_norm_rms_epsilon")?,
            rotary,
            defaults,
        };
        config.check(value_dim).map_err(bad)?;
        Ok(config)
    }

    /// The settings of the same checkpoint, for what the family alone has.
    pub(super) fn settings<'a>(&self, checkpoint: &'a Checkpoint) -> Result<Settings<'a>, Error> {
        Ok(checkpoint.settings()?.with_defaults(self.defaults))
    }

    /// What is wrong, with what was expected and found.
    fn check(&self, value_dim: u32) -> Result<(), String> {
        let Self { hidden, layers, ffn, context, eps, rotary, .. } = *self;
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
        expect((0.0..=1.0).contains(&eps), "attention.layer_norm_rms_epsilon", "a number from 0 to 1", eps.to_string())
    }
}

/// Refuses what changes a model's results and is not computed here: better no text than a wrong one.
fn refuse_variants(checkpoint: &Checkpoint, s: &Settings<'_>) -> Result<(), Error> {
    if let Some(experts) = s.opt_u32("expert_count")?.filter(|&experts| experts > 0) {
        return Err(refused(checkpoint, format!("a mixture of {experts} experts")));
    }
    Ok(())
}

/// An error for what a file asks for and no family computes.
pub(super) fn refused(checkpoint: &Checkpoint, what: String) -> Error {
    let what = format!("{what} in {}", checkpoint.config_path().display());
    weights::Error::Unsupported { what, hint: Some("fetch another model of this family".to_owned()) }.into()
}
