//! A checkpoint of any kind: its tensors and what describes them.

use super::format;
use super::gguf::{Gguf, Metadata};
use super::packed::packed;
use super::safetensors::{Dtype, Safetensors};
use super::settings::{self, Configuration, Settings};
use super::{Error, file};
use crate::graph::Format;
use memmap2::Mmap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A `config.json` larger than this describes no model. Parsed, it takes up to thirty times as much memory.
const CONFIG_BYTES: u64 = 4 << 20;

/// A checkpoint on disk, mapped and checked.
#[derive(Debug)]
pub struct Checkpoint {
    source: Source,
}

#[derive(Debug)]
enum Source {
    Gguf(Gguf),
    Folder { tensors: Safetensors, config: Configuration, config_path: PathBuf },
}

/// A weight as a file holds it: one tensor of GGUF or safetensors, or the three that MLX makes of one.
#[derive(Clone, Debug)]
pub(crate) struct Stored<'a> {
    /// Names of its tensors.
    pub(crate) names: Vec<&'a str>,
    /// The file that holds the first of them.
    pub(crate) file: &'a Path,
    /// Sizes of its dimensions, the contiguous one first: `[cols, rows]`.
    pub(crate) dims: Vec<u64>,
    /// Its type, as its format calls it.
    pub(crate) kind: String,
    /// How kernels read it; `None` where there is no kernel.
    pub(crate) format: Option<&'static Format>,
    /// Its bytes, in as many planes as the format has.
    pub(crate) planes: [&'a [u8]; 3],
}

impl Stored<'_> {
    /// Bytes in the file.
    pub(crate) fn bytes(&self) -> u64 {
        self.planes.iter().map(|plane| plane.len() as u64).sum()
    }
}

