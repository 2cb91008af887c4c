//! What a GGUF file says of its model, in the words of a Hugging Face checkpoint.

use super::Error;
use super::config::Config;
use super::entry::Changes;
use super::files::number;
use crate::model::ModelConfig;
use crate::text::TokenizerFiles;
use crate::weights::{Checkpoint, Settings, floats};
use serde_json::{Map, Value, json};

/// A family as GGUF files and as Hugging Face checkpoints hold it.
struct Family {
    /// Its name in `crate::model`.
    name: &'static str,
    /// `model_type`.
    model_type: &'static str,
    /// `architectures[0]`.
    architecture: &'static str,
    /// Rows of queries and keys have changed places.
    interleaved: bool,
    /// One was added to the gains of norms.
    one_added: bool,
    /// Keys that not all families have.
    keys: fn(&Source<'_>, &mut Config) -> Result<(), crate::Error>,
}

/// The layout and keys of every family that is read from GGUF files.
const FAMILIES: &[Family] = &[
    Family {
        name: "llama",
        model_type: "llama",
        architecture: "LlamaForCausalLM",
        interleaved: true,
        one_added: false,
        keys: llama,
    },
    Family {
        name: "mistral",
        model_type: "mistral",
        architecture: "MistralForCausalLM",
        interleaved: false,
        one_added: false,
        keys: mistral,
    },
    Family {
        name: "qwen2",
        model_type: "qwen2",
        architecture: "Qwen2ForCausalLM",
        interleaved: false,
        one_added: false,
        keys: qwen,
    },
    Family {
        name: "qwen3",
        model_type: "qwen3",
        architecture: "Qwen3ForCausalLM",
        interleaved: false,
        one_added: false,
        keys: qwen,
    },
    Family {
        name: "gemma2",
        model_type: "gemma2",
        architecture: "Gemma2ForCausalLM",
        interleaved: false,
        one_added: true,
        keys: gemma2,
    },
    Family {
        name: "gemma3",
        model_type: "gemma3_text",
        architecture: "Gemma3ForCausalLM",
        interleaved: false,
        one_added: true,
        keys: gemma3,
    },
];

/// What keys are made of.
struct Source<'a> {
    checkpoint: &'a Checkpoint,
    config: &'a ModelConfig,
    settings: Settings<'a>,
}

/// Layers of the 27B models of Gemma 2 and 3, whose scores GGUF files scale by rule instead of by a number.
const LAYERS_27B: [u32; 2] = [46, 62];

fn find(checkpoint: &Checkpoint, config: &ModelConfig) -> Result<&'static Family, Error> {
    FAMILIES.iter().find(|family| family.name == config.family).ok_or_else(|| Error::NoEquivalent {
        what: format!("the family `{}`", config.family),
        file: checkpoint.path().to_owned(),
    })
}

/// What converters to GGUF have changed in the tensors of this model.
pub(super) fn changes(checkpoint: &Checkpoint, config: &ModelConfig) -> Result<Changes, Error> {
    let family = find(checkpoint, config)?;
    Ok(Changes { interleaved: family.interleaved.then_some(config.heads.head_dim), one_added: family.one_added })
}

/// The model's `config.json`, but for its quantization.
pub(super) fn config(checkpoint: &Checkpoint, config: &ModelConfig) -> Result<Config, crate::Error> {
    let family = find(checkpoint, config)?;
    let settings = checkpoint.settings()?;
    let source = Source { checkpoint, config, settings };
    let heads = config.heads;
    let json = json!({
        "architectures": [family.architecture],
        "model_type": family.model_type,
        "vocab_size": config.vocab,
        "hidden_size": config.hidden,
        "intermediate_size": config.ffn,
        "num_hidden_layers": config.layers,
        "num_attention_heads": heads.heads,
        "num_key_value_heads": heads.kv_heads,
        "head_dim": heads.head_dim,
        "max_position_embeddings": config.context,
        "rms_norm_eps": number(config.eps),
        "tie_word_embeddings": !checkpoint.has("output.weight"),
        "attention_bias": false,
        "attention_dropout": 0.0,
        "torch_dtype": "",
    });
    let Value::Object(mut json) = json else { return Ok(Map::new()) };
    if config.rotary != heads.head_dim {
        json.insert("partial_rotary_factor".to_owned(), (f64::from(config.rotary) / f64::from(heads.head_dim)).into());
    }
    (family.keys)(&source, &mut json)?;
    Ok(json)
}

