//! What a file calls the tensors that a family asks for.
//!
//! GGUF's names are the canon, because they give each role one name in all families: `blk.3.ffn_norm.weight` stands in front of
//! the feed-forward block, whatever a family's Python calls it.

use super::Checkpoint;

/// A tensor's role in GGUF and in Hugging Face checkpoints: of the whole model, or of a layer.
pub type Translation = (&'static str, &'static str);

const COMMON: &[Translation] = &[
    ("token_embd", "embed_tokens"),
    ("output_norm", "norm"),
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// Where the language model of a checkpoint begins, and its head: alone, or beside one that sees.
const PREFIXES: &[(&str, &str)] =
    &[("model.", "lm_head"), ("language_model.model.", "language_model.lm_head"), ("model.language_model.", "lm_head")];

/// Names of one checkpoint.
#[derive(Clone, Debug)]
pub struct TensorNames {
    /// `None` where the canon holds.
    prefix: Option<(&'static str, &'static str)>,
    family: &'static [Translation],
}

impl TensorNames {
    /// The names that `checkpoint` uses. `family` goes before what all families share.
    pub fn of(checkpoint: &Checkpoint, family: &'static [Translation]) -> Self {
        let prefix = checkpoint.gguf().is_none().then(|| {
            let begins = |(prefix, _): &&(&str, &str)| checkpoint.has(&format!("{prefix}embed_tokens.weight"));
            *PREFIXES.iter().find(begins).unwrap_or(&PREFIXES[0])
        });
        Self { prefix, family }
    }

    /// The names of a model of Hugging Face's and MLX's kind that is text alone.
    pub fn plain(family: &'static [Translation]) -> Self {
        Self { prefix: Some(PREFIXES[0]), family }
    }

    /// The names that the same model has as a checkpoint of Hugging Face's and MLX's kind, whatever this one is.
    #[must_use]
    pub fn hugging_face(&self) -> Self {
        let prefix = match self.prefix {
            // transformers moved `model` to the front, and MLX did not follow.
            Some(("model.language_model.", _)) => PREFIXES[1],
            Some(prefix) => prefix,
            None => PREFIXES[0],
        };
        Self { prefix: Some(prefix), ..*self }
    }

    /// Whether `name` has a translation, so that [`TensorNames::native`] does not give it back as it is.
    pub fn translates(&self, name: &str) -> bool {
        let Parts { role, .. } = Parts::of(name);
        role == "output" || self.translated(role).is_some()
    }

    /// What Hugging Face checkpoints of the family call a role.
    fn translated(&self, role: &str) -> Option<&'static str> {
        self.family.iter().chain(COMMON).find(|(canonical, _)| *canonical == role).map(|(_, name)| *name)
    }

    /// What the file calls `name`, such as `blk.3.attn_q.weight`.
    pub fn native(&self, name: &str) -> String {
        let Some((prefix, head)) = self.prefix else { return name.to_owned() };
        let Parts { layer, role, suffix } = Parts::of(name);
        if layer.is_none() && role == "output" {
            return format!("{head}.{suffix}");
        }
        let layer = layer.map_or_else(String::new, |index| format!("layers.{index}."));
        let role = self.translated(role).unwrap_or(role);
        format!("{prefix}{layer}{role}.{suffix}")
    }
}

/// A name of the canon, taken apart: `blk.3.attn_q.weight` is layer `3`, role `attn_q`, suffix `weight`.
struct Parts<'a> {
    layer: Option<&'a str>,
    role: &'a str,
    suffix: &'a str,
}

impl<'a> Parts<'a> {
    fn of(name: &'a str) -> Self {
        let (stem, suffix) = name.rsplit_once('.').unwrap_or((name, "weight"));
        match stem.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) {
            Some((layer, role)) => Self { layer: Some(layer), role, suffix },
            None => Self { layer: None, role: stem, suffix },
        }
    }
}
