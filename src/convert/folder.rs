//! The folder that a conversion fills: under a name of its own until it is whole.

use super::Error;
use serde_json::Value;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// A folder that becomes `target` when it is finished, and is removed when it is not.
#[derive(Debug)]
pub struct Folder {
    target: PathBuf,
    partial: PathBuf,
    overwrite: bool,
    finished: bool,
}

impl Folder {
    /// Makes an empty folder beside `target`. `source` is what will be read meanwhile; an empty path where nothing is.
    ///
    /// # Errors
    /// There is something at `target`, unless it is a model that may be overwritten and does not hold the source.
    pub fn beside(target: &Path, source: &Path, overwrite: bool) -> Result<Self, Error> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| Error::io(&path, 0, error)
        };
        // `a/b/` and `a/b/.` have no last part to put another name beside.
        let target = std::path::absolute(target).map_err(failed(target))?;
        let target: PathBuf = target.components().collect();
        let Some(name) = target.file_name().map(OsString::from) else {
            return Err(Error::NotAModel { path: target, found: "the root of a file system" });
        };
        check(&target, source, overwrite)?;
        let parent = target.parent().unwrap_or(Path::new(".")).to_owned();
        fs::create_dir_all(&parent).map_err(failed(&parent))?;
        let partial = beside(&target, &name, "partial");
        fs::create_dir(&partial).map_err(failed(&partial))?;
        Ok(Self { target, partial, overwrite, finished: false })
    }

    /// Where to write.
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// Where it will be.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Gives the folder its final name.
    ///
    /// # Errors
    /// The system refuses to.
    pub fn finish(mut self) -> Result<(), Error> {
        let failed = |error| Error::io(&self.target, 0, error);
        if self.overwrite && self.target.exists() {
            let name = self.target.file_name().unwrap_or_default().to_owned();
            let old = beside(&self.target, &name, "replaced");
            fs::rename(&self.target, &old).map_err(failed)?;
            if let Err(error) = fs::rename(&self.partial, &self.target) {
                // The old model goes back; if that fails too, it is still there under the other name.
                let _ = fs::rename(&old, &self.target);
                return Err(failed(error));
            }
            self.finished = true;
            return fs::remove_dir_all(&old).map_err(|error| Error::io(&old, 0, error));
        }
        // A folder that somebody made meanwhile is refused by the system, unless it is empty.
        fs::rename(&self.partial, &self.target).map_err(failed)?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.finished {
            // Best effort: the conversion has failed already, and says why.
            let _ = fs::remove_dir_all(&self.partial);
        }
    }
}

/// `.name.what-pid` beside `target`: hidden, and of no other process.
fn beside(target: &Path, name: &std::ffi::OsStr, what: &str) -> PathBuf {
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{what}-{}", std::process::id()));
    target.with_file_name(hidden)
}

fn check(target: &Path, source: &Path, overwrite: bool) -> Result<(), Error> {
    let path = || target.to_owned();
    let Ok(about) = fs::symlink_metadata(target) else { return Ok(()) };
    if !overwrite {
        return Err(Error::Exists { path: path() });
    }
    if !about.is_dir() {
        return Err(Error::NotAModel { path: path(), found: "a file or a link" });
    }
    let failed = |error| Error::io(target, 0, error);
    let mut names = Vec::new();
    for entry in fs::read_dir(target).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() {
            return Err(Error::NotAModel { path: path(), found: "folders in it" });
        }
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    let model =
        names.iter().any(|name| name == "config.json") && names.iter().any(|name| name.ends_with(".safetensors"));
    if !names.is_empty() && !model {
        return Err(Error::NotAModel { path: path(), found: "other files in it" });
    }
    match (target.canonicalize(), source.canonicalize()) {
        (Ok(target), Ok(source)) if source.starts_with(&target) => Err(Error::IsSource { path: path() }),
        _ => Ok(()),
    }
}

/// Writes a file as a whole.
pub(super) fn write(path: &Path, bytes: &[u8], needed: u64) -> Result<(), Error> {
    let written = fs::File::create_new(path).and_then(|mut file| {
        std::io::Write::write_all(&mut file, bytes)?;
        file.sync_all()
    });
    written.map_err(|source| Error::io(path, needed, source))
}

/// Writes JSON as people read it.
pub(super) fn write_json(path: &Path, json: &Value, needed: u64) -> Result<(), Error> {
    write(path, format!("{json:#}\n").as_bytes(), needed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("ffai-folder-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_folder_that_is_not_finished_leaves_nothing() {
        let scratch = scratch("unfinished");
        let folder = Folder::beside(&scratch.join("out/"), &scratch, false).unwrap();
        write(&folder.path().join("config.json"), b"{}", 0).unwrap();
        drop(folder);
        assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0);
        fs::remove_dir_all(scratch).unwrap();
    }

    #[test]
    fn only_a_model_is_overwritten_and_never_the_source() {
        let scratch = scratch("overwrite");
        let out = scratch.join("out");
        fs::create_dir(&out).unwrap();
        let begin = |source: &Path, overwrite| Folder::beside(&out, source, overwrite);
        assert!(matches!(begin(&scratch, false), Err(Error::Exists { .. })));
        fs::write(out.join("letter.txt"), "dear").unwrap();
        assert!(matches!(begin(&scratch, true), Err(Error::NotAModel { .. })));
        fs::write(out.join("config.json"), "{}").unwrap();
        fs::write(out.join("model.safetensors"), "old").unwrap();
        assert!(matches!(begin(&out.join("model.safetensors"), true), Err(Error::IsSource { .. })));
        let folder = begin(&scratch, true).unwrap();
        write(&folder.path().join("config.json"), b"new", 0).unwrap();
        assert_eq!(
            fs::read_to_string(out.join("config.json")).unwrap(),
            "{}",
            "the old model stays until the new one is whole"
        );
        folder.finish().unwrap();
        assert_eq!(fs::read_to_string(out.join("config.json")).unwrap(), "new");
        assert!(!out.join("letter.txt").exists());
        assert_eq!(fs::read_dir(&scratch).unwrap().count(), 1);
        fs::create_dir(out.join("more")).unwrap();
        assert!(matches!(begin(&scratch, true), Err(Error::NotAModel { .. })));
        fs::remove_dir_all(scratch).unwrap();
    }

    #[test]
    fn a_full_disk_is_told_as_one() {
        let error = Error::io(Path::new("x"), 5, std::io::ErrorKind::StorageFull.into());
        assert!(matches!(error, Error::Full { needed: 5, .. }));
        assert!(error.to_string().contains("the disk is full") && error.hint().is_some());
        // A device that is always full, where there is one.
        let full = Path::new("/dev/full");
        if full.exists() {
            let error = fs::OpenOptions::new()
                .write(true)
                .open(full)
                .and_then(|mut file| std::io::Write::write_all(&mut file, b"x"));
            assert!(matches!(Error::io(full, 5, error.unwrap_err()), Error::Full { .. }));
        }
    }
}
