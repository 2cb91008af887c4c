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
    ("rope.freq_base", &["rope_parameters.rope_theta", "rope_scaling.rope_theta", "rope_theta"]),
    ("rope.scaling.type", &["rope_parameters.rope_type", "rope_scaling.rope_type", "rope_scaling.type"]),
    ("rope.scaling.factor", &["rope_parameters.factor", "rope_scaling.factor"]),
    ("expert_count", &["num_local_experts", "num_experts"]),
];

/// The keys of a `config.json`.
#[derive(Clone, Debug)]
pub(super) struct Configuration {
    /// Those that hold something, with the keys of objects joined by dots.
    pub(super) metadata: Metadata,
    /// Those that are null, sorted: where silence means a default, null means that there is none.
    nulls: Vec<String>,
}

/// Where hyperparameters stand.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    metadata: &'a Metadata,
    nulls: &'a [String],
    /// `<architecture>.` in a GGUF file.
    prefix: Option<&'a str>,
    /// What a family assumes where `config.json` is silent, by canonical key.
    defaults: &'static [(&'static str, f64)],
}

impl<'a> Settings<'a> {
    /// The keys `<architecture>.*` of a GGUF file.
    pub(super) fn gguf(metadata: &'a Metadata, architecture: &'a str) -> Self {
        Self { metadata, nulls: &[], prefix: Some(architecture), defaults: &[] }
    }

    /// The keys of a `config.json`.
    pub(super) fn json(Configuration { metadata, nulls }: &'a Configuration) -> Self {
        Self { metadata, nulls, prefix: None, defaults: &[] }
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
    pub fn spelled(&self, key: &str) -> String {
        if let Some(architecture) = self.prefix {
            return format!("{architecture}.{key}");
        }
        let names = candidates(key);
        let first = names[names.len() / 2].clone();
        names.into_iter().find(|name| self.metadata.get(name).is_some()).unwrap_or(first)
    }

    /// Whether a `config.json` says that there is no such thing, which is more than saying nothing.
    pub fn is_null(&self, key: &str) -> bool {
        self.prefix.is_none() && candidates(key).iter().any(|name| self.nulls.binary_search(name).is_ok())
    }

    fn default(&self, key: &str) -> Option<f64> {
        let value = self.defaults.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
        value.filter(|_| !self.is_null(key))
    }

    /// Whether the file has a key, or keys below it.
    pub fn has(&self, key: &str) -> bool {
        let below = |name: &str| self.metadata.iter().any(|(key, _)| is_below(key, name));
        match self.prefix {
            Some(architecture) => below(&format!("{architecture}.{key}")),
            None => candidates(key).iter().any(|name| below(name)),
        }
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

/// What a `config.json` may call `key`: the names for the text half of a model that also sees, which are kept apart, then the
/// others. As many of the ones as of the others, and at least one.
fn candidates(key: &str) -> Vec<String> {
    let names = KEYS.iter().find(|(canonical, _)| *canonical == key).map_or(&[][..], |(_, names)| names);
    let names = names.iter().copied().chain(names.is_empty().then_some(key));
    names.clone().map(|name| format!("text_config.{name}")).chain(names.map(str::to_owned)).collect()
}

/// Whether `key` is `name` or stands in the object called so.
fn is_below(key: &str, name: &str) -> bool {
    key.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The keys of a JSON object, those of objects inside it joined by dots.
///
/// # Errors
/// The file is no JSON object, or two of its keys are one when joined.
pub(super) fn from_json(file: &Path, bytes: &[u8]) -> Result<Configuration, Error> {
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
    let (mut entries, mut nulls) = (Vec::new(), Vec::new());
    flatten(object, "", &mut entries, &mut nulls);
    nulls.sort_unstable();
    Ok(Configuration { metadata: Metadata::new(file, entries)?, nulls })
}

fn flatten(
    object: serde_json::Map<String, serde_json::Value>,
    path: &str,
    entries: &mut Vec<(String, Value)>,
    nulls: &mut Vec<String>,
) {
    for (key, value) in object {
        let path = if path.is_empty() { key } else { format!("{path}.{key}") };
        match value {
            serde_json::Value::Object(inner) => flatten(inner, &path, entries, nulls),
            serde_json::Value::Array(elements) => entries.push((path, Value::Array(array(elements)))),
            serde_json::Value::Null => nulls.push(path),
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

/// An array of words or of numbers. Any other is kept as one that nobody can read, so that asking for it is an error.
fn array(elements: Vec<serde_json::Value>) -> Array {
    if elements.iter().all(serde_json::Value::is_string) {
        let words = elements.into_iter().filter_map(|element| match element {
            serde_json::Value::String(word) => Some(word),
            _ => None,
        });
        return Array::String(words.collect());
    }
    match elements.iter().map(serde_json::Value::as_f64).collect::<Option<Vec<f64>>>() {
        Some(numbers) => Array::F64(numbers),
        None => Array::Array(Vec::new()),
    }
}
