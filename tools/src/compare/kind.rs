//! What a file is, by what it holds.

use super::field::Field;
use super::profile::Profile;
use super::series::{self, Series};
use crate::failure::Failure;
use serde_json::Value;
use std::path::Path;

/// What is said where a file is not as expected.
pub(super) const HOW_TO_MAKE: &str = "make the file anew: `ffai generate --model MODEL --prompt TEXT --profile --json`, `ffai bench` \
     or `tools bench -o jsonl`; or give target/criterion after `cargo bench`";

/// Something of a kind that can be compared.
pub(super) enum Measured {
    Profile(Box<Profile>),
    Series(Series),
}

impl Measured {
    /// In the words of a message.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Profile(_) => "a profile",
            Self::Series(series) => series.kind,
        }
    }
}

/// Reads a file, or a folder of criterion, and tells its kind.
pub(super) fn read(path: &Path) -> Result<Measured, Failure> {
    // A name behind a folder of benchmarks is a baseline within it.
    let baseline = !path.exists() && path.parent().is_some_and(series::holds_benchmarks);
    if path.is_dir() || baseline {
        return series::read_criterion(path).map(Measured::Series);
    }
    let file = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| {
        Failure::usage(format!("cannot read {file}: {error}"))
            .with_hint("give two files that exist, or folders of criterion".to_owned())
    })?;
    match serde_json::from_slice::<Value>(&bytes) {
        Ok(value) => measured(&Field::root(&file, &value), path),
        Err(error) => lines(&file, &bytes).unwrap_or_else(|| {
            let found = if bytes.trim_ascii().is_empty() { "an empty file".to_owned() } else { error.to_string() };
            let message = format!("{file}: expected one JSON object, found: {found}");
            Err(Failure::usage(message).with_hint(HOW_TO_MAKE.to_owned()))
        }),
    }
}

/// Each kind is known by a field that the others do not have.
fn measured(root: &Field, path: &Path) -> Result<Measured, Failure> {
    if let Some(items) = root.items() {
        return match items.first() {
            Some(first) if series::is_row(first)? => series::read_bench(root.file(), &items).map(Measured::Series),
            _ => Err(unknown(root)),
        };
    }
    if let Some(profile) = root.get("profile")? {
        return Ok(Measured::Profile(Box::new(Profile::read(root, &profile)?)));
    }
    if root.get("tokens")?.is_some() {
        return Ok(Measured::Profile(Box::new(Profile::read(root, root)?)));
    }
    if root.get("rows")?.is_some() && root.get("chip")?.is_some() {
        return series::read_sidecar(path).map(Measured::Series);
    }
    if series::is_row(root)? {
        return series::read_bench(root.file(), std::slice::from_ref(root)).map(Measured::Series);
    }
    if root.get("stats")?.is_some() && root.get("generated_ids")?.is_some() {
        let message = format!("{}: expected a profile, found a run without one", root.file());
        return Err(Failure::usage(message).with_hint("run it again with --profile beside --json".to_owned()));
    }
    Err(unknown(root))
}

fn unknown(root: &Field) -> Failure {
    root.unexpected(
        "a profile (an object with `profile`, or with `tokens` and `ops`), a sidecar of `ffai bench` (`chip` and `rows`) or rows of \
         `tools bench` (`n_prompt` and `n_gen`)",
    )
}

/// A file of JSON lines; `None` where its first line is no row of a benchmark.
fn lines(file: &str, bytes: &[u8]) -> Option<Result<Measured, Failure>> {
    let mut lines = bytes.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty());
    let mut values = vec![serde_json::from_slice::<Value>(lines.next()?.1).ok()?];
    series::is_row(&Field::root(file, &values[0])).ok().filter(|is_row| *is_row)?;
    for (index, line) in lines {
        match serde_json::from_slice(line) {
            Ok(value) => values.push(value),
            Err(error) => {
                let message = format!("{file}: line {}: expected a row as JSON, found: {error}", index + 1);
                return Some(Err(Failure::usage(message).with_hint(HOW_TO_MAKE.to_owned())));
            }
        }
    }
    let all = Value::Array(values);
    let rows = Field::root(file, &all).items()?;
    Some(series::read_bench(file, &rows).map(Measured::Series))
}
