//! Values of a JSON file that know where they stand, so that a message can say it.

use crate::failure::Failure;
use serde_json::Value;

/// Characters of a text, and keys of an object, that a message repeats.
const SHOWN_CHARACTERS: usize = 40;
const SHOWN_KEYS: usize = 6;

/// A value, and the way to it: `profile.tokens[3].gpu_ms` of a file.
pub(super) struct Field<'a> {
    file: &'a str,
    path: String,
    value: &'a Value,
}

impl<'a> Field<'a> {
    /// All of a file.
    pub(super) fn root(file: &'a str, value: &'a Value) -> Self {
        Self { file, path: String::new(), value }
    }

    /// The name of the file.
    pub(super) fn file(&self) -> &'a str {
        self.file
    }

    /// What stands under `key`; `None` where nothing or `null` does. An error where this is no object.
    pub(super) fn get(&self, key: &str) -> Result<Option<Field<'a>>, Failure> {
        let Some(object) = self.value.as_object() else { return Err(self.unexpected("an object")) };
        let value = object.get(key).filter(|value| !value.is_null());
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Ok(value.map(|value| Field { file: self.file, path, value }))
    }

    /// The fields of an object, by name, without those that are `null`.
    pub(super) fn fields(&self) -> Result<Vec<(&'a str, Field<'a>)>, Failure> {
        let Some(object) = self.value.as_object() else { return Err(self.unexpected("an object")) };
        let mut fields = Vec::new();
        for key in object.keys() {
            fields.extend(self.get(key)?.map(|field| (key.as_str(), field)));
        }
        Ok(fields)
    }

    /// The items under `key`; none where nothing stands there.
    pub(super) fn list(&self, key: &str) -> Result<Vec<Field<'a>>, Failure> {
        let Some(list) = self.get(key)? else { return Ok(Vec::new()) };
        list.items().ok_or_else(|| list.unexpected("a list"))
    }

    /// The text under `key`.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>, Failure> {
        let Some(field) = self.get(key)? else { return Ok(None) };
        let Some(text) = field.value.as_str() else { return Err(field.unexpected("a text")) };
        Ok(Some(text.to_owned()))
    }

    /// The number under `key`.
    pub(super) fn number(&self, key: &str) -> Result<Option<f64>, Failure> {
        self.get(key)?.map(|field| field.as_number()).transpose()
    }

    /// This as a number. Times, counts and sizes are never negative.
    pub(super) fn as_number(&self) -> Result<f64, Failure> {
        let number = self.value.as_f64().filter(|number| number.is_finite() && *number >= 0.0);
        number.ok_or_else(|| self.unexpected("a number of at least 0"))
    }

    /// A text as it is, anything else as JSON.
    pub(super) fn shown(&self) -> String {
        self.value.as_str().map_or_else(|| self.value.to_string(), str::to_owned)
    }

    /// The items of this; `None` where it is no list.
    pub(super) fn items(&self) -> Option<Vec<Field<'a>>> {
        let item = |(index, value)| Field { file: self.file, path: format!("{}[{index}]", self.path), value };
        Some(self.value.as_array()?.iter().enumerate().map(item).collect())
    }

    /// Whether this is an object.
    pub(super) fn is_object(&self) -> bool {
        self.value.is_object()
    }

    /// Whether this is a number of any kind.
    pub(super) fn is_number(&self) -> bool {
        self.value.is_number()
    }

    /// The error for something else than `expected`.
    pub(super) fn unexpected(&self, expected: &str) -> Failure {
        let place = if self.path.is_empty() { String::new() } else { format!("`{}`: ", self.path) };
        Failure::usage(format!("{}: {place}expected {expected}, found {}", self.file, found(self.value)))
            .with_hint(super::kind::HOW_TO_MAKE.to_owned())
    }
}

/// A value in the words of a message.
fn found(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => {
            let short: String = text.chars().take(SHOWN_CHARACTERS).collect();
            let rest = if short.len() < text.len() { "…" } else { "" };
            format!("the text {short:?}{rest}")
        }
        Value::Array(items) if items.is_empty() => "an empty list".to_owned(),
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(object) if object.is_empty() => "an empty object".to_owned(),
        Value::Object(object) => {
            let keys: Vec<String> = object.keys().take(SHOWN_KEYS).map(|key| format!("`{key}`")).collect();
            let rest = if object.len() > SHOWN_KEYS { ", …" } else { "" };
            format!("an object with {}{rest}", keys.join(", "))
        }
    }
}
