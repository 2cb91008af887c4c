//! Where a synthetic model goes: room for it, how far it is, and a file that has its name only when it is whole.

use crate::failure::Failure;
use ffai::weights::hub;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use std::fs::File;
use std::io::{IsTerminal as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// Room that stays free on a disk.
const SPARE: u64 = 64 << 20;

/// Refuses to begin what the disk has no room for.
pub(super) fn check_room(target: &Path, needed: u64) -> Result<(), Failure> {
    let folder = std::path::absolute(target).ok().and_then(|path| path.parent().map(Path::to_owned));
    // Where it is to be may not be there yet; the disk is that of the nearest folder that is.
    let there = folder.as_deref().and_then(|folder| folder.ancestors().find(|folder| folder.is_dir()));
    match there.and_then(hub::free) {
        Some(free) if free < needed.saturating_add(SPARE) => {
            let (needed, free) = (HumanBytes(needed), HumanBytes(free));
            let message = format!("{}: the model takes {needed}, and the disk has {free} left", target.display());
            Err(Failure::failed(message).with_hint("write to another disk, or fewer --layers".to_owned()))
        }
        _ => Ok(()),
    }
}

/// Shows how many bytes are written.
pub(super) fn bar(bytes: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:32} {bytes}/{total_bytes} ({bytes_per_sec}, {eta})");
    ProgressBar::new(bytes).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// A file beside its place, which it takes when it is whole. One that is not goes away.
pub(super) struct Partial {
    target: PathBuf,
    path: PathBuf,
    file: File,
    whole: bool,
}

impl Partial {
    /// Begins a file for `target`; what is there already is replaced only with `overwrite`, and only if it is a file.
    pub(super) fn begin(target: &Path, overwrite: bool) -> Result<Self, Failure> {
        let Some(name) = target.file_name() else {
            return Err(Failure::usage(format!("--output: expected the name of a file, found {}", target.display())));
        };
        if target.is_dir() || (!overwrite && target.symlink_metadata().is_ok()) {
            let hint = "choose another name, or replace the file there with --overwrite".to_owned();
            let message = format!("{} is there already: expected a name that is free", target.display());
            return Err(Failure::failed(message).with_hint(hint));
        }
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".partial-{}", std::process::id()));
        let path = target.with_file_name(hidden);
        let file = File::options().read(true).write(true).create_new(true).open(&path);
        let file = file.map_err(|error| Failure::failed(format!("cannot write {}: {error}", path.display())))?;
        Ok(Self { target: target.to_owned(), path, file, whole: false })
    }

    /// Where it is until it is whole.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes bytes at a place.
    pub(super) fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.file.seek(SeekFrom::Start(at)).and_then(|_| self.file.write_all(bytes));
        written.map_err(|error| Failure::failed(format!("cannot write {}: {error}", self.path.display())))
    }

    /// Makes the file so long; what was not written is zero.
    pub(super) fn extend(&mut self, bytes: u64) -> Result<(), Failure> {
        let extended = self.file.set_len(bytes);
        extended.map_err(|error| Failure::failed(format!("cannot write {}: {error}", self.path.display())))
    }

    /// Gives the file its name.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        let renamed = self.file.sync_all().and_then(|()| std::fs::rename(&self.path, &self.target));
        renamed.map_err(|error| Failure::failed(format!("cannot write {}: {error}", self.target.display())))?;
        self.whole = true;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.whole {
            // Best effort: writing has failed already, and says why.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
