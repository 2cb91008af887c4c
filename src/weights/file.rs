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

/// Where `bytes` start in `map`; `None` where they are no part of it.
pub(super) fn position(map: &Mmap, bytes: &[u8]) -> Option<u64> {
    let start = (bytes.as_ptr() as usize).checked_sub(map.as_ptr() as usize)?;
    (start.checked_add(bytes.len())? <= map.len()).then_some(start as u64)
}

/// Gives back the memory of those pages of `map` that lie in `bytes` as a whole. They come in from disk again when they are
/// touched; nothing happens where `bytes` are no part of the map.
#[cfg(unix)]
pub(super) fn release(map: &Mmap, bytes: &[u8]) {
    // Pages are no larger anywhere that we run; what is at the edges stays.
    const PAGE: usize = 64 << 10;
    let Some(start) = (bytes.as_ptr() as usize).checked_sub(map.as_ptr() as usize) else { return };
    let (from, to) = (start.next_multiple_of(PAGE), (start + bytes.len()).min(map.len()) / PAGE * PAGE);
    if from < to {
        // SAFETY: the map is shared and read-only, so that its pages hold nothing but what the file does: reading them later
        // yields the same bytes again.
        let released = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, from, to - from) };
        // A hint; the system takes pages back by itself when it needs them.
        drop(released);
    }
}

/// Other systems take pages back by themselves.
#[cfg(not(unix))]
pub(super) fn release(_map: &Mmap, _bytes: &[u8]) {}

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
