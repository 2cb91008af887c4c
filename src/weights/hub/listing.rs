//! Which files a repository has at a revision: two questions, the same that Hugging Face's own client asks.

use super::answer::{Asked, Fault};
use super::cache::is_commit;
use super::client::{Client, escape};
use super::{Error, File, Name, Watcher};
use serde::Deserialize;

/// Limits far beyond any repository of a model, so that an endless answer ends.
const LARGEST_PAGE: u64 = 16 << 20;
const MOST_PAGES: usize = 50;

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
    pub(super) entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Revision {
    sha: String,
}

#[derive(Deserialize)]
struct Node {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    oid: String,
    lfs: Option<Large>,
}

#[derive(Deserialize)]
struct Large {
    oid: String,
    size: u64,
}

/// What the hub has under `name`.
pub(super) fn fetch(client: &Client<'_>, name: &Name, watcher: &mut Watcher<'_>) -> Result<Tree, Error> {
    let asked = client.asked(name, None);
    let base = format!("{}/api/models/{}", client.settings().endpoint, name.repository());
    let address = format!("{base}/revision/{}", escape(name.revision()));
    let (text, _) = ask(client, asked, &address, watcher)?;
    let revision: Revision = read(client, asked, &text)?;
    if !is_commit(&revision.sha) {
        return Err(last(client.strange(asked, "a commit of 40 hexadecimal digits", &revision.sha)));
    }
    let mut entries = Vec::new();
    let mut next = Some(format!("{base}/tree/{}?recursive=true", revision.sha));
    for _ in 0..MOST_PAGES {
        let Some(address) = next else { return Ok(Tree { commit: revision.sha, entries }) };
        let (text, following) = ask(client, asked, &address, watcher)?;
        for node in read::<Vec<Node>>(client, asked, &text)? {
            entries.extend(entry(client, asked, node)?);
        }
        next = following;
    }
    Err(last(client.strange(asked, "a list of at most 50 pages", "more")))
}

/// A node of the tree, if it is a file.
fn entry(client: &Client<'_>, asked: Asked<'_>, node: Node) -> Result<Option<Entry>, Error> {
    if node.kind != "file" {
        return Ok(None);
    }
    let is_hash = |text: &str, digits| text.len() == digits && text.bytes().all(|c| c.is_ascii_hexdigit());
    let (id, bytes) = match node.lfs {
        Some(large) if is_hash(&large.oid, 64) => (Id::Sha256(large.oid.to_ascii_lowercase()), large.size),
        None if is_hash(&node.oid, 40) => (Id::GitSha1(node.oid.to_ascii_lowercase()), node.size),
        Some(Large { oid, .. }) => return Err(last(client.strange(asked, "a SHA-256 of 64 digits", &oid))),
        None => return Err(last(client.strange(asked, "a git SHA-1 of 40 digits", &node.oid))),
    };
    Ok(Some(Entry { file: File { path: node.path, bytes }, id }))
}

fn ask(
    client: &Client<'_>,
    asked: Asked<'_>,
    address: &str,
    watcher: &mut Watcher<'_>,
) -> Result<(Vec<u8>, Option<String>), Error> {
    client.persist(watcher, |_| client.page(asked, address, LARGEST_PAGE).map_err(|fault| (fault, false)))
}

fn read<T: for<'a> Deserialize<'a>>(client: &Client<'_>, asked: Asked<'_>, text: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(text)
        .map_err(|error| last(client.strange(asked, "its list of files in JSON", &error.to_string())))
}

fn last(fault: Fault) -> Error {
    match fault {
        Fault::Final(error) | Fault::Passing { error, .. } => error,
    }
}
