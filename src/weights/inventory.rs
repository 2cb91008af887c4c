//! What a checkpoint holds, weight by weight, for listings: also of models that no family here loads.

use super::Checkpoint;
use super::format;
use super::gguf::{Gguf, Metadata};
use super::packed::Said;
use super::safetensors::{Dtype, SafeTensor, Safetensors};
use serde::Serialize;

/// A weight: one tensor, or the three that MLX makes of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weight<'a> {
    /// Its name in the file.
    pub name: &'a str,
    /// What it is for, as far as its name tells.
    pub role: Role,
    /// How it is stored: the name of its type or format, such as `Q4_1`, `BF16` or `MLX4_G64_BF16`.
    pub kind: String,
    /// Whether this build has kernels for that.
    pub readable: bool,
    /// How many numbers it stands for; `None` where they were packed in an unknown way.
    pub elements: Option<u64>,
    /// Bytes in the file.
    pub bytes: u64,
}

/// What a weight is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Rows for tokens, and for positions where these are learnt.
    Embedding,
    /// Projections in and out of attention.
    Attention,
    /// Feed-forward blocks, those of experts included.
    Mlp,
    /// Gains and biases of norms.
    Norms,
    /// From the residual stream to logits, where it is no copy of the embedding.
    Head,
    /// Anything else; what a model that also sees has for that.
    Other,
}

impl Role {
    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedding => "embedding",
            Self::Attention => "attention",
            Self::Mlp => "mlp",
            Self::Norms => "norms",
            Self::Head => "head",
            Self::Other => "other",
        }
    }

    /// By the words that names of tensors are made of, in GGUF and in Hugging Face's checkpoints. The first that occurs counts.
    fn of(name: &str) -> Self {
        const WORDS: &[(&str, Role)] = &[
            ("vision", Role::Other),
            ("multi_modal", Role::Other),
            ("audio", Role::Other),
            ("norm", Role::Norms),
            ("ln_", Role::Norms),
            ("token_embd", Role::Embedding),
            ("position_embd", Role::Embedding),
            ("embed_tokens", Role::Embedding),
            ("wte", Role::Embedding),
            ("wpe", Role::Embedding),
            ("lm_head", Role::Head),
            ("attn", Role::Attention),
            ("attention", Role::Attention),
            ("ffn", Role::Mlp),
            ("mlp", Role::Mlp),
            ("feed_forward", Role::Mlp),
            ("expert", Role::Mlp),
        ];
        match WORDS.iter().find(|(word, _)| name.contains(word)) {
            _ if name == "output.weight" => Self::Head,
            Some((_, role)) => *role,
            None => Self::Other,
        }
    }
}

impl Weight<'_> {
    /// Whether it was trained. Frequencies of rotary positions follow from the hyperparameters, and some files store them.
    pub fn is_parameter(&self) -> bool {
        !["rope_freqs", "attn_rot_embd", "inv_freq"].iter().any(|word| self.name.contains(word))
    }
}

impl Checkpoint {
    /// Its weights, in the order of their names.
    pub fn inventory(&self) -> Vec<Weight<'_>> {
        let mut found = match (self.gguf(), self.safetensors()) {
            (Some(gguf), _) => of_gguf(gguf),
            (None, Some((tensors, config))) => of_folder(self, tensors, config),
            (None, None) => Vec::new(),
        };
        found.sort_by_key(|weight| weight.name);
        found
    }
}

fn of_gguf(gguf: &Gguf) -> Vec<Weight<'_>> {
    let weights = gguf.tensors().map(|tensor| Weight {
        name: &tensor.name,
        role: Role::of(&tensor.name),
        kind: tensor.kind.name().to_owned(),
        readable: format::named(&tensor.kind.name().to_lowercase()).is_some(),
        elements: Some(tensor.elements()),
        bytes: tensor.bytes,
    });
    weights.collect()
}

fn of_folder<'a>(checkpoint: &'a Checkpoint, tensors: &'a Safetensors, config: &Metadata) -> Vec<Weight<'a>> {
    // What belongs to a packed weight is no weight of its own.
    let owner = |tensor: &SafeTensor| {
        let (layer, part) = tensor.name.rsplit_once('.')?;
        let weight = tensors.find(&format!("{layer}.weight"))?;
        (matches!(part, "scales" | "biases") && weight.dtype == Dtype::U32).then_some(weight)
    };
    let weight = |tensor: &'a SafeTensor| {
        let plain = Weight {
            name: &tensor.name,
            role: Role::of(&tensor.name),
            kind: format!("{:?}", tensor.dtype),
            readable: format::named(&format!("{:?}", tensor.dtype).to_lowercase()).is_some(),
            elements: Some(product(&tensor.shape)),
            bytes: tensor.bytes,
        };
        match tensor.dtype {
            Dtype::U32 => packed(checkpoint, tensors, config, plain),
            _ => plain,
        }
    };
    tensors.tensors().filter(|tensor| owner(tensor).is_none()).map(weight).collect()
}

/// A packed weight with its scales and biases. Where the shapes do not tell what it stands for, its bytes alone are known.
fn packed<'a>(checkpoint: &'a Checkpoint, tensors: &Safetensors, config: &Metadata, weight: Weight<'a>) -> Weight<'a> {
    let layer = weight.name.strip_suffix(".weight").unwrap_or(weight.name);
    let part = |name: &str| tensors.find(&format!("{layer}.{name}"));
    let scales = part("scales");
    let bytes = weight.bytes + [scales, part("biases")].into_iter().flatten().map(|part| part.bytes).sum::<u64>();
    let group = Said::of(config, layer).ok().and_then(|said| said.group);
    let groups = scales.and_then(|scales| scales.shape.last().copied());
    let cols = group.zip(groups).and_then(|(group, groups)| group.checked_mul(groups));
    match cols.and_then(|cols| checkpoint.stored(weight.name, cols).ok()) {
        Some(stored) => Weight {
            kind: stored.format.map_or(stored.kind, |format| format.name.to_uppercase()),
            readable: stored.format.is_some(),
            elements: Some(product(&stored.dims)),
            bytes,
            ..weight
        },
        None => Weight { kind: "packed".to_owned(), readable: false, elements: None, bytes, ..weight },
    }
}

/// Sizes of empty tensors may multiply to anything.
fn product(dims: &[u64]) -> u64 {
    if dims.contains(&0) { 0 } else { dims.iter().fold(1, |product, &dim| product.saturating_mul(dim)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_both_kinds_of_checkpoints_tell_roles() {
        for (role, names) in [
            (Role::Embedding, ["token_embd.weight", "model.embed_tokens.weight"]),
            (Role::Head, ["output.weight", "language_model.lm_head.weight"]),
            (Role::Norms, ["blk.3.attn_q_norm.weight", "model.layers.3.post_attention_layernorm.weight"]),
            (Role::Norms, ["output_norm.weight", "model.norm.weight"]),
            (Role::Attention, ["blk.3.attn_output.weight", "model.layers.3.self_attn.o_proj.weight"]),
            (Role::Mlp, ["blk.3.ffn_down_exps.weight", "model.layers.3.block_sparse_moe.experts.1.w1.weight"]),
            (Role::Other, ["rope_freqs.weight", "vision_tower.layers.3.self_attn.q_proj.weight"]),
        ] {
            for name in names {
                assert_eq!(Role::of(name), role, "{name}");
            }
        }
    }
}
