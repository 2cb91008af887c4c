//! The rows of a folder's sidecars, with what the page says about each.

use crate::failure::Failure;
use crate::sidecar::Sidecar;
use ffai::bench::BenchRow;
use jiff::Timestamp;
use std::path::{Path, PathBuf};

/// Folders within folders that are searched.
const DEEPEST: usize = 8;
const ENDING: &str = ".state.json";

/// A row with where and when it was measured.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its anchor on the page.
    pub(super) id: String,
    pub(super) chip: String,
    /// Seconds since 1970. Of a row that does not say, those of its file.
    pub(super) time: Option<i64>,
    pub(super) row: BenchRow,
}

/// All that was found: the files by name, and the rows by time.
#[derive(Debug)]
pub(super) struct Sidecars {
    pub(super) files: Vec<(String, Sidecar)>,
    pub(super) entries: Vec<Entry>,
}

impl Entry {
    /// The model without its folders.
    pub(super) fn model(&self) -> &str {
        self.row.model.trim_end_matches('/').rsplit('/').next().unwrap_or(&self.row.model)
    }

    /// The user's label, else what the weights are stored as.
    pub(super) fn format(&self) -> &str {
        self.row.quantization.as_deref().or(self.row.weight_format.as_deref()).unwrap_or("")
    }

    /// Model and format: what a colour stands for.
    pub(super) fn label(&self) -> String {
        format!("{} {}", self.model(), self.format()).trim_end().to_owned()
    }

    /// The rate of decoding, of steady steps where that is known. `None` where nothing was decoded.
    pub(super) fn decode(&self) -> Option<f64> {
        self.row.steady_tokens_per_second.or(Some(self.row.decode_tokens_per_second)).filter(|rate| sound(*rate))
    }

    /// The rate of prefill. `None` where there was none.
    pub(super) fn prefill(&self) -> Option<f64> {
        Some(self.row.prefill_tokens_per_second).filter(|rate| sound(*rate))
    }
}

/// Whether a number can be drawn.
pub(super) fn sound(value: f64) -> bool {
    value.is_finite() && value > 0.0 && value < 1e15
}

/// Reads every sidecar under `path`.
pub(super) fn read(path: &Path) -> Result<Sidecars, Failure> {
    let mut found = Vec::new();
    if path.is_dir() {
        walk(path, DEEPEST, &mut found)?;
    } else {
        found.push(path.to_owned());
    }
    found.sort();
    if found.is_empty() {
        let message = format!("{}: expected sidecars (*{ENDING}) of `ffai bench`, found none", path.display());
        return Err(Failure::usage(message).with_hint("give the folder of `ffai bench --report-dir`".to_owned()));
    }
    let (mut files, mut entries) = (Vec::new(), Vec::new());
    for file in found {
        let name = file.strip_prefix(path).ok().filter(|name| name.components().count() > 0).unwrap_or(&file);
        let name = name.display().to_string();
        let mut sidecar = Sidecar::read(&file)?;
        let created = seconds(&sidecar.created_at);
        for row in std::mem::take(&mut sidecar.rows) {
            let time = row.measured_at.as_deref().and_then(seconds).or(created);
            entries.push(Entry { id: String::new(), chip: sidecar.chip.clone(), time, row });
        }
        files.push((name, sidecar));
    }
    if entries.is_empty() {
        let message = format!("{}: expected at least one row in its sidecars, found none", path.display());
        return Err(Failure::usage(message).with_hint("run `ffai bench` with this report folder first".to_owned()));
    }
    // Stable: rows of one second keep the order of their files.
    entries.sort_by_key(|entry| entry.time);
    for (index, entry) in entries.iter_mut().enumerate() {
        entry.id = format!("row-{}", index + 1);
    }
    Ok(Sidecars { files, entries })
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    for entry in std::fs::read_dir(folder).map_err(|error| unreadable(folder, &error))? {
        let entry = entry.map_err(|error| unreadable(folder, &error))?;
        let kind = entry.file_type().map_err(|error| unreadable(folder, &error))?;
        // Not through links to folders: they may lead in circles.
        if kind.is_dir() && depth > 0 {
            walk(&entry.path(), depth - 1, found)?;
        } else if !kind.is_dir() && entry.file_name().to_string_lossy().ends_with(ENDING) {
            found.push(entry.path());
        }
    }
    Ok(())
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("cannot read {}: {error}", path.display()))
        .with_hint("give the folder of `ffai bench --report-dir`".to_owned())
}

fn seconds(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_second)
}
