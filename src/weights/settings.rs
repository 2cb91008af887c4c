//! Hyperparameters by one name, whichever file holds them.
//!
//! GGUF's names are the canon: a family asks for `attention.head_count`, and is told what `llama.attention.head_count` of a GGUF
//! file or `num_attention_heads` of a `config.json` says. Messages name the key as the file spells it.

use super::Error;
use super::gguf::{Array, Metadata, Value};
use std::path::Path;

/// What a `config.json` calls the keys of a GGUF file. Where several are given, the first that is there holds.
const KEYS: &[(&str, &[&str])] = &[
    ("vocab_size", &["vocab_size"]),
    ("embedding_length", &["hidden_size"]),
    ("block_count", &["num_hidden_layers"]),
    ("feed_forward_length", &["intermediate_size"]),
    ("context_length", &["max_position_embeddings"]),
    ("attention.head_count", &["num_attention_heads"]),
    ("attention.head_count_kv", &["num_key_value_heads"]),
    ("attention.key_length", &["head_dim"]),
    ("attention.layer_norm_rms_epsilon", &["rms_norm_eps"]),
    ("attention.sliding_window", &["sliding_window"]),
    // transformers 5 moved the base into a table; what the table says is newer than a key left beside it.
    ("rope.freq_base", &["rope_parameters.rope_theta", "rope_theta"]),
    ("rope.scaling.type", &["rope_parameters.rope_type", "rope_scaling.rope_type", "rope_scaling.type"]),
    ("rope.scaling.factor", &["rope_parameters.factor", "rope_scaling.factor"]),
    ("expert_count", &["num_local_experts", "num_experts"]),
];

/// Where hyperparameters stand.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    metadata: &'a Metadata,
    /// `<architecture>.` in a GGUF file.
    prefix: Option<&'a str>,
    /// What a family assumes where `config.json` is silent, by canonical key.
    defaults: &'static [(&'static str, f64)],
}

impl<'a> Settings<'a> {
    /// The keys `<architecture>.*` of a GGUF file.
    pub(super) fn gguf(metadata: &'a Metadata, architecture: &'a str) -> Self {
        Self { metadata, prefix: Some(architecture), defaults: &[] }
    }

    /// The keys of a `config.json`, as [`from_json`] made them.
    pub(super) fn json(metadata: &'a Metadata) -> Self {
        Self { metadata, prefix: None, defaults: &[] }
    }

    /// With what a family assumes where a `config.json` is silent: transformers leaves out what equals its own defaults. A GGUF
    /// file is never silent by intent.
    #[must_use]
    pub fn with_defaults(self, defaults: &'static [(&'static str, f64)]) -> Self {
        Self { defaults: if self.prefix.is_none() { defaults } else { &[] }, ..self }
    }

    /// Whether they come from a `config.json`.
    pub fn is_json(&self) -> bool {
        self.prefix.is_none()
    }

    /// All keys and values of the file.
    pub fn metadata(&self) -> &'a Metadata {
        self.metadata
    }

    /// `model_type` of a `config.json`, `general.architecture` of a GGUF file.
    pub fn model_type(&self) -> Result<&'a str, Error> {
        match self.prefix {
            Some(architecture) => Ok(architecture),
            None => Ok(self.metadata.opt_str("model_type")?.unwrap_or_default()),
        }
    }

    /// The key as the file spells it: the first that is there, else the first that could be.
    fn spelled(&self, key: &str) -> String {
        if let Some(architecture) = self.prefix {
            return format!("{architecture}.{key}");
        }
        let names = KEYS.iter().find(|(canonical, _)| *canonical == key).map_or(&[][..], |(_, names)| names);
        // What describes the text half of a model that also sees is kept apart.
        let candidates = names.iter().copied().chain(names.is_empty().then_some(key));
        let nested = candidates.clone().map(|name| format!("text_config.{name}"));
        let mut all = nested.chain(candidates.clone().map(str::to_owned));
        all.find(|name| self.metadata.get(name).is_some())
            .unwrap_or_else(|| candidates.clone().next().unwrap_or(key).to_owned())
    }

    fn default(&self, key: &str) -> Option<f64> {
        self.defaults.iter().find(|(name, _)| *name == key).map(|(_, value)| *value)
    }

    /// An integer.
    pub fn opt_u32(&self, key: &str) -> Result<Option<u32>, Error> {
        Ok(self.metadata.opt_u32(&self.spelled(key))?.or(self.default(key).map(|value| value as u32)))
    }

    /// An integer that the model needs.
    pub fn u32(&self, key: &str) -> Result<u32, Error> {
        match self.opt_u32(key)? {
            Some(value) => Ok(value),
            None => self.metadata.u32(&self.spelled(key)),
        }
    }

    /// A real number; JSON may spell it as an integer.
    pub fn opt_f32(&self, key: &str) -> Result<Option<f32>, Error> {
        let name = self.spelled(key);
        let found = match self.metadata.get(&name) {
            Some(Value::I64(value)) if self.is_json() => Some(*value as f32),
            Some(Value::U64(value)) if self.is_json() => Some(*value as f32),
            _ => self.metadata.opt_f32(&name)?,
        };
        Ok(found.or(self.default(key).map(|value| value as f32)))
    }

    /// A real number that the model needs.
    pub fn f32(&self, key: &str) -> Result<f32, Error> {
        match self.opt_f32(key)? {
            Some(value) => Ok(value),
            None => self.metadata.f32(&self.spelled(key)),
        }
    }

    /// A switch.
    pub fn opt_bool(&self, key: &str) -> Result<Option<bool>, Error> {
        self.metadata.opt_bool(&self.spelled(key))
    }

    /// A word.
    pub fn opt_str(&self, key: &str) -> Result<Option<&'a str>, Error> {
        self.metadata.opt_str(&self.spelled(key))
    }

    /// A list of words.
    pub fn opt_strings(&self, key: &str) -> Result<Option<&'a [String]>, Error> {
        self.metadata.opt_strings(&self.spelled(key))
    }
}

