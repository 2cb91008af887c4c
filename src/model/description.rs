//! What a model computes, for people and scripts that look at it.

use super::Rope;
use serde::Serialize;

/// What a model computes besides the shape that its [`ModelConfig`](super::ModelConfig) tells: as it was loaded, so as it runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Description {
    /// What opens the feed-forward gate: `silu` or `gelu_tanh`.
    pub activation: &'static str,
    /// Factor of the embeddings.
    pub embedding_scale: f32,
    /// The head repeats the embedding.
    pub tied_head: bool,
    /// Queries, keys and values have biases.
    pub biases: bool,
    /// Query and key heads are normalised before they are rotated.
    pub head_norms: bool,
    /// What the blocks compute is normalised before it joins the residual stream.
    pub post_norms: bool,
    /// Bends the logits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logit_cap: Option<f32>,
    /// One for each layer.
    pub layers: Vec<LayerDescription>,
}

/// What may differ from layer to layer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LayerDescription {
    /// How many keys a query sees at most, its own included; all where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<u32>,
    /// Factor of the scores.
    pub score_scale: f32,
    /// Bends the scores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score_cap: Option<f32>,
    /// Rotary positions.
    pub rope: Rope,
}
