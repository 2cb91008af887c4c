//! The tensors that a model of a shape has, by GGUF's names, and what their numbers are like.

use super::shape::Shape;

/// A tensor: its name in GGUF, its dimensions with the contiguous one first, and its numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor {
    pub(super) name: String,
    pub(super) dims: Vec<u64>,
    pub(super) mean: f32,
    pub(super) deviation: f32,
}

impl Tensor {
    /// Whether it is a matrix, which may be quantized; vectors stay as they are.
    pub(super) fn is_matrix(&self) -> bool {
        self.dims.len() > 1
    }

    /// Its layer and the name within it, or of the whole model.
    pub(super) fn part(&self) -> (Option<u64>, &str) {
        let stem = self.name.rsplit_once('.').map_or(self.name.as_str(), |(stem, _)| stem);
        match stem.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) {
            Some((layer, part)) => (layer.parse().ok(), part),
            None => (None, stem),
        }
    }
}

/// Gains of norms lie around 1, of which Gemma's safetensors leave the one out.
const GAIN: f32 = 0.05;
const BIAS: f32 = 0.02;

/// Every tensor, in the order in which files have them. Weights have the deviation 1/√columns, so that a product of normalised
/// activations is of size 1 and logits stay sane at any depth. `gains` is what those of norms lie around.
pub(super) fn tensors(shape: &Shape, gains: f32) -> Vec<Tensor> {
    let Shape { vocab, hidden, ffn, head_dim, .. } = *shape;
    let (query, key) = (shape.heads * head_dim, shape.kv_heads * head_dim);
    let matrix = |name: String, cols: u64, rows: u64| Tensor {
        name: format!("{name}.weight"),
        dims: vec![cols, rows],
        mean: 0.0,
        deviation: (cols as f32).sqrt().recip(),
    };
    let norm = |name: String, length: u64| Tensor {
        name: format!("{name}.weight"),
        dims: vec![length],
        mean: gains,
        deviation: GAIN,
    };
    let family = shape.family.name;
    let gemma = family.starts_with("gemma");
    let mut all = vec![matrix("token_embd".to_owned(), hidden, vocab)];
    for layer in 0..shape.layers {
        let name = |part: &str| format!("blk.{layer}.{part}");
        all.push(norm(name("attn_norm"), hidden));
        for (part, rows) in [("attn_q", query), ("attn_k", key), ("attn_v", key)] {
            all.push(matrix(name(part), hidden, rows));
            if family == "qwen2" {
                all.push(Tensor { name: format!("{}.bias", name(part)), dims: vec![rows], mean: 0.0, deviation: BIAS });
            }
        }
        if matches!(family, "qwen3" | "gemma3") {
            all.extend(["attn_q_norm", "attn_k_norm"].map(|part| norm(name(part), head_dim)));
        }
        all.push(matrix(name("attn_output"), query, hidden));
        if gemma {
            all.push(norm(name("post_attention_norm"), hidden));
        }
        all.push(norm(name("ffn_norm"), hidden));
        all.extend(
            [("ffn_gate", hidden, ffn), ("ffn_up", hidden, ffn)]
                .map(|(part, cols, rows)| matrix(name(part), cols, rows)),
        );
        all.push(matrix(name("ffn_down"), ffn, hidden));
        if gemma {
            all.push(norm(name("post_ffw_norm"), hidden));
        }
    }
    all.push(norm("output_norm".to_owned(), hidden));
    if !shape.tied {
        all.push(matrix("output".to_owned(), hidden, vocab));
    }
    all
}

/// How many numbers a model has.
pub(super) fn parameters(tensors: &[Tensor]) -> u64 {
    tensors.iter().map(|tensor| tensor.dims.iter().product::<u64>()).sum()
}
