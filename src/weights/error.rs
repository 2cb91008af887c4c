//! What can go wrong between a path on disk and the tensors of a model.
//!
//! A message says what failed, what was expected, what was found and where. What to do about it is
//! [`Error::hint`], so that the command line can set it on a line of its own.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Everything that can fail while weights are found, read and checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused to open, read or map a file.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// There is nothing at the path.
    #[error("no model at {path}")]
    NotFound {
        /// Where a model was looked for.
        path: PathBuf,
    },
    /// A folder that stands for no checkpoint or for several.
    #[error("{path} is a folder: expected one GGUF file in it, found {}", Files(.found))]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The GGUF files in it.
        found: Vec<PathBuf>,
    },
    /// The file starts with something else than `GGUF`.
    #[error("{path} is no GGUF file: expected it to start with \"GGUF\", found {}", Opening(.found))]
    NotGguf {
        /// The file.
        path: PathBuf,
        /// Its first bytes, 16 at most; none if it is empty.
        found: Vec<u8>,
    },
    /// The file does not start with the length of a header and the header's `{`.
    #[error("{path} is no safetensors file: expected `{{` at byte 8, found it to start with {}", Opening(.found))]
    NotSafetensors {
        /// The file.
        path: PathBuf,
        /// Its first bytes, 16 at most; none if it is empty.
        found: Vec<u8>,
    },
    /// A folder whose safetensors files make no checkpoint.
    #[error(
        "{path} is a folder: expected model.safetensors, model.safetensors.index.json or one complete set of parts in \
         it, found {}",
        Files(.found)
    )]
    Shards {
        /// The folder.
        path: PathBuf,
        /// The safetensors files in it.
        found: Vec<PathBuf>,
    },
    /// A checkpoint of several files lacks one of them.
    #[error("no file {path}, which {needed_by} needs")]
    MissingPart {
        /// The file that is not there.
        path: PathBuf,
        /// The file that tells of it.
        needed_by: PathBuf,
    },
    /// A GGUF version that is not read here.
    #[error("{file}: expected GGUF version 2 or 3, found {found} (at byte 4)")]
    Version {
        /// The file.
        file: PathBuf,
        /// The version it claims.
        found: u32,
    },
    /// A GGUF file written for big-endian machines.
    #[error("{file}: expected a little-endian GGUF, found a big-endian one (version at byte 4)")]
    BigEndian {
        /// The file.
        file: PathBuf,
    },
    /// The file ends before something it announces.
    #[error("{file} is cut short: {what} needs {needed} bytes at byte {offset}, found {available} left")]
    Truncated {
        /// The file.
        file: PathBuf,
        /// Where the missing bytes should start.
        offset: u64,
        /// What was being read.
        what: String,
        /// How many bytes it takes.
        needed: u64,
        /// How many bytes remain from `offset` on.
        available: u64,
    },
    /// A field holds a value that no sound file has.
    #[error("{file}: {what}: expected {expected}, found {found} (at byte {offset})")]
    Malformed {
        /// The file.
        file: PathBuf,
        /// Where the field is.
        offset: u64,
        /// The field.
        what: String,
        /// What it may hold.
        expected: String,
        /// What it holds.
        found: String,
    },
    /// A named entry says something that no sound file says.
    #[error("{file}: {what}: expected {expected}, found {found}")]
    Invalid {
        /// The file.
        file: PathBuf,
        /// The entry.
        what: String,
        /// What it may say.
        expected: String,
        /// What it says.
        found: String,
    },
    /// Two entries share a name.
    #[error("{file}: {what} {} occurs twice, as entries {first} and {second}", Quoted(.name))]
    Duplicate {
        /// The file.
        file: PathBuf,
        /// The kind of entry: `metadata key` or `tensor`.
        what: &'static str,
        /// The name.
        name: String,
        /// Position of the first in file order, counted from zero.
        first: usize,
        /// Position of the second.
        second: usize,
    },
    /// The metadata lacks something that the model cannot do without.
    #[error("{file} has no metadata key `{key}`")]
    MissingKey {
        /// The key.
        key: String,
        /// The file.
        file: PathBuf,
    },
    /// A metadata value is of another type, or out of the range of the one that was asked for.
    #[error("metadata key `{key}`: expected {expected}, found {found} in {file}")]
    WrongType {
        /// The key.
        key: String,
        /// What the caller needs.
        expected: &'static str,
        /// What the file has.
        found: String,
        /// The file.
        file: PathBuf,
    },
    /// The model needs a tensor that the file does not have.
    #[error("no tensor `{name}` in {file}")]
    MissingTensor {
        /// The tensor.
        name: String,
        /// The file.
        file: PathBuf,
        /// The most similar name that the file does have, if one is close.
        near: Option<String>,
    },
    /// A tensor's shape contradicts the model's hyperparameters.
    #[error("weight `{name}`: expected {}, found {} in {file}", Shape(.expected), Shape(.found))]
    Shape {
        /// The tensor.
        name: String,
        /// The shape that the hyperparameters call for.
        expected: Vec<u64>,
        /// The shape in the file, in the same order of dimensions.
        found: Vec<u64>,
        /// The file.
        file: PathBuf,
    },
    /// A tensor's type is well known, but there is no kernel that computes with it.
    #[error("no GPU kernel for weight type {kind}, nor one for the CPU: expected `{name}` to be {expected}, in {file}")]
    UnsupportedType {
        /// The tensor.
        name: String,
        /// The type as its format calls it, such as `IQ1_S`.
        kind: String,
        /// The types that there are kernels for.
        expected: String,
        /// The file.
        file: PathBuf,
    },
    /// Tensors that the model's family has no use for: without them it would compute something else than the file means.
    #[error("{file}: family `{family}` does not use tensor {}{}", Quoted(.first), others(*.count - 1))]
    Unused {
        /// The file.
        file: PathBuf,
        /// The model's family.
        family: String,
        /// How many tensors.
        count: usize,
        /// The first of them in file order.
        first: String,
    },
    /// The file is sound, but asks for something that is not there yet.
    #[error("{what} is not supported")]
    Unsupported {
        /// What the file asks for.
        what: String,
        /// What to do instead.
        hint: Option<String>,
    },
    /// Hyperparameters that contradict each other.
    #[error("inconsistent model in {file}: {what}")]
    Model {
        /// The file.
        file: PathBuf,
        /// The contradiction, with the values.
        what: String,
    },
    /// A model of the Hugging Face hub could not be found or fetched.
    #[error(transparent)]
    Hub(#[from] super::hub::Error),
}

