//! GGUF, the format of llama.cpp: metadata, a table of tensors, and their data, in one file or cut into parts.
//!
//! Versions 2 and 3 in little-endian order are read. The file is mapped, not loaded: opening it
//! parses the header, and tensor data comes in from disk when it is touched.
//!
//! A file is not to be trusted. [`Header::parse`] checks everything that later code leans on, takes
//! memory and time in proportion to the bytes it is given, and is what the fuzz target calls.
//!
//! The layout follows <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>:
//!
//! ```text
//! "GGUF"  version u32  tensors u64  keys u64
//! keys    × { name string, type u32, value }
//! tensors × { name string, dims u32, dim u64 × dims, type u32, offset u64 }
//! padding up to the alignment, then the data that the offsets count from
//! ```

mod cursor;
mod header;
mod layout;
mod metadata;
mod split;
mod tensor;
mod tensor_type;
mod value;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;

use super::{Error, file, names};

pub use header::Header;
pub use layout::{Layout, NewTensor};
pub use metadata::Metadata;
pub use tensor::TensorInfo;
pub use tensor_type::TensorType;
pub use value::{Array, Value};

/// A checkpoint in GGUF format, mapped and checked.
#[derive(Debug)]
pub struct Gguf {
    /// In order; a checkpoint that is not split has one.
    parts: Vec<Part>,
    header: Header,
}

/// One file.
#[derive(Debug)]
struct Part {
    path: PathBuf,
    map: Arc<Mmap>,
}

impl Part {
    /// Maps the file at `path` and parses its header.
    fn read(path: &Path) -> Result<(Self, Header), Error> {
        let map = Arc::new(file::map(path)?);
        let header = Header::parse(&map, path)?;
        Ok((Self { path: path.to_owned(), map }, header))
    }
}

impl Gguf {
    /// Maps the file at `path` and parses its header; of a checkpoint that was split, those of all parts, whichever of
    /// them `path` is.
    ///
    /// # Errors
    /// When there is no readable file, when [`Header::parse`] refuses it, and when a part is missing, is not the one that
    /// its name says, or has a tensor that another part has too.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let (part, header) = Part::read(path)?;
        let (parts, header) = split::complete(part, header)?;
        Ok(Self { parts, header })
    }

    /// The path of the file; of the first part where there are several.
    pub fn path(&self) -> &Path {
        &self.parts[0].path
    }

    /// The version of the format, 2 or 3.
    pub fn version(&self) -> u32 {
        self.header.version
    }

    /// The key-value pairs.
    pub fn metadata(&self) -> &Metadata {
        &self.header.metadata
    }

    /// All tensors in the order of the file's table, part after part.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = &TensorInfo> {
        self.header.tensors().iter()
    }

    /// The tensor called `name`.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], with the most similar name if one is close.
    pub fn tensor(&self, name: &str) -> Result<&TensorInfo, Error> {
        self.find(name).ok_or_else(|| Error::MissingTensor {
            name: name.to_owned(),
            file: self.path().to_owned(),
            near: names::nearest(name, self.tensors().map(|tensor| tensor.name.as_str())),
        })
    }

    /// The tensor called `name`, for those that a model may go without.
    pub fn find(&self, name: &str) -> Option<&TensorInfo> {
        self.header.find(name)
    }

    /// The bytes of `tensor`, straight from the map. [`Header::parse`] has checked that they exist.
    ///
    /// # Panics
    /// If `tensor` is not one of this checkpoint's.
    pub fn data(&self, tensor: &TensorInfo) -> &[u8] {
        let whole = || {
            let start = usize::try_from(tensor.offset).ok()?;
            let bytes = usize::try_from(tensor.bytes).ok()?;
            self.parts.get(tensor.part)?.map.get(start..start.checked_add(bytes)?)
        };
        whole().unwrap_or_else(|| panic!("{tensor:?} is not from {}", self.path().display()))
    }

    /// Lets go of the memory that `bytes`, a part of one of the files, take since they were read.
    pub(super) fn release(&self, bytes: &[u8]) {
        self.parts.iter().for_each(|part| file::release(&part.map, bytes));
    }

    /// The map that `bytes` are a part of, and where they start in it.
    pub(super) fn map_of(&self, bytes: &[u8]) -> Option<(&Arc<Mmap>, u64)> {
        self.parts.iter().find_map(|part| Some((&part.map, file::position(&part.map, bytes)?)))
    }

    /// Size of all files together.
    pub fn file_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.map.len() as u64).sum()
    }
}
