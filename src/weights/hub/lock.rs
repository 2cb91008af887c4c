//! One process at a time writes a blob.

use super::{Error, Progress, Watcher};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::Duration;

/// Waits until no other process writes this blob, one of Hugging Face's client among them. Dies with the process.
pub(super) fn lock(path: &Path, file: &str, watcher: &mut Watcher<'_>) -> Result<Option<File>, Error> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).map_err(|source| Error::io(folder, source))?;
    let mut told = false;
    loop {
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let held = open.map_err(|source| Error::io(path, source))?;
        match held.try_lock() {
            // Python's client removes the file when it is done: a lock on what is gone keeps nobody out.
            Ok(()) if is_at(&held, path) => return Ok(Some(held)),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                if !told {
                    watcher(Progress::Note(&format!(
                        "another process is fetching {}: waiting for it",
                        file.escape_debug()
                    )));
                }
                told = true;
                std::thread::sleep(Duration::from_millis(100));
            }
            // Some network folders know no locks. What is written is checked anyway.
            Err(TryLockError::Error(_)) => return Ok(None),
        }
    }
}

#[cfg(unix)]
fn is_at(held: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (held.metadata(), std::fs::metadata(path)) {
        (Ok(held), Ok(there)) => (held.dev(), held.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_at(_held: &File, _path: &Path) -> bool {
    true
}
