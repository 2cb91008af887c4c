//! What `ffai bench` keeps beside its reports: the file in which every row lies whole.

use crate::failure::Failure;
use ffai::bench::BenchRow;
use serde_json::{Map, Value};
use std::path::Path;

/// One day's rows of one chip.
#[derive(Debug)]
pub(crate) struct Sidecar {
    /// The chip, as file names have it.
    pub(crate) chip: String,
    /// Memory of the machine.
    pub(crate) system_ram_bytes: u64,
    /// The system's version.
    pub(crate) os_version: String,
    /// When the first row was measured: ISO-8601 UTC.
    pub(crate) created_at: String,
    /// The rows, in the order in which they were measured.
    pub(crate) rows: Vec<BenchRow>,
}

impl Sidecar {
    /// Reads a file. What is no sidecar has status 2, with the file, the place and what was wrong there.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let wrong = |message: String| {
            Failure::usage(message).with_hint("restore it from a copy, or move it away and measure anew".to_owned())
        };
        let sidecar = ffai::bench::Sidecar::read(path).map_err(|error| wrong(error.to_string()))?;
        let mut rows = Vec::new();
        for (index, row) in sidecar.bench_rows().enumerate() {
            let place = format!("{}: `rows[{index}]", path.display());
            let row = row.map_err(|error| {
                let field = damaged_field(&sidecar.rows()[index]).map_or_else(String::new, |field| format!(".{field}"));
                wrong(format!("{place}{field}`: expected a row of `ffai bench`, found: {error}"))
            })?;
            if row.model.is_empty() || row.method.is_empty() {
                return Err(wrong(format!("{place}`: expected a row with `model` and `method`, found one without")));
            }
            rows.push(row);
        }
        Ok(Self {
            chip: sidecar.chip().to_owned(),
            system_ram_bytes: sidecar.system_ram_bytes(),
            os_version: sidecar.os_version().to_owned(),
            created_at: sidecar.created_at().to_owned(),
            rows,
        })
    }
}

/// The field that makes a row none: the one that is none by itself.
fn damaged_field(row: &Value) -> Option<&str> {
    let alone = |(name, value): &(&String, &Value)| {
        let row = Map::from_iter([((*name).clone(), (*value).clone())]);
        !value.is_null() && serde_json::from_value::<BenchRow>(Value::Object(row)).is_err()
    };
    row.as_object()?.iter().find(alone).map(|(name, _)| name.as_str())
}
