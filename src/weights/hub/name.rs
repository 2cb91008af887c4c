//! What a user calls a model of the hub: `org/repo[@revision][:file-or-quantization]`.

use super::Error;
use std::path::PathBuf;

/// The branch that is meant where no revision is named.
const MAIN: &str = "main";

/// A model of the hub, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    repository: String,
    revision: String,
    /// Which of the repository's files, where it matters.
    pub pick: Option<Pick>,
}

/// Which of several GGUF files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pick {
    /// The one of this name; the first part of a split file stands for all of them.
    File(String),
    /// The one in this quantization, such as `Q4_K_M`.
    Quantization(String),
}

impl Pick {
    /// A file where it ends in `.gguf`, else a quantization.
    pub fn new(text: &str) -> Self {
        match text.to_ascii_lowercase().ends_with(".gguf") {
            true => Self::File(text.to_owned()),
            false => Self::Quantization(text.to_owned()),
        }
    }

    /// As the user wrote it.
    pub fn text(&self) -> &str {
        match self {
            Self::File(text) | Self::Quantization(text) => text,
        }
    }
}

impl Name {
    /// Whether `text` is meant as a name of the hub and not as a path. A path starts with `/`, `.` or `~`, has another number
    /// of parts than two, or ends in `.gguf` itself.
    pub fn is_meant(text: &str) -> bool {
        if text.starts_with(['/', '.', '~']) || (text.ends_with(".gguf") && !text.contains(':')) {
            return false;
        }
        let repository = text.split(['@', ':']).next().unwrap_or(text);
        let mut parts = repository.split('/');
        let word = |part: &str| !part.is_empty() && part.chars().all(is_word);
        parts.next().is_some_and(word) && parts.next().is_some_and(word) && parts.next().is_none()
    }

    /// Reads a name.
    ///
    /// # Errors
    /// [`Error::Name`] where the hub could have no such repository or revision.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |expected| Error::Name { found: text.to_owned(), expected };
        let (front, pick) = match text.split_once(':') {
            Some((_, pick)) if pick.is_empty() || pick.chars().any(char::is_control) => {
                return Err(wrong("a file or a quantization behind the colon"));
            }
            Some((front, pick)) => (front, Some(Pick::new(pick))),
            None => (text, None),
        };
        let (repository, revision) = front.split_once('@').unwrap_or((front, MAIN));
        if !Self::is_meant(repository) || !repository.split('/').all(is_part) {
            return Err(wrong("org/repo[@revision][:file-or-quantization]"));
        }
        if safe_path(revision).is_none() || revision.chars().any(|c| c.is_whitespace() || "?*[^".contains(c)) {
            return Err(wrong("a branch, a tag or a commit behind the @"));
        }
        Ok(Self { repository: repository.to_owned(), revision: revision.to_owned(), pick })
    }

    /// `org/repo`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Branch, tag or commit.
    pub fn revision(&self) -> &str {
        &self.revision
    }
}

impl std::fmt::Display for Name {
    /// Without what is meant anyway.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}", self.repository)?;
        if self.revision != MAIN {
            write!(out, "@{}", self.revision)?;
        }
        self.pick.as_ref().map_or(Ok(()), |pick| write!(out, ":{}", pick.text()))
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.".contains(c)
}

/// The hub's own rule for names of users and repositories. `--` separates them in the cache's folder names.
fn is_part(part: &str) -> bool {
    part.len() <= 96 && !part.starts_with(['-', '.']) && !part.ends_with(['-', '.']) && !part.contains("--")
}

/// A relative path that leads nowhere but down, as names of files in a repository and revisions must; `None` for any other.
/// They come from strangers and are joined to a folder of ours.
pub(super) fn safe_path(name: &str) -> Option<PathBuf> {
    let plain = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part.len() <= 255
            && !part.chars().any(|c| c.is_control() || c == '\\' || c == ':')
    };
    (name.len() <= 1024 && name.split('/').all(plain)).then(|| name.split('/').collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_hub_are_told_from_paths() {
        for name in ["unsloth/Llama-3.2-1B", "org/repo@main", "org/repo:file.gguf", "org/repo.v2", "o/r@refs/pr/1:Q8_0"]
        {
            assert!(Name::is_meant(name), "{name}");
            assert_eq!(Name::parse(name).unwrap().to_string().replace("@main", ""), name.replace("@main", ""));
        }
        for path in
            ["./org/repo", "/org/repo", "~/repo", "models/file.gguf", "model", "a/b/c", "Once upon a time", "../a"]
        {
            assert!(!Name::is_meant(path), "{path}");
        }
    }

    #[test]
    fn the_parts_of_a_name_are_found() {
        let name = Name::parse("org/repo@v1:sub/file-00001-of-00002.gguf").unwrap();
        assert_eq!((name.repository(), name.revision()), ("org/repo", "v1"));
        assert_eq!(name.pick, Some(Pick::File("sub/file-00001-of-00002.gguf".to_owned())));
        assert_eq!(Name::parse("org/repo").unwrap().revision(), "main");
        assert_eq!(Name::parse("org/repo:q4_k_m").unwrap().pick, Some(Pick::Quantization("q4_k_m".to_owned())));
    }

    #[test]
    fn names_that_would_leave_the_cache_are_refused() {
        for name in [
            "org/repo@../x",
            "org/repo@/x",
            "org/repo@",
            "org/repo@a//b",
            "org/repo:",
            "org/repo:a\u{1b}",
            "-o/r",
            "o/r--x",
            "org/..",
        ] {
            assert!(matches!(Name::parse(name), Err(Error::Name { .. })), "{name}");
        }
        for name in ["../x", "/etc/passwd", "a/../b", "a//b", ".", "", "a/", "a\\b", "a\nb", "c:d"] {
            assert_eq!(safe_path(name), None, "{name:?}");
        }
        assert_eq!(safe_path("a/b.gguf"), Some(PathBuf::from("a/b.gguf")));
    }
}
