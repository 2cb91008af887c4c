//! Which files a repository has at a revision, and what they hash to.

use super::answer::Asked;
use super::cache::is_commit;
use super::client::{Client, escape};
use super::{Error, File, Name, Watcher};
use hf_hub::repository::{RepoSibling, RepoTreeEntry};
use std::collections::HashMap;

/// Far more files than a model has.
const MOST_FILES: usize = 20_000;
/// As many as Hugging Face's own client asks about at once.
const PATHS_AT_ONCE: usize = 500;

/// A file of the list.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) file: File,
    /// SHA-256 of the content, where it is stored outside of git.
    sha256: Option<String>,
}

/// A file, and what its content hashes to.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) file: File,
    pub(super) id: Id,
}

/// What names a file's content, and the blob in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Id {
    /// SHA-256 of the content: of files that are stored outside of git.
    Sha256(String),
    /// Git's name of a blob: of small files.
    GitSha1(String),
}

impl Id {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Sha256(text) | Self::GitSha1(text) => text,
        }
    }
}

/// A repository at a commit.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) commit: String,
    pub(super) files: Vec<Listed>,
}

/// What the hub has under `name`.
pub(super) fn fetch(client: &Client<'_>, name: &Name, watcher: &mut Watcher<'_>) -> Result<Tree, Error> {
    let asked = client.asked(name, None);
    // `hf-hub` reads sizes and hashes of files where the hub sends them with a revision, and has no way to ask for them. It puts a
    // repository's name into the address as it stands, so the name asks.
    let repository = name.repository().split('/').nth(1).unwrap_or_default();
    let repository = client.repository(name, &format!("{repository}/revision/{}?blobs=true", escape(name.revision())));
    let info =
        client.persist(watcher, |_| client.ask(asked, repository.info().send()).map_err(|fault| (fault, false)))?;
    let commit = info.sha.unwrap_or_default();
    if !is_commit(&commit) {
        return Err(asked.strange("a commit of 40 hexadecimal digits", &commit));
    }
    let siblings = info.siblings.ok_or_else(|| asked.strange("a list of files", "none"))?;
    if siblings.len() > MOST_FILES {
        return Err(asked.strange("a list of at most 20000 files", &format!("{} files", siblings.len())));
    }
    let files = siblings.into_iter().map(|sibling| listed(asked, sibling)).collect::<Result<_, _>>()?;
    Ok(Tree { commit, files })
}

fn listed(asked: Asked<'_>, sibling: RepoSibling) -> Result<Listed, Error> {
    let RepoSibling { rfilename: path, size, lfs } = sibling;
    let (bytes, sha256) = match lfs {
        None => (size, None),
        Some(large) => {
            let sha256 = large.sha256.unwrap_or_default();
            if !is_hash(&sha256, 64) {
                return Err(asked.strange("a SHA-256 of 64 digits", &sha256));
            }
            (large.size.or(size), Some(sha256.to_ascii_lowercase()))
        }
    };
    let bytes = bytes.ok_or_else(|| asked.strange("the sizes of its files", &format!("none for {path}")))?;
    Ok(Listed { file: File { path, bytes }, sha256 })
}

/// What `chosen` of the files of a commit hash to. Asks about those that the list says nothing about: the small ones.
pub(super) fn identify(
    client: &Client<'_>,
    name: &Name,
    commit: &str,
    chosen: &[&Listed],
    watcher: &mut Watcher<'_>,
) -> Result<Vec<Entry>, Error> {
    let asked = client.asked(name, None);
    let repository = client.repository(name, name.repository().split('/').nth(1).unwrap_or_default());
    let small: Vec<String> =
        chosen.iter().filter(|listed| listed.sha256.is_none()).map(|listed| listed.file.path.clone()).collect();
    let mut found = HashMap::new();
    for paths in small.chunks(PATHS_AT_ONCE) {
        let entries = client.persist(watcher, |_| {
            let request = repository.get_paths_info().paths(paths.to_vec()).revision(commit).send();
            client.ask(asked, request).map_err(|fault| (fault, false))
        })?;
        for entry in entries {
            if let RepoTreeEntry::File { path, oid, size, lfs: None, .. } = entry {
                found.insert(path, (oid, size));
            }
        }
    }
    let entry = |listed: &&Listed| {
        let file = listed.file.clone();
        if let Some(sha256) = &listed.sha256 {
            return Ok(Entry { file, id: Id::Sha256(sha256.clone()) });
        }
        match found.get(&file.path) {
            Some((oid, size)) if is_hash(oid, 40) && *size == file.bytes => {
                Ok(Entry { file, id: Id::GitSha1(oid.to_ascii_lowercase()) })
            }
            Some((oid, size)) => {
                let found = format!("{oid} of {size} bytes for {}", file.path);
                Err(asked.strange("a git SHA-1 of 40 digits, and the size in the list", &found))
            }
            None => Err(asked.strange("what its files hash to", &format!("nothing for {}", file.path))),
        }
    };
    chosen.iter().map(entry).collect()
}

fn is_hash(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|c| c.is_ascii_hexdigit())
}
