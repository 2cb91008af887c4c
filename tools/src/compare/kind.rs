//! What a file is, by what it holds.

use super::field::Field;
use super::profile::Profile;
use crate::failure::Failure;
use serde_json::Value;
use std::path::Path;

/// What is said where a file is not as expected.
pub(super) const HOW_TO_MAKE: &str =
    "make the file anew: ffai generate --model MODEL --prompt TEXT --profile --json > profile.json";

/// A file of a kind that can be compared.
pub(super) enum Measured {
    Profile(Profile),
}

/// Reads a file and tells its kind.
pub(super) fn read(path: &Path) -> Result<Measured, Failure> {
    let file = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| {
        Failure::usage(format!("cannot read {file}: {error}")).with_hint("give two files that exist".to_owned())
    })?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| {
        let found = if bytes.trim_ascii().is_empty() { "an empty file".to_owned() } else { error.to_string() };
        Failure::usage(format!("{file}: expected one JSON object, found: {found}")).with_hint(HOW_TO_MAKE.to_owned())
    })?;
    measured(&Field::root(&file, &value))
}

/// Each kind is known by a field that the others do not have.
fn measured(root: &Field) -> Result<Measured, Failure> {
    if let Some(profile) = root.get("profile")? {
        return Ok(Measured::Profile(Profile::read(root, &profile)?));
    }
    if root.get("tokens")?.is_some() {
        return Ok(Measured::Profile(Profile::read(root, root)?));
    }
    if root.get("stats")?.is_some() && root.get("generated_ids")?.is_some() {
        let message = format!("{}: expected a profile, found a run without one", root.file());
        return Err(Failure::usage(message).with_hint("run it again with --profile beside --json".to_owned()));
    }
    Err(root.unexpected("a profile: an object with `profile`, or with `tokens` and `ops`"))
}