/// The keys of a JSON object, those of objects inside it joined by dots. What is null is left out, as if it had not been said.
///
/// # Errors
/// The file is no JSON object, or a key occurs twice.
pub(super) fn from_json(file: &Path, bytes: &[u8]) -> Result<Metadata, Error> {
    let invalid = |found: String| Error::Invalid {
        file: file.to_owned(),
        what: "configuration".to_owned(),
        expected: "a JSON object".to_owned(),
        found,
    };
    // serde_json bounds the depth of nesting.
    let json: serde_json::Value = serde_json::from_slice(bytes)
        .map_err(|error| invalid(format!("\"{}\"", super::error::Shown(&error.to_string()))))?;
    let serde_json::Value::Object(object) = json else { return Err(invalid("something else".to_owned())) };
    let mut entries = Vec::new();
    flatten(object, "", &mut entries);
    Metadata::new(file, entries)
}

fn flatten(object: serde_json::Map<String, serde_json::Value>, path: &str, entries: &mut Vec<(String, Value)>) {
    for (key, value) in object {
        let path = if path.is_empty() { key } else { format!("{path}.{key}") };
        match value {
            serde_json::Value::Object(inner) => flatten(inner, &path, entries),
            serde_json::Value::Array(elements) => {
                entries.extend(array(elements).map(|array| (path, Value::Array(array))))
            }
            serde_json::Value::Null => {}
            serde_json::Value::Bool(value) => entries.push((path, Value::Bool(value))),
            serde_json::Value::String(value) => entries.push((path, Value::String(value))),
            serde_json::Value::Number(number) => entries.push((path, self::number(&number))),
        }
    }
}

fn number(number: &serde_json::Number) -> Value {
    match (number.as_u64(), number.as_i64()) {
        (Some(value), _) => Value::U64(value),
        (None, Some(value)) => Value::I64(value),
        _ => Value::F64(number.as_f64().unwrap_or(f64::NAN)),
    }
}

/// An array of words or of numbers; others say nothing that a model needs.
fn array(elements: Vec<serde_json::Value>) -> Option<Array> {
    if elements.iter().all(serde_json::Value::is_string) {
        let words = elements.into_iter().filter_map(|element| element.as_str().map(str::to_owned));
        return Some(Array::String(words.collect()));
    }
    elements.iter().map(serde_json::Value::as_f64).collect::<Option<Vec<f64>>>().map(Array::F64)
}
