//! What a `config.json` says of a model's shape, as far as writing one needs it.

use crate::failure::Failure;
use ffai::model::{FAMILIES, Family};
use serde_json::{Map, Value};

/// Numbers past which a configuration is damaged rather than large.
const MOST: u64 = 1 << 22;
const MOST_LAYERS: u64 = 1 << 12;

/// A decoder's shape.
pub(super) struct Shape {
    /// What it is called, in `general.name`.
    pub(super) name: String,
    /// Its `config.json`, that of the text half of a model that also sees.
    pub(super) config: Map<String, Value>,
    pub(super) family: &'static Family,
    pub(super) vocab: u64,
    pub(super) hidden: u64,
    pub(super) layers: u64,
    pub(super) ffn: u64,
    pub(super) heads: u64,
    pub(super) kv_heads: u64,
    pub(super) head_dim: u64,
    pub(super) context: u64,
    pub(super) eps: f64,
    pub(super) rope: Rope,
    /// The head repeats the embedding.
    pub(super) tied: bool,
    /// Width of the sliding window, where some layers have one.
    pub(super) window: Option<u64>,
}

/// Rotary positions.
pub(super) struct Rope {
    pub(super) base: f64,
    pub(super) scaling: Scaling,
}

/// What stretches them.
pub(super) enum Scaling {
    None,
    Linear {
        factor: f64,
    },
    /// Llama 3.1's rule.
    Llama3 {
        factor: f64,
        low: f64,
        high: f64,
        original: f64,
    },
}

/// Keys of one configuration, with the name that messages give it.
struct Keys<'a> {
    from: &'a str,
    config: &'a Map<String, Value>,
}

impl Shape {
    /// The shape that `config` describes, cut to `layers` where that is given. `from` is where it comes from.
    ///
    /// # Errors
    /// A key is missing or no such value, or the family is none of this build.
    pub(super) fn read(from: &str, config: Map<String, Value>, layers: Option<u64>) -> Result<Self, Failure> {
        let mut config = text_half(config);
        let family = family(from, &config)?;
        let keys = Keys { from, config: &config };
        let full = keys.count("num_hidden_layers", MOST_LAYERS)?;
        let layers = match layers {
            Some(layers) if !(1..=full).contains(&layers) => {
                return Err(Failure::usage(format!("--layers: expected 1 to the model's {full}, found {layers}")));
            }
            layers => layers.unwrap_or(full),
        };
        let hidden = keys.count("hidden_size", MOST)?;
        let heads = keys.count("num_attention_heads", MOST_LAYERS)?;
        let gemma = family.name.starts_with("gemma");
        let head_dim = match (keys.get("head_dim"), gemma) {
            (Some(_), _) => keys.count("head_dim", 1 << 10)?,
            (None, true) => 256,
            (None, false) => hidden / heads,
        };
        let window = match family.name {
            "mistral" | "gemma2" | "gemma3" if keys.get("sliding_window").is_some() => {
                Some(keys.count("sliding_window", u64::from(u32::MAX))?)
            }
            _ => None,
        };
        let shape = Self {
            name: from.to_owned(),
            family,
            vocab: keys.count("vocab_size", MOST)?,
            hidden,
            layers,
            ffn: keys.count("intermediate_size", MOST)?,
            heads,
            kv_heads: keys.count_or("num_key_value_heads", MOST_LAYERS, heads)?,
            head_dim,
            context: keys.count_or("max_position_embeddings", 1 << 31, 2048)?,
            eps: keys.number_or("rms_norm_eps", 1e-6)?,
            rope: rope(&keys, if family.name == "gemma3" { 1e6 } else { 1e4 })?,
            tied: keys.get("tie_word_embeddings").and_then(Value::as_bool).unwrap_or(gemma),
            window,
            config: Map::new(),
        };
        cut(&mut config, layers);
        Ok(Self { config, ..shape })
    }
}

/// The keys of the text half, where a configuration has two; they then make a model of their own.
fn text_half(mut config: Map<String, Value>) -> Map<String, Value> {
    let Some(Value::Object(mut text)) = config.remove("text_config") else { return config };
    if !text.contains_key("architectures")
        && let Some(known) = text.get("model_type").and_then(Value::as_str).and_then(known)
    {
        text.insert("architectures".to_owned(), serde_json::json!([known.architectures[0]]));
    }
    text
}

fn known(model_type: &str) -> Option<&'static Family> {
    FAMILIES.iter().copied().find(|family| family.model_types.contains(&model_type))
}

