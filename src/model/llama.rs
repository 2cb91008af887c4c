//! Llama 2 and 3 with the rope scaling of 3.1, SmolLM2, Mistral without a window.

use super::{Model, ModelConfig};
use crate::Error;
use crate::cache::Cache;
use crate::graph::{Matrix, Recorder, Tensor};
use crate::kernels::embed::embed;
use crate::kernels::gather_rows::gather_rows;
use crate::kernels::matvec::MAX_WIDTH;
use crate::kernels::rope_store::Rotary;
use crate::layers::{Attention, Batch, Mlp, Norm, Rows, linear};
use crate::weights::Loader;

struct Llama {
    config: ModelConfig,
    embedding: Matrix,
    layers: Vec<Layer>,
    norm: Norm,
    head: Matrix,
    weight_bytes: u64,
}

struct Layer {
    attention: Attention,
    mlp: Mlp,
}

pub(super) fn load(loader: &mut Loader<'_>) -> Result<Box<dyn Model>, Error> {
    let config = ModelConfig::from_gguf(loader.gguf())?;
    let (hidden, heads, eps) = (config.hidden, config.heads, config.eps);
    let embedding = loader.matrix(&[("token_embd.weight", config.vocab)], hidden)?;
    let factors = if loader.has("rope_freqs.weight") {
        loader.values("rope_freqs.weight", config.rotary / 2)?
    } else {
        vec![1.0; config.rotary as usize / 2]
    };
    let frequencies = loader.upload_vector("rotary frequencies", &frequencies(&config, &factors))?;
    // Files of this family store the rows of Q and K so that the two elements of a pair are neighbours.
    let rotary = Rotary { frequencies, interleaved: true };
    let mut layers = Vec::new();
    for index in 0..config.layers {
        let name = |part: &str| format!("blk.{index}.{part}.weight");
        let kv = heads.kv_heads * heads.head_dim;
        let qkv = [(name("attn_q"), heads.query_cols()), (name("attn_k"), kv), (name("attn_v"), kv)];
        let gate_up = [(name("ffn_gate"), config.ffn), (name("ffn_up"), config.ffn)];
        let attention = Attention {
            norm: Norm { gain: loader.vector(&name("attn_norm"), hidden)?, eps },
            qkv: loader.matrix(&qkv.each_ref().map(|(name, rows)| (name.as_str(), *rows)), hidden)?,
            output: loader.matrix(&[(&name("attn_output"), hidden)], heads.query_cols())?,
            heads,
            rotary,
        };
        let mlp = Mlp {
            norm: Norm { gain: loader.vector(&name("ffn_norm"), hidden)?, eps },
            gate_up: loader.matrix(&gate_up.each_ref().map(|(name, rows)| (name.as_str(), *rows)), hidden)?,
            down: loader.matrix(&[(&name("ffn_down"), hidden)], config.ffn)?,
        };
        layers.push(Layer { attention, mlp });
    }
    let norm = Norm { gain: loader.vector("output_norm.weight", hidden)?, eps };
    let head = if loader.has("output.weight") {
        loader.matrix(&[("output.weight", config.vocab)], hidden)?
    } else {
        embedding.clone()
    };
    Ok(Box::new(Llama { embedding, layers, norm, head, weight_bytes: loader.resident(), config }))
}

/// Radians per position of each pair: base^(-2i / n), divided by the file's factors (the rope scaling of Llama 3.1).
///
/// Each step is rounded as HF transformers rounds it in single precision, so that angles far out agree.
fn frequencies(config: &ModelConfig, factors: &[f32]) -> Vec<f32> {
    let rotary = config.rotary as f32;
    let frequency = |(pair, factor): (usize, &f32)| {
        let exponent = 2.0 * pair as f32 / rotary;
        1.0 / f64::from(config.rope_base).powf(f64::from(exponent)) as f32 / factor
    };
    factors.iter().enumerate().map(frequency).collect()
}

impl Model for Llama {
    fn config(&self) -> &ModelConfig {
        &self.config
    }

    fn forward(&self, r: &mut Recorder, batch: &Batch, cache: &Cache, outputs: bool) -> Option<Tensor> {
        let mut x = r.zone("embed", |r| embed(r, &self.embedding, batch.rows)); // [tokens, hidden]
        for (index, layer) in self.layers.iter().enumerate() {
            let pages = cache.pages(index);
            x = r.zone(format!("layer {index}"), |r| {
                let x = r.zone("attention", |r| layer.attention.record(r, x, batch, &pages));
                r.zone("mlp", |r| layer.mlp.record(r, x, batch.kind))
            });
        }
        outputs.then(|| {
            r.zone("head", |r| {
                let x = batch.picks.map_or(x, |picks| gather_rows(r, x, picks)); // [outputs, hidden]
                let kind = if x.rows <= MAX_WIDTH { Rows::Single } else { Rows::Block };
                linear(r, &self.head, x, Some(self.norm), None, kind) // [outputs, vocab]
            })
        })
    }

    fn weight_bytes(&self) -> u64 {
        self.weight_bytes
    }
}
