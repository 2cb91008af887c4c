//! Files that keep rows: a sidecar for programs, which is the source of truth, and a page for people, which is rendered from it.
//!
//! One pair of files holds a day of one chip. An append takes a lock, reads the sidecar, adds its rows and puts both files in
//! place of the old ones at once: whoever reads finds the old ones or the new ones, whenever a writer dies.

mod files;
mod machine;
mod markdown;
mod sidecar;
#[cfg(test)]
mod tests;

pub use machine::Machine;
pub use markdown::markdown;
pub use sidecar::Sidecar;

use super::{BenchRow, Error, heat_map};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Where an append has put its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportFiles {
    /// The page for people.
    pub markdown: PathBuf,
    /// The file for programs.
    pub sidecar: PathBuf,
}

/// Appends rows to the day's report of one machine.
#[derive(Clone, Debug)]
pub struct ReportWriter {
    folder: PathBuf,
    machine: Machine,
}

impl ReportWriter {
    /// For the reports under `folder`, which is made when there is something to put into it.
    pub fn new(folder: impl Into<PathBuf>, machine: Machine) -> Self {
        Self { folder: folder.into(), machine }
    }

    /// The folder of the reports.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// `<chip>-<date>`, with which the names of the day's files begin.
    pub fn stem(&self) -> String {
        format!("{}-{}", self.machine.chip, now().strftime("%Y-%m-%d"))
    }

    /// Draws the needles of a row beside the report: `<chip>-<date>-niah-<model>.svg`. What was there of that name is replaced.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn heat_map(&self, row: &BenchRow) -> Result<PathBuf, Error> {
        std::fs::create_dir_all(&self.folder).map_err(Error::file(&self.folder))?;
        let path = self.folder.join(format!("{}-niah-{}.svg", self.stem(), machine::chip(&row.model)));
        heat_map(row, &path)?;
        Ok(path)
    }

    /// Adds `rows` to the report of today, by UTC. Waits while another process appends.
    ///
    /// # Errors
    /// The sidecar that is there is damaged, in which case it is left as it was, or a file cannot be read or written.
    pub fn append(&self, rows: &[BenchRow]) -> Result<ReportFiles, Error> {
        std::fs::create_dir_all(&self.folder).map_err(Error::file(&self.folder))?;
        let stem = self.stem();
        let found = ReportFiles {
            markdown: self.folder.join(format!("{stem}.md")),
            sidecar: self.folder.join(format!(".{stem}.state.json")),
        };
        let lock = files::lock(&self.folder.join(format!(".{stem}.lock")))?;
        let mut sidecar = match found.sidecar.try_exists().map_err(Error::file(&found.sidecar))? {
            true => Sidecar::read(&found.sidecar)?,
            false => Sidecar::new(&self.machine, timestamp()),
        };
        sidecar.extend(rows);
        files::replace(&found.sidecar, &sidecar.to_json())?;
        files::replace(&found.markdown, &markdown(&sidecar))?;
        tracing::debug!(target: "ffai::bench", "{} rows appended to {}", rows.len(), found.sidecar.display());
        drop(lock);
        Ok(found)
    }
}

fn now() -> jiff::Zoned {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC)
}

/// Now: ISO-8601 in UTC, whole seconds.
pub(super) fn timestamp() -> String {
    now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Rows as one line of JSON: a list of objects as they stand in sidecars.
pub fn to_json(rows: &[BenchRow]) -> String {
    Value::Array(rows.iter().map(sidecar::value).collect()).to_string()
}
