//! The file that keeps what was measured on this machine's devices.

use super::tuning;
use crate::graph::Choices;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// What is wrong with the file of choices.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It cannot be read or written.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is not what `ffai doctor --tune` writes.
    #[error("{}: expected the choices that `ffai doctor --tune` writes, found {found}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// What was found.
        found: String,
    },
    /// A choice names no variant.
    #[error("expected a variant of `{}`, found `{}`", key.escape_debug(), found.escape_debug())]
    Choice {
        /// Kernel and format.
        key: String,
        /// What was chosen.
        found: String,
    },
    /// There is nowhere to keep it.
    #[error("no folder to keep choices in: neither HOME nor XDG_CACHE_HOME is set")]
    Homeless,
}

impl Error {
    /// What to do next, where there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Malformed { file, .. } => {
                Some(format!("delete {} or run `ffai doctor --tune` again", file.display()))
            }
            Self::Homeless => Some("set XDG_CACHE_HOME".to_owned()),
            _ => None,
        }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "an object of `version` and `devices`")]
struct Stored {
    version: u32,
    devices: BTreeMap<String, Choices>,
}

const VERSION: u32 = 1;
/// A file of this many bytes is not one of ours.
const MOST_BYTES: u64 = 1 << 20;

/// Where choices are kept: `tuning.json` in the user's cache folder.
///
/// # Errors
/// Where there is no such folder.
pub fn place() -> Result<PathBuf, Error> {
    Ok(crate::weights::cache_folder().ok_or(Error::Homeless)?.join("tuning.json"))
}

/// The choices by device; none where there is no file.
///
/// # Errors
/// Where the file cannot be read, or is not what [`save`] writes.
pub fn tuned(file: &Path) -> Result<BTreeMap<String, Choices>, Error> {
    let failed = |source| Error::Io { file: file.to_owned(), source };
    let opened = match std::fs::File::open(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    opened.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    let malformed = |found: String| Error::Malformed { file: file.to_owned(), found };
    if bytes.len() as u64 > MOST_BYTES {
        return Err(malformed(format!("more than {MOST_BYTES} bytes")));
    }
    let stored: Stored = serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
    if stored.version != VERSION {
        return Err(malformed(format!("version {}, where this build writes {VERSION}", stored.version)));
    }
    for choices in stored.devices.values() {
        tuning::check(choices).map_err(|error| malformed(error.to_string()))?;
    }
    Ok(stored.devices)
}

/// Keeps `choices` for a device beside those of others.
///
/// # Errors
/// Where the file cannot be read or written.
pub fn save(file: &Path, device: &str, choices: &Choices) -> Result<(), Error> {
    let mut devices = tuned(file)?;
    devices.insert(device.to_owned(), choices.clone());
    let failed = |source| Error::Io { file: file.to_owned(), source };
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let text =
        serde_json::to_string_pretty(&Stored { version: VERSION, devices }).map_err(|error| failed(error.into()))?;
    // Whoever reads meanwhile sees the old file or the new one.
    let fresh = file.with_extension(format!("json.{}", std::process::id()));
    std::fs::write(&fresh, text + "\n").and_then(|()| std::fs::rename(&fresh, file)).map_err(failed)
}
