//! The cache on disk, in the layout of Hugging Face's own client, so that either finds what the other fetched:
//!
//! ```text
//! models--org--repo/blobs/<sha256, or git sha1>                content, once
//!                   blobs/<the same>.incomplete                what has arrived of it
//!                   snapshots/<commit>/<file> -> ../../blobs/… names
//!                   refs/<branch or tag>                       the commit it stood for when last asked
//! .locks/models--org--repo/<sha256, or git sha1>.lock          held while the blob is written
//! ```

use super::choose::{Choice, File, Kind, choose};
use super::name::safe_path;
use super::{Error, Name, Settings};
use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// No repository that is a model has more files, or deeper folders; a loop of links has.
const MOST_FILES: usize = 20_000;
const DEEPEST: usize = 8;

/// A repository's place in the cache.
#[derive(Clone, Debug)]
pub(super) struct Repository {
    cache: PathBuf,
    folder: String,
}

impl Repository {
    pub(super) fn new(cache: &Path, repository: &str) -> Self {
        Self { cache: cache.to_owned(), folder: format!("models--{}", repository.replace('/', "--")) }
    }

    pub(super) fn root(&self) -> PathBuf {
        self.cache.join(&self.folder)
    }

    #[cfg(feature = "hub")]
    pub(super) fn blob(&self, id: &str) -> PathBuf {
        self.root().join("blobs").join(id)
    }

    #[cfg(feature = "hub")]
    pub(super) fn incomplete(&self, id: &str) -> PathBuf {
        self.root().join("blobs").join(format!("{id}.incomplete"))
    }

    #[cfg(feature = "hub")]
    pub(super) fn lock(&self, id: &str) -> PathBuf {
        self.cache.join(".locks").join(&self.folder).join(format!("{id}.lock"))
    }

    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.root().join("snapshots").join(commit)
    }

    pub(super) fn reference(&self, revision: &str) -> PathBuf {
        self.root().join("refs").join(revision)
    }

    /// The commit that `revision` is, or stood for when it was last asked.
    pub(super) fn commit(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        let text = read_at_most(&self.reference(revision), 64)?;
        let commit = std::str::from_utf8(&text).ok()?.trim();
        is_commit(commit).then(|| commit.to_owned())
    }
}

/// Whether `text` is a full commit of git.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|c| c.is_ascii_hexdigit())
}

/// What a small file holds; `None` if it cannot be read or is larger than `most` bytes.
pub(crate) fn read_at_most(path: &Path, most: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(most + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= most).then_some(bytes)
}

/// The files below `folder` that are really there, links followed, in the order of their names.
pub(crate) fn files_in(folder: &Path) -> Vec<File> {
    fn walk(folder: &Path, prefix: &str, depth: usize, found: &mut Vec<File>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let (Some(name), Ok(about)) = (name.to_str(), std::fs::metadata(entry.path())) else { continue };
            let path = format!("{prefix}{name}");
            if about.is_file() && found.len() < MOST_FILES {
                found.push(File { path, bytes: about.len() });
            } else if about.is_dir() && depth < DEEPEST {
                walk(&entry.path(), &format!("{path}/"), depth + 1, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, "", 0, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The model as it lies in the cache: a GGUF file, or the folder of a snapshot. `None` unless all of it is there. Asks nothing of
/// the network.
///
/// # Errors
/// What lies there is a model, and is too large for `memory`.
pub fn cached(name: &Name, memory: u64, settings: &Settings) -> Result<Option<PathBuf>, Error> {
    let repository = Repository::new(&settings.cache, name.repository());
    let Some(commit) = repository.commit(name.revision()) else { return Ok(None) };
    let folder = repository.snapshot(&commit);
    match choose(name, &files_in(&folder), memory) {
        Ok(choice) if is_complete(&folder, &choice) => Ok(Some(path(&folder, &choice))),
        Ok(_) | Err(Error::NoModel { .. } | Error::Pick { count: 0, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What to open of a choice in `folder`.
pub(super) fn path(folder: &Path, choice: &Choice) -> PathBuf {
    choice.entry.as_deref().and_then(safe_path).map_or_else(|| folder.to_owned(), |entry| folder.join(entry))
}

/// Whether a choice made of the files in `folder` has all of its weights.
pub(crate) fn is_complete(folder: &Path, choice: &Choice) -> bool {
    const INDEX: &str = "model.safetensors.index.json";
    if choice.kind == Kind::Gguf || !choice.files.iter().any(|file| file == INDEX) {
        return true;
    }
    // The largest index known to us, of a model of a trillion weights, has 15 MiB.
    let Some(shards) = read_at_most(&folder.join(INDEX), 64 << 20).and_then(|text| shards(&text)) else { return false };
    shards.iter().all(|shard| choice.files.contains(shard))
}

/// The files that an index of safetensors names; `None` if it is none.
fn shards(index: &[u8]) -> Option<BTreeSet<String>> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: std::collections::BTreeMap<String, String>,
    }
    let index: Index = serde_json::from_slice(index).ok()?;
    Some(index.weight_map.into_values().collect())
}
