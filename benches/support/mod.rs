//! A llama with random weights: small enough to be made in a moment, large enough that every kernel has work.

#[expect(dead_code, reason = "changes that tests make")]
#[path = "../../tests/support/folder_writer.rs"]
mod folder_writer;
#[expect(dead_code, reason = "fields that tests break")]
#[path = "../../tests/support/gguf_writer.rs"]
mod gguf_writer;

use crate::folder::Folder;
use ffai::graph::Rng;
use folder_writer::FolderWriter;
use gguf_writer::{GgufWriter, Item};
use serde_json::json;
use std::path::PathBuf;

/// Tokens that the model knows.
pub(crate) const VOCAB: u64 = 4096;
/// Tokens that it reads.
pub(crate) const CONTEXT: u32 = 8192;

const LAYERS: u64 = 4;
const HIDDEN: u64 = 256;
const FFN: u64 = 768;
const HEADS: u32 = 8;
const KV_HEADS: u32 = 4;
const KV: u64 = HIDDEN / HEADS as u64 * KV_HEADS as u64;

/// ggml's numbers.
const F32: u32 = 0;
const Q8_0: u32 = 8;

/// A tensor by its names here and there, rows and columns.
type Shape = (&'static str, &'static str, u64, u64);

const LAYER: [Shape; 7] = [
    ("attn_q", "self_attn.q_proj", HIDDEN, HIDDEN),
    ("attn_k", "self_attn.k_proj", KV, HIDDEN),
    ("attn_v", "self_attn.v_proj", KV, HIDDEN),
    ("attn_output", "self_attn.o_proj", HIDDEN, HIDDEN),
    ("ffn_gate", "mlp.gate_proj", FFN, HIDDEN),
    ("ffn_up", "mlp.up_proj", FFN, HIDDEN),
    ("ffn_down", "mlp.down_proj", HIDDEN, FFN),
];
const NORMS: [(&str, &str); 2] = [("attn_norm", "input_layernorm"), ("ffn_norm", "post_attention_layernorm")];

/// Weights out of random numbers.
struct Random(Rng);

impl Random {
    /// Evenly between −0.1 and 0.1, so that sums over a row stay near 1.
    fn weight(&mut self) -> f32 {
        ((self.0.bits() >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * 0.1
    }

    fn bf16(&mut self, count: u64) -> Vec<u8> {
        (0..count).flat_map(|_| half::bf16::from_f32(self.weight()).to_le_bytes()).collect()
    }

    /// Blocks of a scale and 32 numbers of a byte each.
    fn q8_0(&mut self, count: u64) -> Vec<u8> {
        let scale = half::f16::from_f32(0.1 / 127.0).to_le_bytes();
        (0..count / 32)
            .flat_map(|_| {
                let words: [u64; 4] = std::array::from_fn(|_| self.0.bits());
                scale.into_iter().chain(words.into_iter().flat_map(u64::to_le_bytes))
            })
            .collect()
    }
}

fn ones(count: u64) -> Vec<u8> {
    (0..count).flat_map(|_| 1f32.to_le_bytes()).collect()
}

/// A GGUF file in Q8_0, in a folder that goes away with its owner.
pub(crate) fn gguf() -> (Folder, PathBuf) {
    let mut random = Random(Rng(1));
    let mut writer = GgufWriter::new()
        .key("general.architecture", Item::Text("llama"))
        .key("llama.block_count", Item::U32(LAYERS as u32))
        .key("llama.context_length", Item::U32(CONTEXT))
        .key("llama.embedding_length", Item::U32(HIDDEN as u32))
        .key("llama.feed_forward_length", Item::U32(FFN as u32))
        .key("llama.attention.head_count", Item::U32(HEADS))
        .key("llama.attention.head_count_kv", Item::U32(KV_HEADS))
        .key("llama.attention.layer_norm_rms_epsilon", Item::F32(1e-5))
        .key("llama.rope.freq_base", Item::F32(10_000.0))
        .tensor("token_embd.weight", &[HIDDEN, VOCAB], Q8_0, random.q8_0(HIDDEN * VOCAB))
        .tensor("output_norm.weight", &[HIDDEN], F32, ones(HIDDEN));
    for layer in 0..LAYERS {
        for (name, _, rows, cols) in LAYER {
            let data = random.q8_0(rows * cols);
            writer = writer.tensor(&format!("blk.{layer}.{name}.weight"), &[cols, rows], Q8_0, data);
        }
        for (name, _) in NORMS {
            writer = writer.tensor(&format!("blk.{layer}.{name}.weight"), &[HIDDEN], F32, ones(HIDDEN));
        }
    }
    let folder = Folder::new();
    folder.write("model.gguf", &writer.finish());
    let path = folder.0.join("model.gguf");
    (folder, path)
}

/// The same shape as a folder of safetensors in bf16.
pub(crate) fn safetensors() -> Folder {
    let mut random = Random(Rng(2));
    let mut tensors = Vec::new();
    let mut add = |name: String, dtype: &str, shape: &[u64], data| {
        tensors.push(folder_writer::Tensor { name, dtype: dtype.to_owned(), shape: shape.to_vec(), data });
    };
    add("model.embed_tokens.weight".to_owned(), "BF16", &[VOCAB, HIDDEN], random.bf16(VOCAB * HIDDEN));
    add("model.norm.weight".to_owned(), "F32", &[HIDDEN], ones(HIDDEN));
    for layer in 0..LAYERS {
        for (_, name, rows, cols) in LAYER {
            add(format!("model.layers.{layer}.{name}.weight"), "BF16", &[rows, cols], random.bf16(rows * cols));
        }
        for (_, name) in NORMS {
            add(format!("model.layers.{layer}.{name}.weight"), "F32", &[HIDDEN], ones(HIDDEN));
        }
    }
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN, "intermediate_size": FFN,
        "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "vocab_size": VOCAB,
        "max_position_embeddings": CONTEXT, "rms_norm_eps": 1e-5, "rope_theta": 10_000.0, "tie_word_embeddings": true,
        "hidden_act": "silu",
    });
    FolderWriter { config, tensors, config_bytes: None, others: Vec::new() }.write()
}