fn family(from: &str, config: &Map<String, Value>) -> Result<&'static Family, Failure> {
    let model_type = config.get("model_type").and_then(Value::as_str).unwrap_or_default();
    let found = known(model_type);
    found.ok_or_else(|| {
        let names: Vec<&str> = FAMILIES.iter().flat_map(|family| family.model_types).copied().collect();
        let found: String = model_type.escape_debug().take(60).collect();
        Failure::failed(format!("{from}: model_type: expected one of {}, found `{found}`", names.join(", ")))
    })
}

/// Makes a configuration that of a model of fewer layers.
fn cut(config: &mut Map<String, Value>, layers: u64) {
    config.insert("num_hidden_layers".to_owned(), layers.into());
    if let Some(Value::Array(kinds)) = config.get_mut("layer_types") {
        kinds.truncate(layers as usize);
    }
    for stale in ["quantization", "quantization_config", "_name_or_path"] {
        config.remove(stale);
    }
}

fn rope(keys: &Keys<'_>, base: f64) -> Result<Rope, Failure> {
    let tables = ["rope_parameters", "rope_scaling"];
    let table = tables.iter().find_map(|name| keys.get(name)?.as_object().map(|table| (*name, table)));
    // A table per kind of layer: that of layers that see everything.
    let table =
        table.map(|(name, table)| (name, table.get("full_attention").and_then(Value::as_object).unwrap_or(table)));
    let Some((name, table)) = table else {
        return Ok(Rope { base: keys.number_or("rope_theta", base)?, scaling: Scaling::None });
    };
    let from = format!("{}: {name}", keys.from);
    let inner = Keys { from: &from, config: table };
    let kind = ["rope_type", "type"].iter().find_map(|key| table.get(*key)?.as_str()).unwrap_or("default");
    let scaling = match kind {
        "default" => Scaling::None,
        "linear" => Scaling::Linear { factor: inner.number("factor")? },
        "llama3" => Scaling::Llama3 {
            factor: inner.number("factor")?,
            low: inner.number("low_freq_factor")?,
            high: inner.number("high_freq_factor")?,
            original: inner.number("original_max_position_embeddings")?,
        },
        other => {
            let found: String = other.escape_debug().take(60).collect();
            return Err(Failure::failed(format!(
                "{from}.rope_type: expected default, linear or llama3, found `{found}`"
            )));
        }
    };
    let base = keys.number_or("rope_theta", base)?;
    Ok(Rope { base: inner.number_or("rope_theta", base)?, scaling })
}

impl Rope {
    /// What the frequency of each pair of `head_dim` elements is divided by, where files store that: by Llama 3.1's rule.
    pub(super) fn factors(&self, head_dim: u64) -> Option<Vec<f32>> {
        let Scaling::Llama3 { factor, low, high, original } = self.scaling else { return None };
        let divisor = |pair: u64| {
            let length = std::f64::consts::TAU * self.base.powf(2.0 * pair as f64 / head_dim as f64);
            if length < original / high {
                return 1.0;
            }
            if length > original / low {
                return factor as f32;
            }
            let smooth = (original / length - low) / (high - low);
            (1.0 / ((1.0 - smooth) / factor + smooth)) as f32
        };
        Some((0..head_dim / 2).map(divisor).collect())
    }
}

impl<'a> Keys<'a> {
    /// The value of a key that is there and not null.
    fn get(&self, key: &str) -> Option<&'a Value> {
        self.config.get(key).filter(|value| !value.is_null())
    }

    fn count_or(&self, key: &str, most: u64, default: u64) -> Result<u64, Failure> {
        if self.get(key).is_none() { Ok(default) } else { self.count(key, most) }
    }

    fn count(&self, key: &str, most: u64) -> Result<u64, Failure> {
        let found = self.get(key);
        found
            .and_then(Value::as_u64)
            .filter(|count| (1..=most).contains(count))
            .ok_or_else(|| self.wrong(key, &format!("a whole number from 1 to {most}"), found))
    }

    fn number_or(&self, key: &str, default: f64) -> Result<f64, Failure> {
        if self.get(key).is_none() { Ok(default) } else { self.number(key) }
    }

    fn number(&self, key: &str) -> Result<f64, Failure> {
        let found = self.get(key);
        found
            .and_then(Value::as_f64)
            .filter(|number| number.is_finite())
            .ok_or_else(|| self.wrong(key, "a number", found))
    }

    fn wrong(&self, key: &str, expected: &str, found: Option<&Value>) -> Failure {
        let found: String = found.map_or("none".to_owned(), Value::to_string).chars().take(60).collect();
        Failure::failed(format!("{}: {key}: expected {expected}, found {found}", self.from))
    }
}