/// The ids that `config.json` and `generation_config.json` name.
pub(super) fn token_ids(config: &mut Config, files: &TokenizerFiles) {
    for (key, id) in [("bos_token_id", files.bos), ("eos_token_id", files.eos), ("pad_token_id", files.padding)] {
        if let Some(id) = id {
            config.insert(key.to_owned(), id.into());
        }
    }
}

/// The model's `generation_config.json`: every token that ends a text or a turn.
pub(super) fn generation_config(files: &TokenizerFiles) -> Value {
    let mut config = Map::new();
    token_ids(&mut config, files);
    config.insert("eos_token_id".to_owned(), files.end_ids.as_slice().into());
    Value::Object(config)
}

impl Source<'_> {
    fn no_equivalent(&self, what: String) -> crate::Error {
        Error::NoEquivalent { what, file: self.checkpoint.path().to_owned() }.into()
    }

    /// The window of attention, if the file has one.
    fn window(&self) -> Result<Option<u32>, crate::Error> {
        Ok(self.settings.opt_u32("attention.sliding_window")?.filter(|&window| window > 0))
    }

    /// `rope_theta` and `rope_scaling`. `base` holds where the file is silent.
    fn rope(&self, config: &mut Config, base: f32) -> Result<(), crate::Error> {
        let s = &self.settings;
        config.insert("rope_theta".to_owned(), number(s.opt_f32("rope.freq_base")?.unwrap_or(base)));
        let factor = s.opt_f32("rope.scaling.factor")?;
        let scaling = match s.opt_str("rope.scaling.type")?.unwrap_or(if factor.is_some() { "linear" } else { "none" })
        {
            "none" => s.opt_f32("rope.scale_linear")?.map(linear),
            "linear" => Some(linear(factor.unwrap_or(1.0))),
            other => return Err(self.no_equivalent(format!("rope scaling {other:?}"))),
        };
        let scaling = match self.stored_factors()? {
            Some(factors) => Some(self.llama3(config, &factors)?),
            None => scaling,
        };
        if let Some(scaling) = scaling {
            config.insert("rope_scaling".to_owned(), scaling);
        }
        Ok(())
    }

    /// The divisors of rotary frequencies that files of Llama 3.1 hold in place of the rule they follow.
    fn stored_factors(&self) -> Result<Option<Vec<f32>>, crate::Error> {
        let name = "rope_freqs.weight";
        if !self.checkpoint.has(name) {
            return Ok(None);
        }
        let stored = self.checkpoint.stored(name, u64::from(self.config.rotary / 2))?;
        Ok(stored.format.and_then(|format| floats(format, stored.planes[0])))
    }

    /// The rule of Llama 3.1 behind `factors`. All its models have 1 and 4 for its ends, and a power of two for the original
    /// context; a rule that gives other divisors is not guessed.
    fn llama3(&self, config: &Config, factors: &[f32]) -> Result<Value, crate::Error> {
        let base = config.get("rope_theta").and_then(Value::as_f64).unwrap_or_default();
        let factor = factors.iter().copied().fold(1.0_f32, f32::max);
        let (low, high) = (1.0, 4.0);
        let rule = |original: f64| {
            factors.iter().enumerate().all(|(pair, &stored)| {
                let frequency = base.powf(-2.0 * pair as f64 / f64::from(self.config.rotary));
                let turns = original * frequency / std::f64::consts::TAU;
                let smooth = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                let expected = 1.0 / ((1.0 - smooth) / f64::from(factor) + smooth);
                (f64::from(stored) / expected - 1.0).abs() < 1e-3
            })
        };
        let original = (3..24).map(|power| f64::from(1_u32 << power)).find(|&original| rule(original));
        let original =
            original.ok_or_else(|| self.no_equivalent("the rule behind tensor `rope_freqs.weight`".to_owned()))?;
        Ok(json!({"rope_type": "llama3", "factor": number(factor), "low_freq_factor": low, "high_freq_factor": high,
                  "original_max_position_embeddings": original as u64}))
    }

    /// What both generations of Gemma have. `window` is that of a file which names none.
    fn gemma(&self, config: &mut Config, window: Option<u32>) -> Result<(), crate::Error> {
        let ModelConfig { layers, hidden, heads, .. } = *self.config;
        if self.checkpoint.has("output.weight") {
            return Err(self.no_equivalent("a head of its own".to_owned()));
        }
        let scalar = match self.settings.opt_f32("attention.scale")? {
            Some(scale) => number(1.0 / (scale * scale)),
            None if LAYERS_27B.contains(&layers) => (hidden / heads.heads).into(),
            None => heads.head_dim.into(),
        };
        config.insert("query_pre_attn_scalar".to_owned(), scalar);
        for key in ["hidden_activation", "hidden_act"] {
            config.insert(key.to_owned(), "gelu_pytorch_tanh".into());
        }
        // Silence means no window here, where it means 4096 there.
        let window = self.window()?.or(window);
        let window = window.ok_or_else(|| self.no_equivalent("attention without a window".to_owned()))?;
        config.insert("sliding_window".to_owned(), window.into());
        Ok(())
    }

    /// `layer_types`: every `period`-th layer sees everything.
    fn layer_types(&self, config: &mut Config, period: u32) {
        let kind = |layer: u32| if (layer + 1).is_multiple_of(period) { "full_attention" } else { "sliding_attention" };
        config.insert("layer_types".to_owned(), (0..self.config.layers).map(kind).collect());
    }

    /// What all families have whose gate is SiLU; none of them has a word for another factor of scores.
    fn silu(&self, config: &mut Config) -> Result<(), crate::Error> {
        config.insert("hidden_act".to_owned(), "silu".into());
        match self.settings.opt_f32("attention.scale")? {
            Some(scale) => Err(self.no_equivalent(format!("scores with a factor of {scale}"))),
            None => Ok(()),
        }
    }

    fn refuse_biases(&self) -> Result<(), crate::Error> {
        match self.checkpoint.has("blk.0.attn_q.bias") {
            true => Err(self.no_equivalent("a bias of queries without one of the output".to_owned())),
            false => Ok(()),
        }
    }
}

