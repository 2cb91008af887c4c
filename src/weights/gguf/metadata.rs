//! The key-value pairs of a file, and typed access to them.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::Error;
use super::value::{Array, Value};
use crate::weights::names::{Names, Twice};

/// Key-value pairs in file order.
///
/// Each typed accessor comes twice: `u32(key)` for what a model needs, and `opt_u32(key)` for what
/// has a default. A missing key is an error for the first and `None` for the second; a value of
/// the wrong type is an error for both, since a default in its place would be a silent mistake.
#[derive(Clone, Debug)]
pub struct Metadata {
    file: PathBuf,
    entries: Vec<(String, Value)>,
    by_key: Names,
}

/// For each `opt_…` accessor, the one that insists on the key.
macro_rules! required {
    ($($name:ident, $optional:ident -> $type:ty: $what:literal;)*) => {$(
        #[doc = concat!("The value of `key` as ", $what, ".")]
        ///
        /// # Errors
        /// [`Error::MissingKey`], and [`Error::WrongType`] if it is no such value.
        pub fn $name(&self, key: &str) -> Result<$type, Error> {
            self.$optional(key)?.ok_or_else(|| self.missing(key))
        }
    )*};
}

impl Metadata {
    /// Metadata of `file`, which error messages name.
    ///
    /// # Errors
    /// [`Error::Duplicate`] if a key occurs twice.
    pub fn new(file: &Path, entries: Vec<(String, Value)>) -> Result<Self, Error> {
        let by_key = Names::index(&entries, key).map_err(|Twice { first, second }| {
            let name = entries[first].0.clone();
            Error::Duplicate { file: file.to_owned(), what: "metadata key", name, first, second }
        })?;
        Ok(Self { file: file.to_owned(), entries, by_key })
    }

    /// All pairs in file order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The value of `key`, whatever its type.
    pub fn get(&self, wanted: &str) -> Option<&Value> {
        self.by_key.find(&self.entries, key, wanted).map(|(_, value)| value)
    }

    required! {
        u32, opt_u32 -> u32: "an integer from 0 to 4294967295, of any integer type";
        u64, opt_u64 -> u64: "an integer from 0 to 18446744073709551615, of any integer type";
        f32, opt_f32 -> f32: "a floating-point number; an `f64` is rounded";
        bool, opt_bool -> bool: "a bool";
        str, opt_str -> &str: "a string";
        strings, opt_strings -> &[String]: "an array of strings";
        f32s, opt_f32s -> &[f32]: "an array of `f32`";
        i32s, opt_i32s -> Cow<'_, [i32]>: "an array of `i32`, or of `u32` that fit";
        bools, opt_bools -> &[bool]: "an array of bools";
    }

    /// As [`Self::u32`], but `None` without the key.
    pub fn opt_u32(&self, key: &str) -> Result<Option<u32>, Error> {
        self.read(key, "an unsigned 32-bit integer", |value| value.integer()?.try_into().ok())
    }

    /// As [`Self::u64`], but `None` without the key.
    pub fn opt_u64(&self, key: &str) -> Result<Option<u64>, Error> {
        self.read(key, "an unsigned integer", |value| value.integer()?.try_into().ok())
    }

    /// As [`Self::f32`], but `None` without the key.
    pub fn opt_f32(&self, key: &str) -> Result<Option<f32>, Error> {
        self.read(key, "a floating-point number", |value| match value {
            Value::F32(number) => Some(*number),
            Value::F64(number) => Some(*number as f32),
            _ => None,
        })
    }

    /// As [`Self::bool`], but `None` without the key.
    pub fn opt_bool(&self, key: &str) -> Result<Option<bool>, Error> {
        self.read(key, "a bool", |value| match value {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        })
    }

    /// As [`Self::str`], but `None` without the key.
    pub fn opt_str(&self, key: &str) -> Result<Option<&str>, Error> {
        self.read(key, "a string", |value| match value {
            Value::String(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// As [`Self::strings`], but `None` without the key.
    pub fn opt_strings(&self, key: &str) -> Result<Option<&[String]>, Error> {
        self.read(key, "an array of strings", |value| match value {
            Value::Array(Array::String(elements)) => Some(elements.as_slice()),
            _ => None,
        })
    }

    /// As [`Self::f32s`], but `None` without the key.
    pub fn opt_f32s(&self, key: &str) -> Result<Option<&[f32]>, Error> {
        self.read(key, "an array of f32", |value| match value {
            Value::Array(Array::F32(elements)) => Some(elements.as_slice()),
            _ => None,
        })
    }

    /// As [`Self::i32s`], but `None` without the key. Borrowed unless the file says `u32`.
    pub fn opt_i32s(&self, key: &str) -> Result<Option<Cow<'_, [i32]>>, Error> {
        self.read(key, "an array of i32", |value| match value {
            Value::Array(Array::I32(elements)) => Some(Cow::Borrowed(elements.as_slice())),
            Value::Array(Array::U32(elements)) => {
                let signed = elements.iter().map(|element| i32::try_from(*element));
                signed.collect::<Result<_, _>>().ok().map(Cow::Owned)
            }
            _ => None,
        })
    }

    /// As [`Self::bools`], but `None` without the key.
    pub fn opt_bools(&self, key: &str) -> Result<Option<&[bool]>, Error> {
        self.read(key, "an array of bools", |value| match value {
            Value::Array(Array::Bool(elements)) => Some(elements.as_slice()),
            _ => None,
        })
    }

    fn read<'a, T>(
        &'a self,
        key: &str,
        expected: &'static str,
        convert: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        convert(value).map(Some).ok_or_else(|| Error::WrongType {
            key: key.to_owned(),
            expected,
            found: found(value),
            file: self.file.clone(),
        })
    }

    fn missing(&self, key: &str) -> Error {
        Error::MissingKey { key: key.to_owned(), file: self.file.clone() }
    }
}

fn key(entry: &(String, Value)) -> &str {
    &entry.0
}

/// Strings are left out: a chat template is no help in a message about types.
fn found(value: &Value) -> String {
    match value {
        Value::String(_) => "a string".to_owned(),
        Value::Array(Array::Array(_)) => "an array of arrays or of mixed values".to_owned(),
        Value::Array(array) => format!("an array of {} {}", array.len(), array.element_name()),
        number => format!("{} {number}", number.type_name()),
    }
}
