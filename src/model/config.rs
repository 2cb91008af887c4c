//! Hyperparameters that every family has.

use crate::Error;
use crate::kernels::paged::Heads;
use crate::weights::{self, Checkpoint, Settings, TensorNames};
use serde::Serialize;

/// Shape of a decoder.
#[derive(Clone, Debug, PartialEq, Serialize)]
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
    #[serde(flatten)]
    pub heads: Heads,
    /// Most tokens the model was made for.
    pub context: u32,
    /// Epsilon of the norms.
    pub eps: f32,
    /// Elements of a head that are rotated.
    pub rotary: u32,
    /// What the family's Python assumes where a `config.json` is silent.
    #[serde(skip)]
    pub(super) defaults: &'static [(&'static str, f64)],
}

/// Widths, layers and heads past which a file is damaged rather than large.
const MOST: u32 = 1 << 20;
const MOST_LAYERS: u32 = 1 << 12;
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
        let bad = |what: String| inconsistent(checkpoint, what);
        if heads == 0 || kv_heads == 0 || !heads.is_multiple_of(kv_heads) || heads > MOST_HEADS {
            return Err(bad(format!(
                "expected up to {MOST_HEADS} query heads that divide among the key heads, found {heads} and {kv_heads}"
            )));
        }
        let head_dim = match s.opt_u32("attention.key_length")? {
            Some(head_dim) => head_dim,
            None if hidden.is_multiple_of(heads) => hidden / heads,
            None => {
                let key = s.spelled("embedding_length");
                return Err(bad(format!("{key}: expected a multiple of the {heads} heads, found {hidden}")));
            }
        };
        // A config.json has no such keys, and would not be asked for them.
        let gguf = |key: &str| if s.is_json() { Ok(None) } else { s.opt_u32(key) };
        let config = Self {
            family,
            model_type: s.model_type()?.to_owned(),
            vocab: vocabulary(checkpoint, &s, &names.native("token_embd.weight"))?,
            hidden,
            layers: s.u32("block_count")?,
            ffn: s.u32("feed_forward_length")?,
            heads: Heads { heads, kv_heads, head_dim },
            context: s.u32("context_length")?,
            eps: s.f32("attention.layer_norm_rms_epsilon")?,
            rotary: gguf("rope.dimension_count")?.unwrap_or(head_dim),
            defaults,
        };
        config.check(&s, gguf("attention.value_length")?.unwrap_or(head_dim)).map_err(bad)?;
        Ok(config)
    }

    /// The settings of the same checkpoint, for what the family alone has.
    pub(super) fn settings<'a>(&self, checkpoint: &'a Checkpoint) -> Result<Settings<'a>, Error> {
        Ok(checkpoint.settings()?.with_defaults(self.defaults))
    }

    /// What is wrong, with what was expected and found.
    fn check(&self, s: &Settings<'_>, value_dim: u32) -> Result<(), String> {
        let Self { hidden, layers, ffn, context, eps, rotary, .. } = *self;
        let head_dim = self.heads.head_dim;
        let expect = |good: bool, what: &str, expected: &str, found: String| {
            if good { Ok(()) } else { Err(format!("{what}: expected {expected}, found {found}")) }
        };
        let count = |key: &str, count: u32, most: u32| {
            expect((1..=most).contains(&count), &s.spelled(key), &format!("1 to {most}"), count.to_string())
        };
        count("embedding_length", hidden, MOST)?;
        count("block_count", layers, MOST_LAYERS)?;
        count("feed_forward_length", ffn, MOST)?;
        let fits = head_dim > 0 && head_dim.is_multiple_of(4) && head_dim <= 256;
        expect(fits, "elements per head", "a multiple of 4 up to 256", head_dim.to_string())?;
        let values = format!("{value_dim}, not {head_dim}");
        expect(value_dim == head_dim, "attention.value_length", "as many elements as keys have", values)?;
        let group = self.heads.group();
        expect(group <= MOST_SHARING, "query heads per key head", "at most 64", group.to_string())?;
        let rotates = rotary > 0 && rotary.is_multiple_of(2) && rotary <= head_dim;
        expect(rotates, "rope.dimension_count", &format!("an even number up to {head_dim}"), rotary.to_string())?;
        expect(context > 0, &s.spelled("context_length"), "at least 1", context.to_string())?;
        let key = s.spelled("attention.layer_norm_rms_epsilon");
        expect((0.0..=1.0).contains(&eps), &key, "a number from 0 to 1", eps.to_string())
    }
}

