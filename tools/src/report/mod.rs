//! `tools report`: a folder of sidecars as one page that needs nothing else: no network, no script, no other file.

mod chart;
mod entries;
mod figures;
mod legend;
mod page;

use crate::failure::Failure;
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// A folder that `ffai bench` filled (its `--report-dir`), with all folders in it; or one sidecar
    folder: PathBuf,
    /// The page to write
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    output: PathBuf,
}

/// Writes the page. Without a sidecar, or with one that is damaged, the status is 2 and nothing is written.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let sidecars = entries::read(&arguments.folder)?;
    write(&arguments.output, &page::page(&sidecars)?)
}

/// All of the file or nothing: a browser that looks meanwhile sees the old page.
fn write(path: &Path, page: &str) -> Result<(), Failure> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let written = std::fs::write(&partial, page).and_then(|()| std::fs::rename(&partial, path));
    written.map_err(|error| {
        // What is half written is of no use; that it cannot be removed is no further news.
        let _ = std::fs::remove_file(&partial);
        Failure::failed(format!("cannot write {}: {error}", path.display()))
    })
}
