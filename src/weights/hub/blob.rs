//! One file into the cache: what has arrived earlier is kept, what arrives is checked, and only what is right gets its name.

use super::answer::Fault;
use super::cache::Repository;
use super::client::Client;
use super::hash::Hash;
use super::listing::{Entry, Id};
use super::lock::lock;
use super::{Error, Name, Progress, Watcher};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

/// Bytes of what arrived earlier that are read and hashed at once.
const PIECE: usize = 1 << 18;
/// A connection that brought this much before it broke was worth it.
const GAIN: u64 = 1 << 20;

/// Where a file comes from and goes to.
pub(super) struct Job<'a> {
    pub(super) client: &'a Client<'a>,
    pub(super) name: &'a Name,
    pub(super) commit: &'a str,
    pub(super) repository: &'a Repository,
    /// Bytes of the files before this one.
    pub(super) before: u64,
}

/// What is left to do for a blob.
struct Writing {
    file: File,
    hash: Hash,
    /// Bytes in the file.
    here: u64,
    /// Whether the server sends parts of a file, as far as is known.
    parts: bool,
}

impl Job<'_> {
    /// Puts the blob of `entry` into the cache, unless it is there. Returns the bytes that came over the network.
    pub(super) fn run(&self, entry: &Entry, watcher: &mut Watcher<'_>) -> Result<u64, Error> {
        let id = entry.id.text();
        let blob = self.repository.blob(id);
        if is_whole(&blob, entry) {
            return Ok(0);
        }
        let _lock = lock(&self.repository.lock(id), &entry.file.path, watcher)?;
        // Whoever held the lock may have fetched it.
        if is_whole(&blob, entry) {
            return Ok(0);
        }
        let incomplete = self.repository.incomplete(id);
        let mut writing = self.open(&incomplete, entry, watcher)?;
        let resumed = writing.here;
        let mut fetched = 0;
        let mut found = self.fill(&mut writing, entry, &mut fetched, watcher)?;
        if found != id && resumed > 0 {
            // What was left of an earlier run may have been damaged, by a power cut for one.
            watcher(Progress::Note(&format!("what was left of {} does not fit: fetching it anew", shown(entry))));
            writing.restart().map_err(|source| self.disk(entry, 0, source))?;
            found = self.fill(&mut writing, entry, &mut fetched, watcher)?;
        }
        if found != id {
            drop(writing);
            std::fs::remove_file(&incomplete).map_err(|source| Error::io(&incomplete, source))?;
            let kind = if matches!(entry.id, Id::Sha256(_)) { "sha256" } else { "git sha1" };
            return Err(Error::Hash { file: entry.file.path.clone(), kind, expected: id.to_owned(), found });
        }
        writing.file.sync_all().map_err(|source| self.disk(entry, writing.here, source))?;
        std::fs::rename(&incomplete, &blob).map_err(|source| Error::io(&blob, source))?;
        Ok(fetched)
    }

    /// What has arrived earlier, hashed.
    fn open(&self, incomplete: &Path, entry: &Entry, watcher: &mut Watcher<'_>) -> Result<Writing, Error> {
        let folder = incomplete.parent().unwrap_or(incomplete);
        std::fs::create_dir_all(folder).map_err(|source| Error::io(folder, source))?;
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(incomplete);
        let file = file.map_err(|source| Error::io(incomplete, source))?;
        let mut writing = Writing { hash: Hash::new(&entry.id, entry.file.bytes), file, here: 0, parts: true };
        let about = writing.file.metadata().map_err(|source| Error::io(incomplete, source))?;
        if about.len() > entry.file.bytes {
            writing.restart().map_err(|source| Error::io(incomplete, source))?;
        }
        let mut piece = vec![0; PIECE];
        loop {
            let read = writing.file.read(&mut piece).map_err(|source| Error::io(incomplete, source))?;
            if read == 0 {
                return Ok(writing);
            }
            writing.hash.update(&piece[..read]);
            writing.here += read as u64;
            watcher(Progress::Bytes(self.before + writing.here));
        }
    }

    /// Fetches what is missing and returns the hash of all of it.
    fn fill(
        &self,
        writing: &mut Writing,
        entry: &Entry,
        fetched: &mut u64,
        watcher: &mut Watcher<'_>,
    ) -> Result<String, Error> {
        let size = entry.file.bytes;
        self.client.persist(watcher, |watcher| {
            let start = *fetched;
            while writing.here < size {
                // Where everything is sent again each time, bytes are no gain.
                let came = self.receive(writing, entry, fetched, watcher);
                came.map_err(|fault| (fault, writing.parts && *fetched - start >= GAIN))?;
            }
            Ok(())
        })?;
        Ok(writing.hash.clone().text())
    }

    /// One answer of the server into the file. Leaves a file that is right as far as it goes, whatever happens.
    fn receive(
        &self,
        writing: &mut Writing,
        entry: &Entry,
        fetched: &mut u64,
        watcher: &mut Watcher<'_>,
    ) -> Result<(), Fault> {
        let (client, size) = (self.client, entry.file.bytes);
        let asked = client.asked(self.name, Some(&entry.file.path));
        if !writing.parts {
            writing.restart().map_err(|source| self.disk(entry, 0, source))?;
        }
        let from = writing.here;
        let answer = client.content(asked, self.commit, &entry.file.path, (from > 0).then_some(from..size));
        let mut content = match answer {
            Ok(content) => content,
            // The server disagrees about the size.
            Err(Fault::Final(Error::Status { status: 416, .. })) if from > 0 => {
                writing.parts = false;
                return Err(Fault::passing(self.truncated(entry, 0)));
            }
            Err(fault) if *fetched > 0 => return Err(fault.once_connected()),
            Err(fault) => return Err(fault),
        };
        // A server that does not know ranges sends everything. `hf-hub` tells the length of what comes, not where it begins: where
        // that says too little, the hash of the whole will tell.
        if from > 0 && content.announced.is_some_and(|bytes| bytes != size - from) {
            writing.parts = false;
            writing.restart().map_err(|source| self.disk(entry, 0, source))?;
            if content.announced != Some(size) {
                return Err(Fault::passing(self.truncated(entry, 0)));
            }
        }
        while writing.here < size {
            let piece = match client.next(asked, &mut content) {
                Ok(Some(piece)) => piece,
                Ok(None) | Err(Fault::Cut) => return Err(Fault::passing(self.truncated(entry, writing.here))),
                Err(fault) => return Err(fault),
            };
            let left = usize::try_from(size - writing.here).unwrap_or(usize::MAX);
            let piece = piece.as_ref();
            let piece = &piece[..piece.len().min(left)];
            // Written before it counts, so that the hash never runs ahead of the file.
            writing.file.write_all(piece).map_err(|source| {
                let _ = writing.file.set_len(writing.here);
                self.disk(entry, writing.here, source)
            })?;
            writing.hash.update(piece);
            writing.here += piece.len() as u64;
            *fetched += piece.len() as u64;
            watcher(Progress::Bytes(self.before + writing.here));
        }
        Ok(())
    }

    fn truncated(&self, entry: &Entry, found: u64) -> Error {
        Error::Truncated { file: entry.file.path.clone(), expected: entry.file.bytes, found }
    }

    /// A write that failed, told apart by whether room was the reason.
    fn disk(&self, entry: &Entry, here: u64, source: io::Error) -> Error {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        let folder = self.repository.root().join("blobs");
        if !matches!(source.kind(), StorageFull | FileTooLarge | QuotaExceeded) {
            return Error::io(&folder, source);
        }
        let needed = entry.file.bytes.saturating_sub(here);
        let left = format!("and the system says: {source}");
        Error::Disk { file: entry.file.path.clone(), folder, needed, left }
    }
}

impl Writing {
    /// Back to an empty file.
    fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.hash = self.hash.fresh();
        self.here = 0;
        Ok(())
    }
}

/// Whether the blob is there with all of its bytes. Only what was checked gets this name; a size says so well enough.
fn is_whole(blob: &Path, entry: &Entry) -> bool {
    std::fs::metadata(blob).is_ok_and(|about| about.is_file() && about.len() == entry.file.bytes)
}

fn shown(entry: &Entry) -> String {
    entry.file.path.escape_debug().to_string()
}
