//! Shapes of models that people know, as their `config.json` has them.

use serde_json::{Map, Value, json};

/// What shapes differ in: name, family, and `[hidden, layers, ffn, heads, kv_heads, head_dim, vocab, context]`.
type Row = (&'static str, &'static str, [u64; 8], fn(&mut Map<String, Value>));

/// Every named shape.
const SHAPES: &[Row] = &[
    ("smollm2-135m", "llama", [576, 30, 1536, 9, 3, 64, 49_152, 8192], |c| llama(c, 1e5, true)),
    ("smollm2-1.7b", "llama", [2048, 24, 8192, 32, 32, 64, 49_152, 8192], |c| llama(c, 1.3e5, true)),
    ("llama-1b", "llama", [2048, 16, 8192, 32, 8, 64, 128_256, 131_072], |c| llama3(c, 32.0, true)),
    ("llama-3b", "llama", [3072, 28, 8192, 24, 8, 128, 128_256, 131_072], |c| llama3(c, 32.0, true)),
    ("llama-8b", "llama", [4096, 32, 14_336, 32, 8, 128, 128_256, 131_072], |c| llama3(c, 8.0, false)),
    ("mistral-7b", "mistral", [4096, 32, 14_336, 32, 8, 128, 32_768, 32_768], |c| llama(c, 1e6, false)),
    ("qwen2-0.5b", "qwen2", [896, 24, 4864, 14, 2, 64, 151_936, 32_768], |c| qwen(c, true)),
    ("qwen2-1.5b", "qwen2", [1536, 28, 8960, 12, 2, 128, 151_936, 32_768], |c| qwen(c, true)),
    ("qwen2-7b", "qwen2", [3584, 28, 18_944, 28, 4, 128, 152_064, 32_768], |c| qwen(c, false)),
    ("qwen3-0.6b", "qwen3", [1024, 28, 3072, 16, 8, 128, 151_936, 40_960], |c| qwen(c, true)),
    ("qwen3-1.7b", "qwen3", [2048, 28, 6144, 16, 8, 128, 151_936, 40_960], |c| qwen(c, true)),
    ("qwen3-4b", "qwen3", [2560, 36, 9728, 32, 8, 128, 151_936, 40_960], |c| qwen(c, true)),
    ("qwen3-8b", "qwen3", [4096, 36, 12_288, 32, 8, 128, 151_936, 40_960], |c| qwen(c, false)),
    ("gemma2-2b", "gemma2", [2304, 26, 9216, 8, 4, 256, 256_000, 8192], gemma2),
    ("gemma3-270m", "gemma3", [640, 18, 2048, 4, 1, 256, 262_144, 32_768], |c| gemma3(c, 512)),
    ("gemma3-1b", "gemma3", [1152, 26, 6912, 4, 1, 256, 262_144, 32_768], |c| gemma3(c, 512)),
    ("gemma3-4b", "gemma3", [2560, 34, 10_240, 8, 4, 256, 262_144, 131_072], |c| {
        gemma3(c, 1024);
        c.insert("rope_scaling".to_owned(), json!({"rope_type": "linear", "factor": 8.0}));
    }),
];

/// Names of all shapes, for messages.
pub(super) fn names() -> String {
    SHAPES.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(", ")
}

/// The `config.json` of a named shape.
pub(super) fn named(wanted: &str) -> Option<Map<String, Value>> {
    let (_, family, [hidden, layers, ffn, heads, kv_heads, head_dim, vocab, context], rest) =
        SHAPES.iter().find(|(name, ..)| *name == wanted)?;
    let family = ffai::model::FAMILIES.iter().find(|known| known.name == *family)?;
    let Value::Object(mut config) = json!({
        "architectures": [family.architectures[0]],
        "model_type": family.model_types[0],
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "intermediate_size": ffn,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
        "vocab_size": vocab,
        "max_position_embeddings": context,
    }) else {
        return None;
    };
    rest(&mut config);
    Some(config)
}

fn set<const N: usize>(config: &mut Map<String, Value>, keys: [(&str, Value); N]) {
    config.extend(keys.map(|(key, value)| (key.to_owned(), value)));
}

fn llama(config: &mut Map<String, Value>, base: f64, tied: bool) {
    set(
        config,
        [
            ("rms_norm_eps", json!(1e-5)),
            ("rope_theta", json!(base)),
            ("tie_word_embeddings", tied.into()),
            // The family's own default is a window.
            ("sliding_window", Value::Null),
            ("hidden_act", "silu".into()),
        ],
    );
}

fn llama3(config: &mut Map<String, Value>, factor: f64, tied: bool) {
    llama(config, 5e5, tied);
    let scaling = json!({"rope_type": "llama3", "factor": factor, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192});
    config.insert("rope_scaling".to_owned(), scaling);
}

fn qwen(config: &mut Map<String, Value>, tied: bool) {
    set(
        config,
        [
            ("rms_norm_eps", json!(1e-6)),
            ("rope_theta", json!(1e6)),
            ("tie_word_embeddings", tied.into()),
            ("use_sliding_window", false.into()),
            ("hidden_act", "silu".into()),
        ],
    );
}

fn gemma(config: &mut Map<String, Value>, window: u64) {
    set(
        config,
        [
            ("rms_norm_eps", json!(1e-6)),
            ("sliding_window", window.into()),
            ("query_pre_attn_scalar", 256.into()),
            ("tie_word_embeddings", true.into()),
            ("hidden_activation", "gelu_pytorch_tanh".into()),
        ],
    );
}

fn gemma2(config: &mut Map<String, Value>) {
    gemma(config, 4096);
    set(
        config,
        [("rope_theta", json!(1e4)), ("attn_logit_softcapping", json!(50.0)), ("final_logit_softcapping", json!(30.0))],
    );
}

fn gemma3(config: &mut Map<String, Value>, window: u64) {
    gemma(config, window);
    set(
        config,
        [("rope_theta", json!(1e6)), ("rope_local_base_freq", json!(1e4)), ("sliding_window_pattern", 6.into())],
    );
}