/// Entries of the vocabulary: the embedding's rows, which a `config.json` must agree with.
fn vocabulary(checkpoint: &Checkpoint, s: &Settings<'_>, embedding: &str) -> Result<u32, Error> {
    let rows = checkpoint.rows(embedding)?;
    let bad = |expected: &str, found: u64| {
        inconsistent(checkpoint, format!("vocabulary: expected {expected}, found {found}"))
    };
    let vocab = u32::try_from(rows).ok().filter(|&rows| rows > 0);
    let vocab = vocab.ok_or_else(|| bad("an embedding of 1 to 4294967295 rows", rows))?;
    let said = if s.is_json() { s.opt_u32("vocab_size")? } else { None };
    match said.filter(|&said| said != vocab) {
        Some(said) => Err(bad(&format!("{} to be the embedding's {vocab} rows", s.spelled("vocab_size")), said.into())),
        None => Ok(vocab),
    }
}

/// Factors that a GGUF file may have and no family here applies, with the value that changes nothing. Zero means absent too.
const FACTORS: &[(&str, f32)] = &[
    ("embedding_scale", 1.0),
    ("residual_scale", 1.0),
    ("logit_scale", 1.0),
    ("rope.scaling.attn_factor", 1.0),
    ("attention.clamp_kqv", 0.0),
    ("attention.max_alibi_bias", 0.0),
];

/// Switches of a `config.json`, and the only position of each that is computed here.
const SWITCHES: &[(&str, bool)] = &[("mlp_bias", false), ("use_bidirectional_attention", false), ("is_causal", true)];
/// The share of a head that is rotated: no family here leaves one out, and transformers computes none that asks for it.
pub(super) const PARTIAL: &str = "partial_rotary_factor";

/// Refuses what changes a model's results and is not computed here: better no text than a wrong one.
fn refuse_variants(checkpoint: &Checkpoint, s: &Settings<'_>) -> Result<(), Error> {
    if let Some(experts) = s.opt_u32("expert_count")?.filter(|&experts| experts > 0) {
        return Err(refused(checkpoint, format!("a mixture of {experts} experts")));
    }
    if !s.is_json() {
        if s.opt_bool("attention.causal")? == Some(false) {
            return Err(refused(checkpoint, "attention to later tokens (`attention.causal`)".to_owned()));
        }
        for (key, neutral) in FACTORS {
            if let Some(factor) = s.opt_f32(key)?.filter(|factor| factor != neutral && *factor != 0.0) {
                return Err(refused(checkpoint, format!("`{key}` of {factor}")));
            }
        }
        return Ok(());
    }
    for (key, computed) in SWITCHES {
        if let Some(other) = s.opt_bool(key)?.filter(|on| on != computed) {
            return Err(refused(checkpoint, format!("`{key}` of {other}")));
        }
    }
    if let Some(part) = s.opt_f32(PARTIAL)?.filter(|&part| part != 1.0) {
        return Err(refused(checkpoint, format!("`{PARTIAL}` of {part}")));
    }
    // MLX has a table of its own beside what the model came from.
    match s.opt_str("quantization_config.quant_method")?.filter(|_| !s.has("quantization")) {
        Some(method) => Err(refused(checkpoint, format!("quantization {}", named(method)))),
        None => Ok(()),
    }
}

/// A word from a stranger's file as it may stand in a message.
pub(super) fn named(word: &str) -> String {
    format!("`{}`", word.chars().take(40).collect::<String>().escape_debug())
}

/// An error for what a file asks for and no family computes.
pub(super) fn refused(checkpoint: &Checkpoint, what: String) -> Error {
    let what = format!("{what} in {}", checkpoint.config_path().display());
    weights::Error::Unsupported { what, hint: Some("fetch another model or variant of this family".to_owned()) }.into()
}

/// An error for hyperparameters that are out of range or contradict each other.
pub(super) fn inconsistent(checkpoint: &Checkpoint, what: String) -> Error {
    weights::Error::Model { file: checkpoint.config_path().to_owned(), what }.into()
}
