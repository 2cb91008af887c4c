//! The decoder that families of dense transformers share: attention and a gated feed-forward block per layer, RMS norms, rotary
//! positions. A family says what differs.

use super::rope::{LoadedRope, Rope};
use super::{Description, LayerDescription, Model, ModelConfig};
use crate::Error;
use crate::cache::Cache;
use crate::graph::{Matrix, Recorder, Tensor};
use crate::kernels::embed::embed;
use crate::kernels::gate_mul::Activation;
use crate::kernels::matvec::MAX_WIDTH;
use crate::kernels::paged::Scores;
use crate::kernels::rope_store::{HeadPrelude, Rotary};
use crate::kernels::softcap::softcap;
use crate::layers::{Attention, Batch, Mlp, Norm, Rows, head};
use crate::weights::Loader;

/// What a family's decoder does differently from the plainest one.
pub(super) struct Variant {
    /// Pairs of rotated elements are neighbours.
    pub(super) interleaved: bool,
    /// Queries, keys and values have biases.
    pub(super) biases: Biases,
    /// Query and key heads are normalised before they are rotated.
    pub(super) head_norms: bool,
    /// What the blocks compute is normalised before it joins the residual stream.
    pub(super) post_norms: bool,
    /// The file's gains lack the one that is to be added to them.
    pub(super) gains_lack_one: bool,
    /// What opens the feed-forward gate.
    pub(super) activation: Activation,
    /// Factor of the embeddings.
    pub(super) embedding_scale: f32,
    /// Bends the logits.
    pub(super) logit_cap: Option<f32>,
    /// Whether the file says that the head repeats the embedding.
    pub(super) tied: Option<bool>,
}

/// Whether a family has biases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Biases {
    /// Never.
    None,
    /// Where the file has them.
    AsStored,
    /// Always.
    Required,
}

/// What differs from layer to layer.
#[derive(Clone, Debug)]
pub(super) struct LayerKind {
    /// Scale, cap and window of attention's scores.
    pub(super) scores: Scores,
    /// Rotary positions.
    pub(super) rope: LoadedRope,
}

impl LayerKind {
    /// A kind per layer that differs in the window alone.
    pub(super) fn windowed(windows: Vec<Option<u32>>, scores: Scores, rope: LoadedRope) -> Vec<Self> {
        windows.into_iter().map(|window| Self { scores: Scores { window, ..scores }, rope }).collect()
    }
}

pub(super) struct Decoder {
    config: ModelConfig,
    embedding: Matrix,
    embedding_scale: f32,
    layers: Vec<Layer>,
    norm: Norm,
    head: Matrix,
    tied: bool,
    logit_cap: Option<f32>,
    weight_bytes: u64,
}

struct Layer {
    attention: Attention,
    rope: Rope,
    mlp: Mlp,
}

impl Decoder {
    /// Loads the weights of `config`'s shape; `kinds` has one entry per layer.
    pub(super) fn load(
        loader: &mut Loader<'_>,
        config: ModelConfig,
        variant: &Variant,
        kinds: &[LayerKind],
    ) -> Result<Box<dyn Model>, Error> {
        let hidden = config.hidden;
        let embedding = loader.matrix(&[("token_embd.weight", config.vocab)], hidden)?;
        let mut layers = Vec::new();
        for (index, kind) in kinds.iter().enumerate() {
            layers.push(layer(loader, &config, variant, index, kind)?);
        }
        let norm = norm(loader, &config, variant, "output_norm.weight")?;
        let tied = repeats_embedding(loader, variant, hidden)?;
        let head = if tied { embedding.clone() } else { loader.matrix(&[("output.weight", config.vocab)], hidden)? };
        let (embedding_scale, logit_cap) = (variant.embedding_scale, variant.logit_cap);
        let weight_bytes = loader.resident();
        Ok(Box::new(Self { config, embedding, embedding_scale, layers, norm, head, tied, logit_cap, weight_bytes }))
    }
}

/// Whether the embedding serves as head too: where the file has no head or, as transformers decides it, where it says that both
/// are one and holds two equal ones. Two that differ are two, whatever it says.
fn repeats_embedding(loader: &mut Loader<'_>, variant: &Variant, hidden: u32) -> Result<bool, Error> {
    let (head, embedding) = ("output.weight", "token_embd.weight");
    match (variant.tied, loader.has(head)) {
        (Some(false), _) | (None, true) => Ok(false),
        (_, false) => Ok(true),
        (Some(true), true) => loader.repeats(head, embedding, hidden),
    }
}

