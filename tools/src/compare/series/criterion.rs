//! What criterion leaves under `target/criterion`: a folder per benchmark, and in it one per baseline.

use super::{Column, Quantity, Row, Series, rows};
use crate::compare::field::Field;
use crate::failure::Failure;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The baseline that every run writes.
const LATEST: &str = "new";
/// Folders within folders: groups, functions and parameters take three.
const DEEPEST: usize = 8;
/// Folders that are looked into before a name is taken for that of a file.
const MOST_LOOKED: usize = 1000;
const HINT: &str =
    "give target/criterion after `cargo bench`, or target/criterion/NAME after `cargo bench -- --save-baseline NAME`";

/// Which baselines are read.
enum Baselines<'n> {
    /// The one of this name.
    One(&'n str),
    /// Every one whose name begins so: each is a run.
    Runs(&'n str),
}

impl Baselines<'_> {
    fn has(&self, name: &str) -> bool {
        match self {
            Self::One(wanted) => name == *wanted,
            Self::Runs(beginning) => name.starts_with(beginning),
        }
    }
}

/// Reads the benchmarks under `path`. Of a folder those of the last run, of a folder and a name behind it those of the baseline of
/// that name, and of a single baseline's folder that one. A name that ends in `*` stands for every baseline that begins so: what each
/// of these runs found on average is one value then, so that what runs differ by is known.
pub(in crate::compare) fn read(path: &Path) -> Result<Series, Failure> {
    let file = path.display().to_string();
    let (folder, baseline) = if path.is_dir() {
        (path, LATEST)
    } else {
        let name = path.file_name().and_then(|name| name.to_str());
        match (path.parent().filter(|parent| parent.is_dir()), name) {
            (Some(parent), Some(name)) => (parent, name),
            _ => return Err(none(&file, LATEST)),
        }
    };
    let mut found = Vec::new();
    let wanted = match baseline.strip_suffix('*') {
        Some(beginning) => Baselines::Runs(beginning),
        None => Baselines::One(baseline),
    };
    if is_baseline(folder) {
        found.push(folder.to_owned());
    } else {
        walk(folder, &wanted, DEEPEST, &mut found)?;
    }
    let mut benchmarks = found.iter().map(|folder| benchmark(folder)).collect::<Result<Vec<Row>, Failure>>()?;
    if let Baselines::Runs(_) = wanted {
        for column in benchmarks.iter_mut().flat_map(|row| &mut row.columns) {
            column.values = vec![column.values.iter().sum::<f64>() / column.values.len() as f64];
            column.error = None;
        }
    }
    if benchmarks.is_empty() {
        return Err(none(&file, baseline));
    }
    Ok(Series { file, kind: "benchmarks of criterion", rows: rows::joined(benchmarks) })
}

/// Whether there are benchmarks of the last run under a folder, as far as a short look tells.
pub(in crate::compare) fn holds_benchmarks(folder: &Path) -> bool {
    let mut near = vec![folder.to_owned()];
    let mut looked = 0;
    while let Some(folder) = near.pop() {
        looked += 1;
        if is_baseline(&folder.join(LATEST)) {
            return true;
        }
        let inner = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let folders = inner.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        near.extend(folders.map(|entry| entry.path()).take(MOST_LOOKED.saturating_sub(looked + near.len())));
    }
    false
}

fn none(file: &str, baseline: &str) -> Failure {
    let message = format!("{file}: expected benchmarks of criterion with a baseline `{baseline}`, found none");
    Failure::usage(message).with_hint(HINT.to_owned())
}

fn is_baseline(folder: &Path) -> bool {
    folder.join("benchmark.json").is_file()
}

/// The folders called as `wanted` that hold a benchmark, in alphabetical order.
fn walk(folder: &Path, wanted: &Baselines<'_>, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let unreadable =
        |error| Failure::usage(format!("cannot read {}: {error}", folder.display())).with_hint(HINT.to_owned());
    let mut inner = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        // Not through links: they may lead in circles.
        if entry.file_type().map_err(unreadable)?.is_dir() {
            inner.push(entry.path());
        }
    }
    inner.sort();
    for folder in inner {
        if folder.file_name().and_then(|name| name.to_str()).is_some_and(|name| wanted.has(name))
            && is_baseline(&folder)
        {
            found.push(folder);
        } else if depth > 0 {
            walk(&folder, wanted, depth - 1, found)?;
        }
    }
    Ok(())
}

/// One benchmark's times per iteration: every sample's, or the mean with its error where the samples were not kept.
fn benchmark(folder: &Path) -> Result<Row, Failure> {
    let (file, about) = parsed(&folder.join("benchmark.json"))?;
    let about = Field::root(&file, &about);
    let Some(name) = about.text("full_id")? else { return Err(about.unexpected("a benchmark with a `full_id`")) };
    let samples = folder.join("sample.json");
    let column = if samples.is_file() {
        let (file, samples) = parsed(&samples)?;
        sampled(&Field::root(&file, &samples))?
    } else {
        let (file, estimates) = parsed(&folder.join("estimates.json"))?;
        estimated(&Field::root(&file, &estimates))?
    };
    Ok(Row { name, facts: Vec::new(), columns: vec![column] })
}

fn sampled(samples: &Field) -> Result<Column, Failure> {
    let numbers = |key: &str| samples.list(key)?.iter().map(Field::as_number).collect::<Result<Vec<f64>, Failure>>();
    let (iterations, times) = (numbers("iters")?, numbers("times")?);
    let each: Vec<f64> = times.iter().zip(&iterations).map(|(time, iterations)| time / iterations).collect();
    let column = Column::of("time", Quantity::Nanoseconds, &each, None);
    column
        .filter(|_| iterations.len() == times.len())
        .ok_or_else(|| samples.unexpected("as many `iters` as `times`, none 0"))
}

fn estimated(estimates: &Field) -> Result<Column, Failure> {
    let mean = estimates.get("mean")?;
    let number = |key: &str| mean.as_ref().map_or(Ok(None), |mean| mean.number(key));
    let (value, error) = (number("point_estimate")?, number("standard_error")?);
    let column = value.and_then(|value| Column::of("time", Quantity::Nanoseconds, &[value], error));
    column.ok_or_else(|| estimates.unexpected("a `mean` with a `point_estimate` above 0"))
}

fn parsed(path: &Path) -> Result<(String, Value), Failure> {
    let file = path.display().to_string();
    let unreadable = |error| Failure::usage(format!("cannot read {file}: {error}")).with_hint(HINT.to_owned());
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let value = serde_json::from_slice(&bytes).map_err(|error| {
        Failure::usage(format!("{file}: expected what criterion wrote, found: {error}"))
            .with_hint("remove that folder and run `cargo bench` again".to_owned())
    })?;
    Ok((file, value))
}
