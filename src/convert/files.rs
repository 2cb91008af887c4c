//! The files beside the weights: configuration, tokenizer, template.

use super::config::{self, Config};
use super::entry::Entry;
use super::{ConvertOptions, Error, Float, folder, from_gguf};
use crate::model::ModelConfig;
use crate::text::Vocabulary;
use crate::weights::{self, Checkpoint};
use serde_json::Value;
use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

/// What describes a checkpoint besides `config.json`, copied as it is.
const COPIED: &[&str] = &[
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "LICENSE",
    "LICENSE.txt",
    "LICENSE.md",
    "NOTICE",
    "NOTICE.txt",
    "USE_POLICY.md",
];

/// A file beside the weights that is larger than this is no description of them.
const MOST_BYTES: u64 = 256 << 20;

/// A number of single precision as people write it: 1e-5, not 9.999999747378752e-6.
pub(super) fn number(value: f32) -> Value {
    let exact = f64::from(value);
    let short = value.to_string().parse().unwrap_or(exact);
    serde_json::Number::from_f64(short).map_or(Value::Null, Value::Number)
}

/// Writes everything but the weights to `to`.
pub(super) fn describe(
    checkpoint: &Checkpoint,
    model: &ModelConfig,
    entries: &[Entry<'_>],
    options: &ConvertOptions,
    dtype: Float,
    to: &Path,
) -> Result<(), crate::Error> {
    let mut config = match checkpoint.folder() {
        Some(folder) => {
            copy(folder, to)?;
            read_config(checkpoint.config_path())?
        }
        None => made(checkpoint, model, to)?,
    };
    config::adapt(&mut config, entries, options, dtype);
    Ok(folder::write_json(&to.join("config.json"), &Value::Object(config), 0)?)
}

/// Writes tokenizer and generation settings of a GGUF file, and yields its configuration.
fn made(checkpoint: &Checkpoint, model: &ModelConfig, to: &Path) -> Result<Config, crate::Error> {
    let Some(gguf) = checkpoint.gguf() else { return Ok(Config::new()) };
    let mut config = from_gguf::config(checkpoint, model)?;
    let refused = |source| crate::Error::Vocabulary { file: checkpoint.path().to_owned(), source };
    let files = Vocabulary::from_gguf(gguf.metadata())?.tokenizer_files().map_err(refused)?;
    from_gguf::token_ids(&mut config, &files);
    folder::write_json(&to.join("generation_config.json"), &from_gguf::generation_config(&files), 0)?;
    folder::write_json(&to.join("tokenizer_config.json"), &files.config, 0)?;
    folder::write(&to.join("tokenizer.json"), &files.tokenizer, 0)?;
    Ok(config)
}

fn copy(from: &Path, to: &Path) -> Result<(), crate::Error> {
    for name in COPIED {
        let path = from.join(name);
        // What is missing is not needed; what is no file is none of the checkpoint's.
        if !fs::metadata(&path).is_ok_and(|about| about.is_file()) {
            continue;
        }
        let bytes = read(&path)?;
        folder::write(&to.join(name), &bytes, 0)?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, weights::Error> {
    let failed = |source| weights::Error::Io { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    fs::File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes)).map_err(failed)?;
    match bytes.len() as u64 > MOST_BYTES {
        true => Err(failed(io::ErrorKind::FileTooLarge.into())),
        false => Ok(bytes),
    }
}

fn read_config(path: &Path) -> Result<Config, crate::Error> {
    // Opening the checkpoint has read it once, so that it is an object unless it has changed since.
    match serde_json::from_slice(&read(path)?) {
        Ok(Value::Object(config)) => Ok(config),
        _ => Err(Error::Write { path: path.to_owned(), source: io::ErrorKind::InvalidData.into() }.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_write_them() {
        // 1e-5 may also be written 0.00001; what must not come out is the widened 9.999999747378752e-6.
        for value in [1e-5_f32, 1e6, 0.1, 8.0] {
            let text = number(value).to_string();
            assert!(text.len() <= 9 && text.parse() == Ok(value), "{text}");
        }
    }
}
