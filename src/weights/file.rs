//! Files of checkpoints, as bytes.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use memmap2::Mmap;

use super::Error;

/// Maps the whole file at `path`; its bytes come in from disk when they are touched.
pub(super) fn map(path: &Path) -> Result<Mmap, Error> {
    let file = open(path)?;
    // SAFETY: whoever asks keeps the map to itself, read-only, and as long as every slice handed
    // out. What remains is another process that shrinks or rewrites the file while it is mapped:
    // every engine that maps weights accepts that, and no lock portable to macOS and Linux rules it
    // out. No reader keeps a conclusion about mapped bytes that memory safety depends on: names and
    // values are copied out, and all slices lie inside the map.
    unsafe { Mmap::map(&file) }.map_err(|source| Error::io(path, source))
}

/// Reads the whole file at `path`, a `what` of at most `most` bytes.
pub(super) fn read(path: &Path, what: &str, most: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    // One byte more than allowed: a length asked for beforehand may not hold while reading.
    open(path)?.take(most + 1).read_to_end(&mut bytes).map_err(|source| Error::io(path, source))?;
    match bytes.len() as u64 > most {
        true => Err(Error::Invalid {
            file: path.to_owned(),
            what: what.to_owned(),
            expected: format!("at most {most} bytes"),
            found: "more".to_owned(),
        }),
        false => Ok(bytes),
    }
}

/// Looks before it opens: opening a named pipe waits for a writer, and Linux opens directories happily.
fn open(path: &Path) -> Result<File, Error> {
    let about = std::fs::metadata(path).map_err(|source| Error::io(path, source))?;
    match about.is_file() {
        true => File::open(path).map_err(|source| Error::io(path, source)),
        false if about.is_dir() => Err(Error::io(path, io::ErrorKind::IsADirectory.into())),
        false => Err(Error::io(path, io::ErrorKind::Unsupported.into())),
    }
}
