//! Why a benchmark did not run, or its rows could not be kept.

use super::Method;
use std::path::PathBuf;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The engine could not do it.
    #[error(transparent)]
    Engine(#[from] crate::Error),
    /// There is no such method.
    #[error("Unknown --method {0}. Run `ffai bench --help` for the list.")]
    UnknownMethod(String),
    /// The method is planned.
    #[error("ffai bench --method {method}: not implemented yet — needs {needs}")]
    NotThereYet {
        /// The method.
        method: Method,
        /// What it waits for.
        needs: &'static str,
    },
    /// The method continues a prompt, and there is none.
    #[error("ffai bench: --prompt is required for this method")]
    NoPrompt,
    /// The corpus is not where it was said to be.
    #[error(
        "ffai bench: WikiText-2 corpus not found at {}. Provide --wikitext2-corpus </path/to/wiki.test.raw>",
        .0.display()
    )]
    NoCorpus(PathBuf),
    /// An option outside its range.
    #[error("{option}: expected {expected}, found {found}")]
    Option {
        /// The option, as users spell it.
        option: &'static str,
        /// What it may be.
        expected: String,
        /// What it was.
        found: String,
    },
    /// The model lacks what the method needs.
    #[error("ffai bench --method {method}: {model} {lacks}")]
    Model {
        /// The method.
        method: Method,
        /// The model as the user named it.
        model: String,
        /// What it lacks: `has no chat template`.
        lacks: &'static str,
    },
    /// A file that is not what it should be. It is left as it was.
    #[error("{}: expected {expected}, found {found}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A picture could not be drawn.
    #[error("{}: the picture could not be drawn: {why}", .path.display())]
    Picture {
        /// Where it was to go.
        path: PathBuf,
        /// What went wrong.
        why: String,
    },
    /// The run was given up.
    #[error("the benchmark was given up before it was done")]
    Cancelled,
}

impl Error {
    /// What to do next, where there is something.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Engine(error) => return error.hint(),
            Self::NotThereYet { .. } => {
                let there: Vec<&str> =
                    Method::ALL.iter().filter(|method| method.needs().is_none()).map(|m| m.name()).collect();
                return Some(format!("methods that work: {}", there.join(", ")));
            }
            Self::Model { lacks, .. } if lacks.contains("template") => "use a model that was made for chat",
            Self::Damaged { .. } => "it was left as it is: mend it, or move it away, and run again",
            Self::File { .. } => "give another folder with --report-dir if this one cannot be used",
            _ => return None,
        };
        Some(text.to_owned())
    }

    /// A file could not be read or written.
    pub(super) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
