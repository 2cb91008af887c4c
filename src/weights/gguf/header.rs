//! Everything before the data, parsed and checked in one go.

use std::path::Path;

use super::Error;
use super::cursor::Cursor;
use super::metadata::Metadata;
use super::tensor::{Row, TensorInfo, refuse_overlaps};
use super::value::Value;
use crate::weights::error::Quoted;
use crate::weights::names::{Names, Twice};

const MAGIC: &[u8] = b"GGUF";
/// How much of a file's start [`Error::NotGguf`] shows; enough to tell what it is instead.
const OPENING_BYTES: usize = 16;
/// Length of the key, type, and one byte of value.
const LEAST_KEY_BYTES: u64 = 8 + 4 + 1;
/// Bounds the work a hostile header can cause. Models of a thousand layers and experts stay far
/// below it, and [`Names`] counts in 32 bits.
const MOST_ENTRIES: u64 = 1 << 20;
const ALIGNMENT_KEY: &str = "general.alignment";
const DEFAULT_ALIGNMENT: u64 = 32;
const MOST_ALIGNMENT: u64 = 1 << 20;

/// The header of a GGUF file.
#[derive(Clone, Debug)]
pub struct Header {
    /// Version of the format, 2 or 3.
    pub version: u32,
    /// The key-value pairs.
    pub metadata: Metadata,
    /// Where the data section starts, in bytes from the start of the file. A file without tensors
    /// may end before it.
    pub data_offset: u64,
    pub(super) tensors: Vec<TensorInfo>,
    by_name: Names,
}

impl Header {
    /// Parses `bytes`, a whole file, whose path `file` is there for error messages.
    ///
    /// What comes back is sound: names are unique, shapes consist of whole blocks, and every
    /// tensor's data is aligned, inside `bytes`, and its own. Memory and time are bounded by a
    /// multiple of `bytes.len()`, whatever the header claims.
    ///
    /// # Errors
    /// [`Error::NotGguf`], [`Error::Version`], [`Error::BigEndian`], [`Error::Truncated`],
    /// [`Error::Malformed`], [`Error::Duplicate`], and [`Error::WrongType`] for an alignment that
    /// is no integer.
    pub fn parse(bytes: &[u8], file: &Path) -> Result<Self, Error> {
        let mut from = Cursor::new(bytes, file);
        let version = read_version(bytes, &mut from)?;
        let tensors = count(&mut from, "tensor", Row::LEAST_BYTES)?;
        let keys = count(&mut from, "metadata key", LEAST_KEY_BYTES)?;

        let (entries, alignment_at) = read_keys(&mut from, keys)?;
        let metadata = Metadata::new(file, entries)?;
        let alignment = alignment(&from, &metadata, alignment_at)?;

        let mut rows = Vec::new();
        for index in 0..tensors {
            rows.push(Row::read(&mut from, index)?);
        }
        let data_offset = from.at().next_multiple_of(alignment);
        for row in &mut rows {
            row.place(&from, bytes.len() as u64, data_offset, alignment)?;
        }
        refuse_overlaps(&from, &rows)?;

        let tensors: Vec<TensorInfo> = rows.into_iter().map(|row| row.info).collect();
        Self::new(version, metadata, data_offset, tensors).map_err(|(tensors, Twice { first, second })| {
            let name = tensors[first].name.clone();
            Error::Duplicate { file: file.to_owned(), what: "tensor", name, first, second }
        })
    }

    /// A header of `tensors`, which come back if two of them share a name.
    pub(super) fn new(
        version: u32,
        metadata: Metadata,
        data_offset: u64,
        tensors: Vec<TensorInfo>,
    ) -> Result<Self, (Vec<TensorInfo>, Twice)> {
        match Names::index(&tensors, name) {
            Ok(by_name) => Ok(Self { version, metadata, data_offset, tensors, by_name }),
            Err(twice) => Err((tensors, twice)),
        }
    }

    /// All tensors in file order.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// The tensor called `wanted`.
    pub fn find(&self, wanted: &str) -> Option<&TensorInfo> {
        self.by_name.find(&self.tensors, name, wanted)
    }
}

fn name(tensor: &TensorInfo) -> &str {
    &tensor.name
}

fn read_version(bytes: &[u8], from: &mut Cursor<'_>) -> Result<u32, Error> {
    if !bytes.starts_with(MAGIC) {
        let found = bytes[..bytes.len().min(OPENING_BYTES)].to_vec();
        return Err(Error::NotGguf { path: from.file.to_owned(), found });
    }
    from.take(MAGIC.len() as u64, format_args!("magic"))?;
    let version = from.u32(format_args!("version"))?;
    let file = || from.file.to_owned();
    match version {
        2 | 3 => Ok(version),
        // The magic is bytes and the same in either order, so the version is what tells. Any
        // small number in the upper half is one from a big-endian machine.
        swapped if swapped != 0 && swapped & 0xffff == 0 => Err(Error::BigEndian { file: file() }),
        found => Err(Error::Version { file: file(), found }),
    }
}

fn count(from: &mut Cursor<'_>, what: &str, least: u64) -> Result<u64, Error> {
    let at = from.at();
    let count = from.count(least, format_args!("{what} count"))?;
    if count > MOST_ENTRIES {
        let expected = format!("at most {MOST_ENTRIES}");
        return Err(from.malformed(at, format_args!("{what} count"), expected, count));
    }
    Ok(count)
}

/// The key-value pairs, and where the alignment's value is, for messages.
fn read_keys(from: &mut Cursor<'_>, count: u64) -> Result<(Vec<(String, Value)>, u64), Error> {
    let (mut entries, mut alignment_at) = (Vec::new(), 0);
    for index in 0..count {
        let key = from.string(format_args!("metadata key {index}"))?;
        let number = from.u32(format_args!("value type of {}", Quoted(key)))?;
        if key == ALIGNMENT_KEY {
            alignment_at = from.at();
        }
        entries.push((key.to_owned(), Value::read(from, number, key)?));
    }
    Ok((entries, alignment_at))
}

fn alignment(from: &Cursor<'_>, metadata: &Metadata, at: u64) -> Result<u64, Error> {
    let alignment = metadata.opt_u64(ALIGNMENT_KEY)?.unwrap_or(DEFAULT_ALIGNMENT);
    if !alignment.is_power_of_two() || alignment > MOST_ALIGNMENT {
        let expected = format!("a power of two up to {MOST_ALIGNMENT}");
        return Err(from.malformed(at, Quoted(ALIGNMENT_KEY), expected, alignment));
    }
    Ok(alignment)
}
