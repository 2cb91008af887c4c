//! Which variant of a kernel a device runs, where it was measured.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Variants by kernel and weight format, where somebody found one to be faster than what is taken otherwise.
///
/// A kernel's variants are its sources (`wgsl`, `msl`, `spirv`) and, of `matmul`, where its tiles lie (`registers`, `shared`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Choices(BTreeMap<String, String>);

impl Choices {
    /// The variant for `kernel` with `format`, if one was chosen.
    pub fn get(&self, kernel: &str, format: Option<&str>) -> Option<&str> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&key(kernel, format)).map(String::as_str)
    }

    /// Chooses a variant.
    pub fn set(&mut self, kernel: &str, format: Option<&str>, variant: &str) {
        self.0.insert(key(kernel, format), variant.to_owned());
    }

    /// Kernel and format, joined by a blank, with the variant of each.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, variant)| (key.as_str(), variant.as_str()))
    }

    /// Whether nothing was chosen.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn key(kernel: &str, format: Option<&str>) -> String {
    format.map_or_else(|| kernel.to_owned(), |format| format!("{kernel} {format}"))
}
