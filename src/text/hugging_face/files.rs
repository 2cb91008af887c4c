//! The JSON files beside a checkpoint, read with care: they come from strangers.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::text::Error;

/// What the largest files of settings stay far below; most of their bytes are chat templates.
const MOST_SETTINGS_BYTES: u64 = 16 << 20;

/// Untrusted text as it may stand in a message: in backquotes, escaped, 60 characters at most.
pub(super) fn quoted(text: &str) -> String {
    format!("`{}`", shown(text, 60))
}

fn shown(text: &str, longest: usize) -> String {
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    let cut = text.chars().nth(longest).map_or("", |_| "…");
    text.chars().take(longest).map(escape).chain([cut.to_owned()]).collect()
}

/// An error about the entry `what` of `file`.
pub(in crate::text) fn invalid(file: &Path, what: &str, expected: &str, found: impl ToString) -> Error {
    Error::Entry {
        file: file.to_owned(),
        what: what.to_owned(),
        expected: expected.to_owned(),
        found: found.to_string(),
    }
}

/// The bytes of a file of at most `most` bytes; `None` if there is no such file.
pub(in crate::text) fn bytes(path: &Path, most: u64) -> Result<Option<Vec<u8>>, Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    // Looked at before it is opened: opening a named pipe waits for a writer.
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
        Ok(about) if about.is_dir() => return Err(failed(ErrorKind::IsADirectory.into())),
        Ok(about) if !about.is_file() => return Err(failed(ErrorKind::Unsupported.into())),
        Ok(_) => {}
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes)).map_err(failed)?;
    match bytes.len() as u64 > most {
        true => Err(invalid(path, "file", &format!("at most {most} bytes"), "more")),
        false => Ok(Some(bytes)),
    }
}

/// `bytes` as JSON of the shape that `T` has.
pub(in crate::text) fn parse<T: DeserializeOwned>(bytes: &[u8], file: &Path, expected: &str) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| {
        let lines = bytes.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
        let offset = lines.map(<[u8]>::len).sum::<usize>() + error.column().saturating_sub(1);
        let message = error.to_string();
        // The place is given in bytes, as for weights: these files may be one line of megabytes.
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
        invalid(file, "JSON", expected, format!("{} (at byte {offset})", shown(message, 200)))
    })
}

/// A file of settings: one JSON object.
pub(in crate::text) struct Settings {
    pub(in crate::text) file: PathBuf,
    value: Value,
}

impl Settings {
    /// Reads `name` in `folder`. A file that is not there has no settings.
    pub(in crate::text) fn read(folder: &Path, name: &str) -> Result<Self, Error> {
        let file = folder.join(name);
        let value = match bytes(&file, MOST_SETTINGS_BYTES)? {
            None => Value::Object(serde_json::Map::new()),
            Some(bytes) => parse(&bytes, &file, "an object")?,
        };
        match value.is_object() {
            true => Ok(Self { file, value }),
            false => Err(invalid(&file, "JSON", "an object", kind(&value))),
        }
    }

    /// The value of `key`; `None` where there is none or it is null.
    pub(in crate::text) fn get(&self, key: &str) -> Option<&Value> {
        self.value.get(key).filter(|value| !value.is_null())
    }

    /// The settings nested under `key`.
    pub(super) fn nested(&self, key: &str) -> Option<Self> {
        let value = self.get(key).filter(|value| value.is_object())?.clone();
        Some(Self { file: self.file.clone(), value })
    }

    pub(super) fn bool(&self, key: &str) -> Result<Option<bool>, Error> {
        let wrong = |value| self.wrong(key, "true or false", value);
        self.get(key).map(|value| value.as_bool().ok_or_else(|| wrong(value))).transpose()
    }

    /// A number within a range that `expected` puts into words.
    pub(super) fn number(&self, key: &str, expected: &str, within: impl Fn(f64) -> bool) -> Result<Option<f64>, Error> {
        let number = |value: &Value| value.as_f64().filter(|number| within(*number));
        self.get(key).map(|value| number(value).ok_or_else(|| self.wrong(key, expected, value))).transpose()
    }

    /// A whole number of 32 bits.
    pub(super) fn whole(&self, key: &str) -> Result<Option<u32>, Error> {
        let whole = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
        self.get(key)
            .map(|value| whole(value).ok_or_else(|| self.wrong(key, "a whole number of 32 bits", value)))
            .transpose()
    }

    /// Token ids: one or a list.
    pub(super) fn ids(&self, key: &str) -> Result<Vec<u32>, Error> {
        let id = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
        let wrong = |value| self.wrong(key, "a token id or a list of them", value);
        match self.get(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(list)) => list.iter().map(|value| id(value).ok_or_else(|| wrong(value))).collect(),
            Some(value) => Ok(vec![id(value).ok_or_else(|| wrong(value))?]),
        }
    }

    /// The text of a token, which stands there as it is or as the `content` of an object.
    pub(in crate::text) fn token(&self, key: &str) -> Result<Option<&str>, Error> {
        let text = |value| token_text(value).ok_or_else(|| self.wrong(key, "a token's text", value));
        self.get(key).map(text).transpose()
    }

    /// An error about the value of `key`.
    pub(in crate::text) fn wrong(&self, key: &str, expected: &str, value: &Value) -> Error {
        invalid(&self.file, key, expected, kind(value))
    }
}

pub(super) fn token_text(value: &Value) -> Option<&str> {
    match value {
        Value::Object(fields) => fields.get("content")?.as_str(),
        value => value.as_str(),
    }
}

/// A value as messages show it.
fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::String(value) => quoted(value),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
