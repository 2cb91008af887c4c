//! Safetensors, the format of Hugging Face checkpoints: a JSON header per file, then the data of its tensors.
//!
//! A checkpoint is one file or a set of parts with an index. Files are mapped, not loaded: opening them parses the
//! headers, and tensor data comes in from disk when it is touched.
//!
//! A file is not to be trusted. [`Header::parse`] checks everything that later code leans on; it is stricter than the
//! `safetensors` crate, whose table of types it uses, in that a name may occur only once, and it says which tensor is at
//! fault.
//!
//! The layout follows <https://github.com/huggingface/safetensors#format>:
//!
//! ```text
//! length of the header u64, little-endian
//! { "__metadata__": { key: text, … }, name: { "dtype": "BF16", "shape": [rows, cols], "data_offsets": [start, end] }, … }
//! data that the offsets count from, without gaps
//! ```

mod header;
mod parts;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;

use super::error::Quoted;
use super::{Error, file, names};
use parts::Parts;

pub use ::safetensors::Dtype;
pub use header::Header;

/// One tensor of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafeTensor {
    /// Its name, such as `model.layers.0.self_attn.q_proj.weight`.
    pub name: String,
    /// How its elements are stored.
    pub dtype: Dtype,
    /// Any number of sizes, which may be zero, the contiguous dimension last: `[…, rows, cols]`.
    pub shape: Vec<u64>,
    /// Size of its data in bytes.
    pub bytes: u64,
    /// Which of the checkpoint's files holds it.
    shard: usize,
    /// Where its data starts, in bytes from the start of that file. Aligned to nothing: old files have headers of any
    /// length.
    offset: u64,
}

/// A checkpoint in safetensors format, mapped and checked.
#[derive(Debug)]
pub struct Safetensors {
    path: PathBuf,
    folder: PathBuf,
    shards: Vec<Shard>,
    tensors: Vec<SafeTensor>,
    metadata: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Shard {
    path: PathBuf,
    map: Arc<Mmap>,
}

impl Safetensors {
    /// Maps the files that `path` stands for and parses their headers. They are
    ///
    /// - of a folder: `model.safetensors`; without it, what `model.safetensors.index.json` names; without that, the only
    ///   complete set of parts, or the only file, among `model*.safetensors`; without those, among `*.safetensors`;
    /// - of an index file: the files that it names, in its folder;
    /// - of a file called `name-00001-of-00003.safetensors`: all parts of its set;
    /// - of another file: that file.
    ///
    /// # Errors
    /// When a file is missing or not readable, when [`Header::parse`] refuses it, when two files hold a tensor of one
    /// name, and when an index names a file outside its folder or a tensor that is not in the file it says.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let Parts { folder, files, index } = Parts::of(path)?;
        let mut shards = Vec::new();
        let mut tensors = Vec::new();
        let mut metadata = BTreeMap::new();
        for (shard, part) in files.into_iter().enumerate() {
            let map = Arc::new(file::map(&part)?);
            let header = Header::parse(&map, &part)?;
            tensors.extend(header.tensors.into_iter().map(|tensor| SafeTensor { shard, ..tensor }));
            for (key, value) in header.metadata {
                metadata.entry(key).or_insert(value);
            }
            shards.push(Shard { path: part, map });
        }
        // Stable, so that of two equal names that of the earlier file comes first.
        tensors.sort_by(|a: &SafeTensor, b| a.name.cmp(&b.name));
        let checkpoint = Self { path: path.to_owned(), folder, shards, tensors, metadata };
        checkpoint.refuse_duplicates()?;
        if let Some(index) = index {
            index.check(|name| checkpoint.find(name).map(|tensor| checkpoint.shards[tensor.shard].path.as_path()))?;
        }
        Ok(checkpoint)
    }

    fn refuse_duplicates(&self) -> Result<(), Error> {
        match self.tensors.array_windows().find(|[a, b]| a.name == b.name) {
            None => Ok(()),
            Some([first, second]) => Err(Error::Invalid {
                file: self.shards[second.shard].path.clone(),
                what: format!("tensor {}", Quoted(&first.name)),
                expected: "a name that no other file of the checkpoint has".to_owned(),
                found: format!("it also in {}", self.shards[first.shard].path.display()),
            }),
        }
    }

    /// The path it was opened from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that its files lie in, along with those that describe model and tokenizer.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All tensors, sorted by name.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = &SafeTensor> {
        self.tensors.iter()
    }

    /// The tensor called `name`.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], with the most similar name if one is close.
    pub fn tensor(&self, name: &str) -> Result<&SafeTensor, Error> {
        self.find(name).ok_or_else(|| Error::MissingTensor {
            name: name.to_owned(),
            file: self.path.clone(),
            near: names::nearest(name, self.tensors().map(|tensor| tensor.name.as_str())),
        })
    }

    /// The tensor called `name`, for those that a model may go without.
    pub fn find(&self, name: &str) -> Option<&SafeTensor> {
        let at = self.tensors.binary_search_by(|tensor| tensor.name.as_str().cmp(name)).ok()?;
        self.tensors.get(at)
    }

    /// The bytes of `tensor`, straight from the map. [`Header::parse`] has checked that they exist.
    ///
    /// # Panics
    /// If `tensor` is not one of this checkpoint's.
    pub fn data(&self, tensor: &SafeTensor) -> &[u8] {
        let whole = || {
            let start = usize::try_from(tensor.offset).ok()?;
            let bytes = usize::try_from(tensor.bytes).ok()?;
            self.shards.get(tensor.shard)?.map.get(start..start.checked_add(bytes)?)
        };
        whole().unwrap_or_else(|| panic!("{tensor:?} is not from {}", self.path.display()))
    }

    /// Lets go of the memory that `bytes`, a part of one of the files, take since they were read.
    pub(super) fn release(&self, bytes: &[u8]) {
        self.shards.iter().for_each(|shard| file::release(&shard.map, bytes));
    }

    /// The map that `bytes` are a part of, and where they start in it.
    pub(super) fn map_of(&self, bytes: &[u8]) -> Option<(&Arc<Mmap>, u64)> {
        self.shards.iter().find_map(|shard| Some((&shard.map, file::position(&shard.map, bytes)?)))
    }

    /// The file that holds `tensor`, for messages.
    ///
    /// # Panics
    /// If `tensor` is not one of this checkpoint's.
    pub fn file(&self, tensor: &SafeTensor) -> &Path {
        &self.shards[tensor.shard].path
    }

    /// Size of all files together.
    pub fn file_bytes(&self) -> u64 {
        self.shards.iter().map(|shard| shard.map.len() as u64).sum()
    }

    /// What its files say about themselves, such as `format`: `pt` or `mlx`. Where parts disagree, the first counts.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }
}
