//! What `ffai bench` keeps beside its reports: the file in which every row lies whole.

use crate::failure::Failure;
use ffai::bench::BenchRow;
use serde::Deserialize;

/// One day's rows of one chip. Fields that are not named here are left alone.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sidecar {
    /// The chip, as file names have it.
    pub(crate) chip: String,
    /// Memory of the machine.
    #[serde(rename = "systemRAMBytes", default)]
    pub(crate) system_ram_bytes: u64,
    /// The system's version.
    #[serde(default)]
    pub(crate) os_version: String,
    /// When the first row was measured: ISO-8601 UTC.
    #[serde(default)]
    pub(crate) created_at: String,
    /// The rows, in the order in which they were measured.
    pub(crate) rows: Vec<BenchRow>,
}

impl Sidecar {
    /// The sidecar in `bytes`. What is none has status 2, with the file, the place and what was wrong there.
    pub(crate) fn parse(file: &str, bytes: &[u8]) -> Result<Self, Failure> {
        serde_json::from_slice(bytes).map_err(|error| {
            let found = if bytes.trim_ascii().is_empty() { "an empty file".to_owned() } else { error.to_string() };
            Failure::usage(format!("{file}: expected a sidecar of `ffai bench`, found: {found}"))
                .with_hint("restore it from a copy, or move it away and measure anew".to_owned())
        })
    }
}
