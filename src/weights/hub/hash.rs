//! The hashes by which the hub names content.

use super::listing::Id;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// A hash of what has come so far.
#[derive(Clone)]
pub(super) enum Hash {
    Sha256(Sha256),
    /// With the size that git puts in front of the content.
    GitSha1(Sha1, u64),
}

impl Hash {
    /// Of a file of `bytes` bytes that is named by `id`.
    pub(super) fn new(id: &Id, bytes: u64) -> Self {
        match id {
            Id::Sha256(_) => Self::Sha256(Sha256::new()),
            Id::GitSha1(_) => Self::git(bytes),
        }
    }

    fn git(bytes: u64) -> Self {
        Self::GitSha1(Sha1::new().chain_update(format!("blob {bytes}\0")), bytes)
    }

    /// The same, of nothing yet.
    pub(super) fn fresh(&self) -> Self {
        match self {
            Self::Sha256(_) => Self::Sha256(Sha256::new()),
            Self::GitSha1(_, bytes) => Self::git(*bytes),
        }
    }

    /// Takes in what comes next.
    pub(super) fn update(&mut self, piece: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(piece),
            Self::GitSha1(hash, _) => hash.update(piece),
        }
    }

    /// In hexadecimal digits.
    pub(super) fn text(self) -> String {
        let bytes = match self {
            Self::Sha256(hash) => hash.finalize().to_vec(),
            Self::GitSha1(hash, _) => hash.finalize().to_vec(),
        };
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `git hash-object` of a file that holds `hello\n`, and `sha256sum` of the same.
    #[test]
    fn hashes_are_those_of_git_and_sha256sum() {
        let mut git = Hash::git(6);
        git.update(b"hello\n");
        assert_eq!(git.text(), "ce013625030ba8dba906f756967f9e9ca394464a");
        let mut sha = Hash::Sha256(Sha256::new());
        sha.update(b"hello\n");
        assert_eq!(sha.text(), "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
    }
}
