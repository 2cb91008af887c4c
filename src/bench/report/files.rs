//! Files that are whole at any moment.

use crate::bench::Error;
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

/// Waits until nobody else holds the lock of this name, and holds it until the file is dropped, or its process ends.
///
/// The file stays: whoever removed it would take it from under those who wait for it.
pub(super) fn lock(path: &Path) -> Result<File, Error> {
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(Error::file(path))?;
    file.lock().map_err(Error::file(path))?;
    Ok(file)
}

/// Puts `text` in place of the file at `path`, which is the old one or the new one whenever this ends.
///
/// Only who holds the folder's lock calls it, so that one name does for what is not whole yet: what a writer that died has left
/// there is overwritten by the next.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), Error> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let write = || {
        let mut file = File::create(&part)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(Error::file(&part))?;
    std::fs::rename(&part, path).map_err(Error::file(path))?;
    // The name is on the disk when the folder is. Not every system lets folders be opened; those that do not have no need of it.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match File::open(folder) {
        Ok(file) if cfg!(unix) => match file.sync_all() {
            // Some network file systems know of no such thing.
            Err(error) if !matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {
                Err(Error::file(folder)(error))
            }
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}
