//! Writes safetensors files whose layout is known before the first byte: tensors of any size in pieces, in any order.

use super::Error;
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// One tensor of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Its type, as headers name it.
    pub dtype: &'static str,
    /// Its shape, the contiguous dimension last.
    pub shape: Vec<u64>,
    /// Bytes of its data.
    pub bytes: u64,
}

/// A place in the set of files.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    shard: usize,
    /// From the start of the file.
    offset: u64,
}

/// One file: its name and how it begins.
#[derive(Debug)]
struct Shard {
    name: String,
    header: Vec<u8>,
    bytes: u64,
}

/// The files of a checkpoint.
#[derive(Debug)]
pub struct Shards {
    folder: PathBuf,
    shards: Vec<Shard>,
    /// The file that is being written.
    open: Option<(usize, File)>,
    total: u64,
    index: Map<String, Value>,
}

/// What the headers say of the files as a whole, as MLX's own do.
const FORMAT: &str = "mlx";

impl Shards {
    /// Lays `groups` of tensors out in files of at most `most` bytes of data, as far as groups are no larger themselves; those of a
    /// group stay together. Yields a place for every tensor. Nothing is written yet.
    pub fn lay_out(folder: &Path, groups: &[Vec<Tensor>], most: u64) -> (Self, Vec<Vec<Place>>) {
        let mut parts: Vec<Vec<&Vec<Tensor>>> = Vec::new();
        let mut filled = u64::MAX;
        for group in groups {
            let bytes: u64 = group.iter().map(|tensor| tensor.bytes).sum();
            if filled.saturating_add(bytes) > most {
                parts.push(Vec::new());
                filled = 0;
            }
            filled += bytes;
            if let Some(part) = parts.last_mut() {
                part.push(group);
            }
        }
        let count = parts.len();
        let (mut shards, mut places, mut index) = (Vec::new(), Vec::new(), Map::new());
        for (number, part) in parts.iter().enumerate() {
            let name = match count {
                1 => "model.safetensors".to_owned(),
                _ => format!("model-{:05}-of-{count:05}.safetensors", number + 1),
            };
            let (shard, inside) = Shard::new(name, part.iter().copied().flatten());
            let mut inside = inside.into_iter().map(|offset| Place { shard: number, offset });
            places.extend(part.iter().map(|group| inside.by_ref().take(group.len()).collect::<Vec<_>>()));
            let names = part.iter().copied().flatten().map(|tensor| tensor.name.clone());
            index.extend(names.map(|tensor| (tensor, Value::String(shard.name.clone()))));
            shards.push(shard);
        }
        let total = groups.iter().flatten().map(|tensor| tensor.bytes).sum();
        (Self { folder: folder.to_owned(), shards, open: None, total, index }, places)
    }

    /// Names and sizes of the files, in bytes.
    pub fn files(&self) -> Vec<(String, u64)> {
        self.shards.iter().map(|shard| (shard.name.clone(), shard.bytes)).collect()
    }

    /// Writes `bytes` of a tensor, `at` bytes behind its place. The files must be written one after the other.
    ///
    /// # Errors
    /// [`Error::Write`] and [`Error::Full`].
    pub fn write(&mut self, place: Place, at: u64, bytes: &[u8]) -> Result<(), Error> {
        let shard = place.shard;
        if self.open.as_ref().is_none_or(|(open, _)| *open != shard) {
            self.close()?;
            let path = self.folder.join(&self.shards[shard].name);
            let mut file = File::create_new(&path).map_err(|source| Error::io(&path, self.total, source))?;
            file.write_all(&self.shards[shard].header).map_err(|source| Error::io(&path, self.total, source))?;
            self.open = Some((shard, file));
        }
        let Some((_, file)) = &mut self.open else { return Ok(()) };
        let written = file.seek(SeekFrom::Start(place.offset + at)).and_then(|_| file.write_all(bytes));
        written.map_err(|source| Error::io(&self.folder.join(&self.shards[shard].name), self.total, source))
    }

    fn close(&mut self) -> Result<(), Error> {
        let Some((shard, file)) = self.open.take() else { return Ok(()) };
        let Shard { name, bytes, .. } = &self.shards[shard];
        let path = self.folder.join(name);
        let failed = |source| Error::io(&path, self.total, source);
        let found = file.metadata().map_err(failed)?.len();
        assert_eq!(found, *bytes, "{name}: every tensor was to be written");
        file.sync_all().map_err(failed)
    }

    /// Closes the last file, and writes the index where there are several. `parameters` is what they hold in all.
    ///
    /// # Errors
    /// [`Error::Write`] and [`Error::Full`].
    ///
    /// # Panics
    /// Where part of a tensor was not written.
    pub fn finish(&mut self, parameters: u64) -> Result<(), Error> {
        self.close()?;
        if self.shards.len() < 2 {
            return Ok(());
        }
        let index = json!({
            "metadata": {"total_size": self.total, "total_parameters": parameters},
            "weight_map": std::mem::take(&mut self.index),
        });
        super::folder::write_json(&self.folder.join("model.safetensors.index.json"), &index, self.total)
    }
}

impl Shard {
    /// The file of `tensors` one after the other, and where each begins.
    fn new<'t>(name: String, tensors: impl Iterator<Item = &'t Tensor> + Clone) -> (Self, Vec<u64>) {
        let mut header = Map::new();
        header.insert("__metadata__".to_owned(), json!({"format": FORMAT}));
        let mut end = 0;
        let mut offsets = Vec::new();
        for tensor in tensors {
            offsets.push(end);
            let entry =
                json!({"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [end, end + tensor.bytes]});
            header.insert(tensor.name.clone(), entry);
            end += tensor.bytes;
        }
        let mut text = Value::Object(header).to_string();
        // The format's own writer has the data begin at a multiple of eight. Devices that read it where it is mapped want 32.
        let padded = (8 + text.len()).next_multiple_of(32) - 8;
        text.extend(std::iter::repeat_n(' ', padded - text.len()));
        let header = [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
        let start = header.len() as u64;
        let offsets = offsets.into_iter().map(|offset| start + offset).collect();
        (Self { name, header, bytes: start + end }, offsets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, bytes: u64) -> Tensor {
        Tensor { name: name.to_owned(), dtype: "U8", shape: vec![bytes], bytes }
    }

    #[test]
    fn files_close_before_they_grow_too_large_and_groups_stay_together() {
        let groups =
            [vec![tensor("a", 3), tensor("b", 3)], vec![tensor("c", 4)], vec![tensor("d", 99)], vec![tensor("e", 1)]];
        let (shards, places) = Shards::lay_out(Path::new("x"), &groups, 10);
        let files: Vec<usize> = places.iter().flatten().map(|place| place.shard).collect();
        assert_eq!(files, [0, 0, 0, 1, 2]);
        assert_eq!(shards.files()[1].0, "model-00002-of-00003.safetensors");
        assert_eq!(Shards::lay_out(Path::new("x"), &groups, 1000).0.files()[0].0, "model.safetensors");
        assert_eq!(shards.total, 110);
    }

    #[test]
    fn data_begins_at_a_multiple_of_eight() {
        for name in ["a", "ab", "abc", "abcd", "abcdefgh"] {
            let (_, places) = Shards::lay_out(Path::new("x"), &[vec![tensor(name, 3)]], 10);
            assert_eq!(places[0][0].offset % 32, 0, "{name}");
        }
    }
}