fn layer(
    loader: &mut Loader<'_>,
    config: &ModelConfig,
    variant: &Variant,
    index: usize,
    kind: &LayerKind,
) -> Result<Layer, Error> {
    let (hidden, heads) = (config.hidden, config.heads);
    let name = |part: &str| format!("blk.{index}.{part}.weight");
    let kv = heads.kv_heads * heads.head_dim;
    let qkv = [(name("attn_q"), heads.query_cols()), (name("attn_k"), kv), (name("attn_v"), kv)];
    let gate_up = [(name("ffn_gate"), config.ffn), (name("ffn_up"), config.ffn)];
    let [attention_post, mlp_post] = if variant.post_norms {
        [
            Some(norm(loader, config, variant, &name("post_attention_norm"))?),
            Some(norm(loader, config, variant, &name("post_ffw_norm"))?),
        ]
    } else {
        [None, None]
    };
    let attention = Attention {
        norm: norm(loader, config, variant, &name("attn_norm"))?,
        qkv: loader.matrix(&qkv.each_ref().map(|(name, rows)| (name.as_str(), *rows)), hidden)?,
        prelude: prelude(loader, config, variant, index)?,
        output: loader.matrix(&[(&name("attn_output"), hidden)], heads.query_cols())?,
        post: attention_post,
        heads,
        rotary: Rotary { frequencies: kind.rope.frequencies, interleaved: variant.interleaved },
        scores: kind.scores,
    };
    let mlp = Mlp {
        norm: norm(loader, config, variant, &name("ffn_norm"))?,
        gate_up: loader.matrix(&gate_up.each_ref().map(|(name, rows)| (name.as_str(), *rows)), hidden)?,
        activation: variant.activation,
        down: loader.matrix(&[(&name("ffn_down"), hidden)], config.ffn)?,
        post: mlp_post,
    };
    Ok(Layer { attention, rope: kind.rope.rope, mlp })
}

/// Biases and norms of heads, each stacked in the order of `qkv`.
fn prelude(
    loader: &mut Loader<'_>,
    config: &ModelConfig,
    variant: &Variant,
    index: usize,
) -> Result<HeadPrelude, Error> {
    let heads = config.heads;
    let kv = heads.kv_heads * heads.head_dim;
    let [q, k, v] = ["attn_q", "attn_k", "attn_v"].map(|part| format!("blk.{index}.{part}.bias"));
    let biased = match variant.biases {
        Biases::None => false,
        Biases::AsStored => loader.has(&q),
        Biases::Required => true,
    };
    let bias = biased.then(|| loader.vectors(&[(&q, heads.query_cols()), (&k, kv), (&v, kv)])).transpose()?;
    let norm = if variant.head_norms {
        let mut gains = gain(loader, variant, &format!("blk.{index}.attn_q_norm.weight"), heads.head_dim)?;
        gains.extend(gain(loader, variant, &format!("blk.{index}.attn_k_norm.weight"), heads.head_dim)?);
        Some((loader.upload_vector("norms of heads", &gains)?, config.eps))
    } else {
        None
    };
    Ok(HeadPrelude { bias, norm })
}

fn norm(loader: &mut Loader<'_>, config: &ModelConfig, variant: &Variant, name: &str) -> Result<Norm, Error> {
    let values = gain(loader, variant, name, config.hidden)?;
    Ok(Norm { gain: loader.upload_vector(name, &values)?, eps: config.eps })
}

fn gain(loader: &mut Loader<'_>, variant: &Variant, name: &str, len: u32) -> Result<Vec<f32>, Error> {
    let mut values = loader.values(name, len)?;
    if variant.gains_lack_one {
        values.iter_mut().for_each(|value| *value += 1.0);
    }
    Ok(values)
}

impl Model for Decoder {
    fn config(&self) -> &ModelConfig {
        &self.config
    }

    fn forward(&self, r: &mut Recorder, batch: &Batch, cache: &Cache) -> Tensor {
        // [tokens, hidden]
        let mut x = r.zone("embed", |r| embed(r, &self.embedding, batch.rows, self.embedding_scale));
        for (index, layer) in self.layers.iter().enumerate() {
            let pages = cache.pages(index);
            x = r.zone(format!("layer {index}"), |r| {
                let x = r.zone("attention", |r| layer.attention.record(r, x, batch, &pages));
                r.zone("mlp", |r| layer.mlp.record(r, x, batch.kind))
            });
        }
        x
    }

    fn head(&self, r: &mut Recorder, x: Tensor) -> Tensor {
        let kind = if x.rows <= MAX_WIDTH { Rows::Single } else { Rows::Block };
        let logits = head(r, &self.head, x, self.norm, kind); // [rows, vocab]
        self.logit_cap.map_or(logits, |cap| r.zone("softcap", |r| softcap(r, logits, cap)))
    }

    fn weight_bytes(&self) -> u64 {
        self.weight_bytes
    }

    fn describe(&self) -> Description {
        let layer = |layer: &Layer| LayerDescription {
            window: layer.attention.scores.window,
            score_scale: layer.attention.scores.scale,
            score_cap: layer.attention.scores.cap,
            rope: layer.rope,
        };
        let any = |has: fn(&Attention) -> bool| self.layers.iter().any(|layer| has(&layer.attention));
        Description {
            activation: self.layers.first().map_or("", |layer| layer.mlp.activation.name()),
            embedding_scale: self.embedding_scale,
            tied_head: self.tied,
            biases: any(|attention| attention.prelude.bias.is_some()),
            head_norms: any(|attention| attention.prelude.norm.is_some()),
            post_norms: any(|attention| attention.post.is_some()),
            logit_cap: self.logit_cap,
            layers: self.layers.iter().map(layer).collect(),
        }
    }
}