impl Checkpoint {
    /// Opens a GGUF file (or the first of its parts), a folder with safetensors and a `config.json`, or a safetensors file in such
    /// a folder.
    ///
    /// # Errors
    /// What the readers find wrong with the files, and a missing or damaged `config.json`.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        if !path.is_dir() && !name.ends_with(".safetensors") && !name.ends_with(".safetensors.index.json") {
            return Ok(Self { source: Source::Gguf(Gguf::open(path)?) });
        }
        let tensors = Safetensors::open(path)?;
        let config_path = tensors.folder().join("config.json");
        let config = settings::from_json(&config_path, &file::read(&config_path, "configuration", CONFIG_BYTES)?)?;
        Ok(Self { source: Source::Folder { tensors, config, config_path } })
    }

    /// The path it was opened from.
    pub fn path(&self) -> &Path {
        match &self.source {
            Source::Gguf(gguf) => gguf.path(),
            Source::Folder { tensors, .. } => tensors.path(),
        }
    }

    /// The file that its hyperparameters come from.
    pub fn config_path(&self) -> &Path {
        match &self.source {
            Source::Gguf(gguf) => gguf.path(),
            Source::Folder { config_path, .. } => config_path,
        }
    }

    /// The GGUF file, if it is one.
    pub fn gguf(&self) -> Option<&Gguf> {
        match &self.source {
            Source::Gguf(gguf) => Some(gguf),
            Source::Folder { .. } => None,
        }
    }

    /// The safetensors, and the keys of their `config.json`, if it is such a folder.
    pub(super) fn safetensors(&self) -> Option<(&Safetensors, &Metadata)> {
        match &self.source {
            Source::Gguf(_) => None,
            Source::Folder { tensors, config, .. } => Some((tensors, &config.metadata)),
        }
    }

    /// The folder of a checkpoint in safetensors, where tokenizer and configuration lie too.
    pub fn folder(&self) -> Option<&Path> {
        match &self.source {
            Source::Gguf(_) => None,
            Source::Folder { tensors, .. } => Some(tensors.folder()),
        }
    }

    /// Bytes of all its files of weights.
    pub fn file_bytes(&self) -> u64 {
        match &self.source {
            Source::Gguf(gguf) => gguf.file_bytes(),
            Source::Folder { tensors, .. } => tensors.file_bytes(),
        }
    }

    /// Its hyperparameters.
    ///
    /// # Errors
    /// A GGUF file without `general.architecture`.
    pub fn settings(&self) -> Result<Settings<'_>, Error> {
        match &self.source {
            Source::Gguf(gguf) => Ok(Settings::gguf(gguf.metadata(), gguf.metadata().str("general.architecture")?)),
            Source::Folder { config, .. } => Ok(Settings::json(config)),
        }
    }

    /// Names and bytes of all tensors.
    pub fn tensors(&self) -> Vec<(&str, u64)> {
        match &self.source {
            Source::Gguf(gguf) => gguf.tensors().map(|tensor| (tensor.name.as_str(), tensor.bytes)).collect(),
            Source::Folder { tensors, .. } => {
                tensors.tensors().map(|tensor| (tensor.name.as_str(), tensor.bytes)).collect()
            }
        }
    }

    /// Whether there is a tensor called `name`.
    pub fn has(&self, name: &str) -> bool {
        match &self.source {
            Source::Gguf(gguf) => gguf.find(name).is_some(),
            Source::Folder { tensors, .. } => tensors.find(name).is_some(),
        }
    }

    /// Rows of the tensor called `name`, whatever its type.
    ///
    /// # Errors
    /// It is missing.
    pub fn rows(&self, name: &str) -> Result<u64, Error> {
        match &self.source {
            Source::Gguf(gguf) => Ok(gguf.tensor(name)?.rows()),
            Source::Folder { tensors, .. } => Ok(tensors.tensor(name)?.shape.first().copied().unwrap_or(1)),
        }
    }

    /// The map that `bytes`, a part of a weight, lie in, and where they start in it.
    pub(crate) fn map_of(&self, bytes: &[u8]) -> Option<(&Arc<Mmap>, u64)> {
        match &self.source {
            Source::Gguf(gguf) => gguf.map_of(bytes),
            Source::Folder { tensors, .. } => tensors.map_of(bytes),
        }
    }

    /// Lets go of the memory that the weight's bytes take since they were read; they come in from disk again when they are touched.
    pub(crate) fn release(&self, stored: &Stored<'_>) {
        for plane in stored.planes {
            match &self.source {
                Source::Gguf(gguf) => gguf.release(plane),
                Source::Folder { tensors, .. } => tensors.release(plane),
            }
        }
    }

    /// The weight called `name`, whose rows are to have `cols` elements: what MLX packed does not say by itself how many it holds.
    ///
    /// # Errors
    /// It is missing, or packed in a way that makes no rows of `cols`.
    pub(crate) fn stored(&self, name: &str, cols: u64) -> Result<Stored<'_>, Error> {
        match &self.source {
            Source::Gguf(gguf) => {
                let tensor = gguf.tensor(name)?;
                let kind = tensor.kind.name();
                Ok(Stored {
                    names: vec![&tensor.name],
                    file: gguf.path(),
                    dims: tensor.dims.clone(),
                    kind: kind.to_owned(),
                    format: format::named(&kind.to_lowercase()),
                    planes: [gguf.data(tensor), &[], &[]],
                })
            }
            Source::Folder { tensors, config, .. } => {
                let tensor = tensors.tensor(name)?;
                match tensor.dtype {
                    Dtype::U32 => packed(tensors, &config.metadata, tensor, cols),
                    dtype => Ok(Stored {
                        names: vec![&tensor.name],
                        file: tensors.file(tensor),
                        dims: tensor.shape.iter().rev().copied().collect(),
                        kind: format!("{dtype:?}"),
                        format: plain(dtype).and_then(format::named),
                        planes: [tensors.data(tensor), &[], &[]],
                    }),
                }
            }
        }
    }
}

/// The format of a tensor of plain numbers.
pub(super) fn plain(dtype: Dtype) -> Option<&'static str> {
    match dtype {
        Dtype::F32 => Some("f32"),
        Dtype::F16 => Some("f16"),
        Dtype::BF16 => Some("bf16"),
        _ => None,
    }
}
