//! What can go wrong between a checkpoint and its conversion.

use std::io;
use std::path::{Path, PathBuf};

/// Why nothing was converted. Whatever it is, there is no folder under the final name that was not there before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is something where the result is to be.
    #[error("{path} is there already: expected a name that is free")]
    Exists {
        /// The place.
        path: PathBuf,
    },
    /// What is to be overwritten is no model.
    #[error("{path} is not overwritten: expected a folder with a model, found {found}")]
    NotAModel {
        /// The place.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// The result would take the place of what it is made from.
    #[error("{path} holds the source: expected another folder to write to")]
    IsSource {
        /// The place.
        path: PathBuf,
    },
    /// The operating system refused to write.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The disk is full.
    #[error("the disk is full: {path} could not be written, and the model takes {needed} bytes in all")]
    Full {
        /// The file.
        path: PathBuf,
        /// Bytes of all weights.
        needed: u64,
    },
    /// A weight that no model computes anything with.
    #[error("weight `{tensor}` in {file} holds what is no finite number")]
    NotFinite {
        /// The tensor, as the file calls it.
        tensor: String,
        /// The file.
        file: PathBuf,
    },
    /// A weight that the wanted type cannot hold.
    #[error("weight `{tensor}`: expected numbers that {dtype} holds, up to 65504, found a larger one in {file}")]
    Overflow {
        /// The tensor, as the file calls it.
        tensor: String,
        /// The type.
        dtype: &'static str,
        /// The file.
        file: PathBuf,
    },
    /// A GGUF file whose model has no way back to `config.json`.
    #[error("{what} of {file} has no equivalent in a Hugging Face checkpoint")]
    NoEquivalent {
        /// What the file has.
        what: String,
        /// The file.
        file: PathBuf,
    },
    /// Somebody stopped it.
    #[error("the conversion was stopped")]
    Stopped,
}

impl Error {
    /// A failure of the operating system at `path`, while `needed` bytes of weights are written.
    pub(super) fn io(path: &Path, needed: u64, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path, needed },
            _ => Self::Write { path, source },
        }
    }

    /// The next step for whoever sees the message, where there is one.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Exists { .. } => "choose another name, or replace the model there with --overwrite",
            Self::NotAModel { .. } => "choose another name, or remove by hand what is there",
            Self::IsSource { .. } => "choose another name, then remove the source by hand",
            Self::Full { .. } => "free space on that disk, write to another one, or use fewer --bits",
            Self::NotFinite { .. } => "the file is damaged or was converted wrongly: fetch it again",
            Self::Overflow { .. } => "use `--dtype bf16`",
            Self::NoEquivalent { .. } => "convert the original checkpoint in safetensors",
            Self::Write { .. } | Self::Stopped => return None,
        };
        Some(text.to_owned())
    }
}
