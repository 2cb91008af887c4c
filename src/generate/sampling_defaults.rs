//! How a model is sampled unless its user says otherwise.

use super::request::SamplingOptions;
use crate::Error;
use crate::model;
use crate::text::GenerationDefaults;
use crate::weights::gguf::{Metadata, Value};
use crate::weights::{self, Checkpoint};
use serde::Serialize;
use std::fmt;
use std::path::Path;

/// Who says how a model is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// `generation_config.json` of the checkpoint.
    GenerationConfig,
    /// `general.sampling.*` of the GGUF file.
    GgufMetadata,
    /// The model's family.
    Family,
    /// Nobody: what is neutral, or usual.
    Ffai,
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::GenerationConfig => "generation_config.json",
            Self::GgufMetadata => "GGUF metadata",
            Self::Family => "the family",
            Self::Ffai => "ffai",
        })
    }
}

/// A value and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Who says so.
    pub source: Source,
}

/// How a checkpoint's model is sampled unless its user says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SamplingDefaults {
    /// As [`SamplingOptions::temperature`], and so on.
    pub temperature: Sourced<f32>,
    /// Keeps the so many best tokens; 0 is off.
    pub top_k: Sourced<u32>,
    /// Keeps the best tokens until their probability reaches this; 1 is off.
    pub top_p: Sourced<f32>,
    /// Keeps tokens at least this probable relative to the best; 0 is off.
    pub min_p: Sourced<f32>,
    /// Divides scores of tokens seen before; 1 is off.
    pub repetition_penalty: Sourced<f32>,
}

/// How `checkpoint` is sampled unless its user says otherwise: what the checkpoint says, value by value, else what its family does.
///
/// # Errors
/// `generation_config.json` or the GGUF file's metadata are damaged. A family that is not known is none.
pub fn sampling_defaults(checkpoint: &Checkpoint) -> Result<SamplingDefaults, Error> {
    let (said, source) = match (checkpoint.gguf(), checkpoint.folder()) {
        (Some(gguf), _) => (in_metadata(gguf.metadata(), gguf.path())?, Source::GgufMetadata),
        (None, Some(folder)) => (in_folder(folder)?, Source::GenerationConfig),
        (None, None) => (GenerationDefaults::default(), Source::Ffai),
    };
    let usual = SamplingOptions::default();
    let (family, otherwise) = match model::family(checkpoint) {
        Ok(family) => (family.sampling, Source::Family),
        Err(_) => {
            let SamplingOptions { temperature, top_p, top_k, .. } = usual;
            (model::SamplingDefaults { temperature, top_p, top_k }, Source::Ffai)
        }
    };
    Ok(SamplingDefaults {
        temperature: either(said.temperature, source, family.temperature, otherwise),
        top_k: either(said.top_k, source, family.top_k, otherwise),
        top_p: either(said.top_p, source, family.top_p, otherwise),
        min_p: either(said.min_p, source, usual.min_p, Source::Ffai),
        repetition_penalty: either(said.repetition_penalty, source, usual.repetition_penalty, Source::Ffai),
    })
}

impl SamplingDefaults {
    /// As options, with seed 0.
    pub fn options(&self) -> SamplingOptions {
        SamplingOptions {
            temperature: self.temperature.value,
            top_k: self.top_k.value,
            top_p: self.top_p.value,
            min_p: self.min_p.value,
            repetition_penalty: self.repetition_penalty.value,
            ..SamplingOptions::default()
        }
    }
}

fn either<T>(said: Option<T>, source: Source, usual: T, otherwise: Source) -> Sourced<T> {
    match said {
        Some(value) => Sourced { value, source },
        None => Sourced { value: usual, source: otherwise },
    }
}

fn in_folder(folder: &Path) -> Result<GenerationDefaults, Error> {
    let mut said = GenerationDefaults::from_folder(folder)?;
    // Authors who say that nothing is drawn mean the best token, whatever temperature stands beside it.
    if said.do_sample == Some(false) {
        said.temperature = Some(0.0);
    }
    Ok(said)
}

/// The keys that llama.cpp's converter makes of a `generation_config.json`. Where its sampler takes a value for "off", so does this.
fn in_metadata(metadata: &Metadata, file: &Path) -> Result<GenerationDefaults, Error> {
    let number = |key: &str, from: f32, to: f32| -> Result<Option<f32>, Error> {
        let key = format!("general.sampling.{key}");
        match metadata.opt_f32(&key)? {
            Some(value) if !(from..=to).contains(&value) => Err(weights::Error::Invalid {
                file: file.to_owned(),
                what: format!("metadata key `{key}`"),
                expected: format!("a number from {from} to {to}"),
                found: value.to_string(),
            }
            .into()),
            value => Ok(value),
        }
    };
    let top_k = match metadata.get("general.sampling.top_k") {
        Some(Value::I32(..=0)) => Some(0),
        _ => metadata.opt_u32("general.sampling.top_k")?,
    };
    Ok(GenerationDefaults {
        temperature: number("temp", -1e9, 100.0)?.map(|value| value.max(0.0)),
        top_k,
        top_p: number("top_p", f32::MIN_POSITIVE, 1e9)?.map(|value| value.min(1.0)),
        min_p: number("min_p", -1e9, 1.0)?.map(|value| value.max(0.0)),
        repetition_penalty: number("penalty_repeat", 0.01, 100.0)?,
        ..GenerationDefaults::default()
    })
}
