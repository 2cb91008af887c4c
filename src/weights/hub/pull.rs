//! A model from the hub into the cache.

use super::blob::Job;
use super::cache::{self, Repository, is_complete};
use super::choose::choose;
use super::client::Client;
use super::listing::{self, Entry, Listed, Tree};
use super::name::safe_path;
use super::{Error, Listing, Name, Progress, Pulled, Settings, Watcher, machine};
use std::io;
use std::path::Path;

/// Fetches what is missing of the model `name` and returns where it lies. Asks the hub what the revision is now, so it brings a
/// newer commit of a branch, too. Interrupted at any point, it goes on from there when it is called again.
///
/// # Errors
/// See [`Error`]. Files that are complete stay in the cache whatever happens to later ones.
pub fn pull(name: &Name, memory: u64, settings: &Settings, watcher: &mut Watcher<'_>) -> Result<Pulled, Error> {
    if settings.offline {
        return match cache::cached(name, memory, settings)? {
            Some(path) => {
                let commit = Repository::new(&settings.cache, name.repository()).commit(name.revision());
                Ok(Pulled { path, commit: commit.unwrap_or_default(), fetched: 0 })
            }
            None => Err(offline(name, settings)),
        };
    }
    let client = Client::new(settings)?;
    let Tree { commit, files } = listing::fetch(&client, name, watcher)?;
    let choice = choose(name, &plain(&files), memory)?;
    let chosen: Vec<&Listed> =
        choice.files.iter().filter_map(|wanted| files.iter().find(|listed| listed.file.path == *wanted)).collect();
    let mut places = Vec::new();
    for Listed { file, .. } in &chosen {
        // Before anything is fetched: a list with such a name in it comes from nobody who means well.
        places.push(safe_path(&file.path).ok_or_else(|| Error::UnsafeName { name: file.path.clone() })?);
    }
    let chosen = listing::identify(&client, name, &commit, &chosen, watcher)?;
    let repository = Repository::new(&settings.cache, name.repository());
    let snapshot = repository.snapshot(&commit);
    prepare(&settings.cache, &snapshot)?;
    check_room(name, &repository, &chosen)?;
    let bytes = chosen.iter().fold(0, |sum: u64, entry| sum.saturating_add(entry.file.bytes));
    watcher(Progress::Start { files: chosen.len(), bytes });
    let (mut before, mut fetched) = (0, 0);
    for (entry, place) in chosen.iter().zip(&places) {
        watcher(Progress::File { name: &entry.file.path, bytes: entry.file.bytes });
        let pointer = snapshot.join(place);
        // Where links cannot be made the file itself lies there, and no blob.
        if !std::fs::metadata(&pointer).is_ok_and(|about| about.is_file() && about.len() == entry.file.bytes) {
            let job = Job { client: &client, name, commit: &commit, repository: &repository, before };
            fetched += job.run(entry, watcher)?;
            point(&repository.blob(entry.id.text()), &pointer, place.components().count())?;
        }
        before = before.saturating_add(entry.file.bytes);
        watcher(Progress::Bytes(before));
    }
    if !is_complete(&snapshot, &choice) {
        let found = "names of files that the repository does not have".to_owned();
        let what = format!("{}/model.safetensors.index.json", name.repository());
        return Err(Error::Answer { what, expected: "an index of the files beside it", found });
    }
    // Last, so that a branch leads to what was complete before until the new commit is.
    refer(&repository, name.revision(), &commit)?;
    Ok(Pulled { path: cache::path(&snapshot, &choice), commit, fetched })
}

/// The files of the repository, without fetching any.
///
/// # Errors
/// See [`Error`].
pub fn list(name: &Name, settings: &Settings, watcher: &mut Watcher<'_>) -> Result<Listing, Error> {
    if settings.offline {
        return Err(offline(name, settings));
    }
    let Tree { commit, files } = listing::fetch(&Client::new(settings)?, name, watcher)?;
    Ok(Listing { commit, files: plain(&files) })
}

fn plain(files: &[Listed]) -> Vec<super::File> {
    files.iter().map(|listed| listed.file.clone()).collect()
}

fn offline(name: &Name, settings: &Settings) -> Error {
    Error::Offline { model: name.to_string(), cache: settings.cache.clone() }
}

/// The folders, and the mark by which backups know a cache.
fn prepare(cache: &Path, snapshot: &Path) -> Result<(), Error> {
    const TAG: &str =
        "Signature: 8a477f597d28d172789f06886806bc55\n# This folder is a cache of the Hugging Face hub.\n";
    std::fs::create_dir_all(snapshot).map_err(|source| Error::io(snapshot, source))?;
    let tag = cache.join("CACHEDIR.TAG");
    if !tag.exists() {
        std::fs::write(&tag, TAG).map_err(|source| Error::io(&tag, source))?;
    }
    Ok(())
}

/// Refuses what cannot fit before the first byte is asked for.
fn check_room(name: &Name, repository: &Repository, chosen: &[Entry]) -> Result<(), Error> {
    let folder = repository.root();
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |about| about.len());
    let missing = |entry: &Entry| {
        let id = entry.id.text();
        let here = size(&repository.blob(id)).max(size(&repository.incomplete(id)));
        entry.file.bytes.saturating_sub(here)
    };
    let needed = chosen.iter().map(missing).fold(0, u64::saturating_add);
    match machine::free(&folder) {
        Some(free) if free < needed => {
            Err(Error::Disk { file: name.to_string(), folder, needed, left: format!("{free} are free") })
        }
        _ => Ok(()),
    }
}

/// Makes `pointer`, `depth` names below the folder of its snapshot, lead to `blob`.
fn point(blob: &Path, pointer: &Path, depth: usize) -> Result<(), Error> {
    let folder = pointer.parent().unwrap_or(pointer);
    std::fs::create_dir_all(folder).map_err(|source| Error::io(folder, source))?;
    // Relative, so that the cache can be moved: up to the snapshots, then over to the blobs.
    let target = Path::new(&"../".repeat(depth + 1)).join("blobs").join(blob.file_name().unwrap_or_default());
    match std::fs::remove_file(pointer) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::io(pointer, error)),
        _ => {}
    }
    match link(&target, pointer) {
        Ok(()) => Ok(()),
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // No links on this file system: the file itself goes there, as Hugging Face's client does it.
        Err(_) => std::fs::rename(blob, pointer).map_err(|source| Error::io(pointer, source)),
    }
}

#[cfg(unix)]
fn link(target: &Path, pointer: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, pointer)
}

#[cfg(not(unix))]
fn link(_target: &Path, _pointer: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Notes which commit a branch or tag is. A rename, so that nobody ever reads half of it.
fn refer(repository: &Repository, revision: &str, commit: &str) -> Result<(), Error> {
    if revision == commit || repository.commit(revision).as_deref() == Some(commit) {
        return Ok(());
    }
    let path = repository.reference(revision);
    let folder = path.parent().unwrap_or(&path);
    std::fs::create_dir_all(folder).map_err(|source| Error::io(folder, source))?;
    let mut new = path.clone().into_os_string();
    new.push(format!(".{}.tmp", std::process::id()));
    let new = Path::new(&new);
    let done = std::fs::write(new, commit).and_then(|()| std::fs::rename(new, &path));
    done.map_err(|source| Error::io(&path, source))
}