impl Error {
    /// Turns a failure of the operating system into [`Error::NotFound`] or [`Error::Io`].
    pub fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound { path },
            _ => Self::Io { path, source },
        }
    }

    /// The next step for whoever sees the message, where there is one.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NotFound { .. } => {
                "give a GGUF file, or a model of https://huggingface.co/models?library=gguf as org/repo; \
                 `ffai models` lists what is on this disk, and `tools/quickstart.sh` fetches a small one"
            }
            Self::Folder { found, .. } if found.is_empty() => {
                "give the path of a GGUF file; `tools/quickstart.sh` fetches a small one"
            }
            Self::Folder { .. } => "give the path of one of them",
            Self::NotGguf { found, .. } | Self::NotSafetensors { found, .. } => {
                return Some(opening_hint(found).to_owned());
            }
            Self::Version { .. } => "convert the original model again with a current converter",
            Self::BigEndian { .. } => "convert the original model again without `--bigendian`",
            Self::Truncated { .. } => "the download may have stopped early: compare the file's size and fetch it again",
            Self::Shards { found, .. } if found.is_empty() => {
                "give the folder of a model in safetensors format, or the path of a GGUF file"
            }
            Self::Shards { .. } => "give the path of one of them",
            Self::MissingPart { .. } => "the download may have stopped early: fetch the files that are missing",
            Self::Malformed { .. } | Self::Invalid { .. } | Self::Duplicate { .. } | Self::WrongType { .. } => {
                "the file is damaged or its converter had a fault: fetch or convert it again"
            }
            Self::MissingKey { .. } => "an older converter may have left this out: fetch or convert the model again",
            Self::MissingTensor { near: Some(near), .. } => {
                return Some(format!("the file does have {}", Quoted(near)));
            }
            Self::MissingTensor { .. } => {
                "it may be a part of a checkpoint, or a model of another kind: fetch the whole model again"
            }
            Self::UnsupportedType { .. } => {
                "fetch another variant of the same model (GGUF of Q4_K_M, Q8_0 or F16, MLX affine), or convert its \
                 original weights: `ffai convert … --bits 4`"
            }
            Self::Unused { .. } => {
                "the model is of a variant that this build does not know, or the file's number of layers \
                 (`block_count`, `num_hidden_layers`) is too small"
            }
            Self::Shape { .. } | Self::Model { .. } => {
                "the file is damaged or was converted wrongly: fetch or convert it again"
            }
            Self::Unsupported { hint, .. } => return hint.clone(),
            Self::Hub(error) => return error.hint(),
            Self::Io { .. } => return None,
        };
        Some(text.to_owned())
    }
}