fn linear(factor: f32) -> Value {
    json!({"rope_type": "linear", "type": "linear", "factor": number(factor)})
}

/// Files of Mistral come under llama's name, with a window of which llama knows nothing.
fn llama(source: &Source<'_>, config: &mut Config) -> Result<(), crate::Error> {
    source.refuse_biases()?;
    source.silu(config)?;
    source.rope(config, 1e4)?;
    config.insert("mlp_bias".to_owned(), false.into());
    if let Some(window) = source.window()? {
        config.insert("model_type".to_owned(), "mistral".into());
        config.insert("architectures".to_owned(), json!(["MistralForCausalLM"]));
        config.insert("sliding_window".to_owned(), window.into());
    }
    Ok(())
}

fn mistral(source: &Source<'_>, config: &mut Config) -> Result<(), crate::Error> {
    source.refuse_biases()?;
    source.silu(config)?;
    source.rope(config, 1e4)?;
    config.insert("sliding_window".to_owned(), source.window()?.into());
    Ok(())
}

fn qwen(source: &Source<'_>, config: &mut Config) -> Result<(), crate::Error> {
    source.silu(config)?;
    source.rope(config, 1e4)?;
    config.insert("use_sliding_window".to_owned(), false.into());
    config.insert("sliding_window".to_owned(), Value::Null);
    config.insert("max_window_layers".to_owned(), source.config.layers.into());
    Ok(())
}

fn gemma2(source: &Source<'_>, config: &mut Config) -> Result<(), crate::Error> {
    // Files from before these keys mean what the family has.
    source.gemma(config, Some(4096))?;
    source.rope(config, 1e4)?;
    source.layer_types(config, 2);
    for (key, old) in [("attn_logit_softcapping", 50.0), ("final_logit_softcapping", 30.0)] {
        config.insert(key.to_owned(), number(source.settings.opt_f32(key)?.unwrap_or(old)));
    }
    Ok(())
}

fn gemma3(source: &Source<'_>, config: &mut Config) -> Result<(), crate::Error> {
    const PATTERN: u32 = 6;
    source.gemma(config, None)?;
    source.rope(config, 1e6)?;
    let pattern = source.settings.opt_u32("attention.sliding_window_pattern")?.filter(|&pattern| pattern > 0);
    let pattern = pattern.unwrap_or(PATTERN);
    config.insert("sliding_window_pattern".to_owned(), pattern.into());
    source.layer_types(config, pattern);
    let local = source.settings.opt_f32("rope.freq_base_swa")?.unwrap_or(1e4);
    config.insert("rope_local_base_freq".to_owned(), number(local));
    config.insert("attn_logit_softcapping".to_owned(), Value::Null);
    let cap = source.settings.opt_f32("final_logit_softcapping")?;
    config.insert("final_logit_softcapping".to_owned(), cap.map_or(Value::Null, number));
    Ok(())
}
