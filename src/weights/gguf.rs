//! GGUF, the single-file format of llama.cpp: metadata, a table of tensors, and their data.
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
mod metadata;
mod tensor;
mod tensor_type;
mod value;

use std::path::{Path, PathBuf};

use memmap2::Mmap;

use super::{Error, file, names};

pub use header::Header;
pub use metadata::Metadata;
pub use tensor::TensorInfo;
pub use tensor_type::TensorType;
pub use value::{Array, Value};

/// A GGUF file, mapped and checked.
#[derive(Debug)]
pub struct Gguf {
    path: PathBuf,
    map: Mmap,
    header: Header,
}

impl Gguf {
    /// Maps the file at `path` and parses its header.
    ///
    /// # Errors
    /// When there is no readable file, and when [`Header::parse`] refuses it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let map = file::map(path)?;
        let header = Header::parse(&map, path)?;
        Ok(Self { path: path.to_owned(), map, header })
    }

    /// The path it was opened from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The version of the format, 2 or 3.
    pub fn version(&self) -> u32 {
        self.header.version
    }

    /// The key-value pairs.
    pub fn metadata(&self) -> &Metadata {
        &self.header.metadata
    }

    /// All tensors in the order of the file's table.
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
            file: self.path.clone(),
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
    /// If `tensor` is not one of this file's.
    pub fn data(&self, tensor: &TensorInfo) -> &[u8] {
        let whole = || {
            let start = usize::try_from(tensor.offset).ok()?;
            let bytes = usize::try_from(tensor.bytes).ok()?;
            self.map.get(start..start.checked_add(bytes)?)
        };
        whole().unwrap_or_else(|| panic!("{tensor:?} is not from {}", self.path.display()))
    }

    /// Size of the whole file.
    pub fn file_bytes(&self) -> u64 {
        self.map.len() as u64
    }
}
