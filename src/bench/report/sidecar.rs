//! The file that programs read, and the source of truth.

use super::Machine;
use crate::bench::{BenchRow, Error};
use serde_json::{Map, Value};
use std::path::Path;

const CHIP: &str = "chip";
const RAM: &str = "systemRAMBytes";
const OS: &str = "osVersion";
const CREATED: &str = "createdAt";
const ROWS: &str = "rows";

/// A day's rows of one chip. Fields that this build does not know are kept as they are, in the file and in its rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Sidecar {
    fields: Map<String, Value>,
}

impl Sidecar {
    /// One without rows. `created` is ISO-8601 in UTC, whole seconds.
    pub fn new(machine: &Machine, created: String) -> Self {
        let Machine { chip, system_ram_bytes, os_version } = machine;
        let fields = [
            (CHIP, chip.as_str().into()),
            (RAM, (*system_ram_bytes).into()),
            (OS, os_version.as_str().into()),
            (CREATED, created.into()),
            (ROWS, Value::Array(Vec::new())),
        ];
        Self { fields: fields.map(|(name, value): (&str, Value)| (name.to_owned(), value)).into_iter().collect() }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, is no JSON, or lacks what a sidecar has; rows may have fields of any kind.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(Error::file(path))?;
        let damaged = |expected, found| Error::Damaged { path: path.to_owned(), expected, found };
        let value: Value = serde_json::from_slice(&bytes)
            .map_err(|error| damaged("a benchmark's sidecar in JSON", format!("a mistake: {error}")))?;
        Self::of(value).map_err(|(expected, found)| damaged(expected, found))
    }

    pub(super) fn of(value: Value) -> Result<Self, (&'static str, String)> {
        let Value::Object(fields) = value else { return Err(("a JSON object", kind(Some(&value)))) };
        for name in [CHIP, OS, CREATED] {
            if !fields.get(name).is_some_and(Value::is_string) {
                return Err((
                    "`chip`, `osVersion` and `createdAt` to be texts",
                    format!("{name}: {}", kind(fields.get(name))),
                ));
            }
        }
        if !fields.get(RAM).is_some_and(Value::is_u64) {
            return Err(("`systemRAMBytes` to be a number of bytes", kind(fields.get(RAM))));
        }
        let Some(Value::Array(rows)) = fields.get(ROWS) else {
            return Err(("`rows` to be a list", kind(fields.get(ROWS))));
        };
        match rows.iter().position(|row| !row.is_object()) {
            Some(index) => Err(("every row to be an object", format!("row {}: {}", index + 1, kind(rows.get(index))))),
            None => Ok(Self { fields }),
        }
    }

    fn text(&self, name: &str) -> &str {
        self.fields.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// The chip, as it stands in names of files.
    pub fn chip(&self) -> &str {
        self.text(CHIP)
    }

    /// Bytes of the system's memory.
    pub fn system_ram_bytes(&self) -> u64 {
        self.fields.get(RAM).and_then(Value::as_u64).unwrap_or(0)
    }

    /// The operating system's version.
    pub fn os_version(&self) -> &str {
        self.text(OS)
    }

    /// When the first row came: ISO-8601 in UTC.
    pub fn created_at(&self) -> &str {
        self.text(CREATED)
    }

    /// The rows as they stand in the file, oldest first; each is an object.
    pub fn rows(&self) -> &[Value] {
        self.fields.get(ROWS).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The rows by their schema, oldest first. What an older schema leaves out is 0 or empty.
    ///
    /// # Errors
    /// For each row, a field that is of another kind than the schema's.
    pub fn bench_rows(&self) -> impl Iterator<Item = Result<BenchRow, serde_json::Error>> {
        self.rows().iter().map(|row| serde_json::from_value(without_nulls(row.clone())))
    }

    /// Adds rows at the end.
    pub fn extend(&mut self, rows: &[BenchRow]) {
        if let Some(Value::Array(all)) = self.fields.get_mut(ROWS) {
            all.extend(rows.iter().map(value));
        }
    }

    /// The file's text: sorted keys, two spaces of indent, a newline at the end.
    pub fn to_json(&self) -> String {
        let mut value = Value::Object(self.fields.clone());
        value.sort_all_objects();
        format!("{value:#}\n")
    }
}

/// A row as it stands in the file.
pub(super) fn value(row: &BenchRow) -> Value {
    match serde_json::to_value(row) {
        Ok(value) => without_nulls(value),
        Err(error) => panic!("a row of numbers and texts is no JSON: {error}"),
    }
}

/// Without what is unknown: a number that is not finite is written as null, and the schema leaves such fields out.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_nulls(value)))
            .collect(),
        value => value,
    }
}

fn kind(value: Option<&Value>) -> String {
    let kind = match value {
        None => "nothing",
        Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "a truth value",
        Some(Value::Number(_)) => "another number",
        Some(Value::String(_)) => "a text",
        Some(Value::Array(_)) => "a list",
        Some(Value::Object(_)) => "an object",
    };
    kind.to_owned()
}