/// What people hand over instead of a GGUF file, told apart by its first bytes.
fn opening_hint(found: &[u8]) -> &'static str {
    let text = found.trim_ascii_start().to_ascii_lowercase();
    if found.is_empty() {
        "the file is empty: fetch it again"
    } else if text.starts_with(b"version https") {
        "this is a git-lfs pointer, not the model: run `git lfs pull` where it came from"
    } else if text.starts_with(b"<!doctype") || text.starts_with(b"<html") {
        "this is a web page, not the model: the link needs `/resolve/` in place of `/blob/`, or \
         a login"
    } else if found.get(8) == Some(&b'{') {
        "this looks like a safetensors file: give it a name that ends in .safetensors"
    } else if found.starts_with(b"GGUF") {
        "this looks like a GGUF file: give it a name that ends in .gguf"
    } else if found.starts_with(b"PK\x03\x04") || found.starts_with(b"\x80\x02") {
        "this looks like a PyTorch checkpoint: convert it, or fetch a GGUF of the same model"
    } else if [b"lmgg", b"tjgg", b"fmgg"].iter().any(|magic| found.starts_with(*magic)) {
        "this is a ggml file from before GGUF: fetch a current version of the model"
    } else {
        "check that the path leads to the model itself"
    }
}

/// Untrusted text as it may stand in a message: in backquotes, escaped, 60 characters at most.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "`")?;
        escape(self.0, 60, out)?;
        write!(out, "`")
    }
}

/// A parser's message, which may quote what it parsed: escaped, 200 characters at most.
pub(super) struct Shown<'a>(pub(super) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(self.0, 200, out)
    }
}

fn escape(text: &str, longest: usize, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut left = text.chars();
    for c in left.by_ref().take(longest) {
        // Not for quotes: they are harmless in a terminal, and escaped ones are hard to read.
        if c.is_control() { write!(out, "{}", c.escape_default())? } else { write!(out, "{c}")? }
    }
    write!(out, "{}", if left.next().is_some() { "…" } else { "" })
}

/// A shape of any number of dimensions, of which eight are shown.
pub(super) struct Shape<'a>(pub(super) &'a [u64]);

impl fmt::Display for Shape<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 8;
        let dims: Vec<String> = self.0.iter().take(MOST).map(u64::to_string).collect();
        write!(out, "[{}{}]", dims.join(", "), if self.0.len() > MOST { ", …" } else { "" })
    }
}

fn others(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => " and 1 other".to_owned(),
        _ => format!(" and {count} others"),
    }
}

struct Files<'a>(&'a [PathBuf]);

impl fmt::Display for Files<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 8;
        if self.0.is_empty() {
            return write!(out, "none");
        }
        let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let names: Vec<String> = self.0.iter().take(MOST).map(name).collect();
        let more = if self.0.len() > MOST { ", …" } else { "" };
        write!(out, "{}: {}{more}", self.0.len(), names.join(", "))
    }
}

struct Opening<'a>(&'a [u8]);

impl fmt::Display for Opening<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => write!(out, "an empty file"),
            bytes => write!(out, "\"{}\"", bytes.escape_ascii()),
        }
    }
}
