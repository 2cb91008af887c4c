//! The JSON header of one file, parsed and checked in one go.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use ::safetensors::Dtype;
use serde::de::value::{Error as Unknown, StrDeserializer};
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, de};

use super::SafeTensor;
use crate::weights::Error;
use crate::weights::error::{Quoted, Shape, Shown};

/// The length of the header comes first, as a u64.
const LENGTH_BYTES: usize = 8;
/// The bound that the reference implementation sets. Files of a hundred thousand tensors stay below a tenth of it.
const MOST_HEADER_BYTES: u64 = 100_000_000;
/// How much of a file's start an error shows; enough to tell what it is instead.
const OPENING_BYTES: usize = 16;
const METADATA: &str = "__metadata__";

/// The header of one safetensors file.
#[derive(Clone, Debug)]
pub struct Header {
    /// What the file says about itself, such as `format`: `pt` or `mlx`.
    pub metadata: BTreeMap<String, String>,
    /// Its tensors, sorted by name.
    pub tensors: Vec<SafeTensor>,
}

impl Header {
    /// Parses `bytes`, a whole file, whose path `file` is there for error messages.
    ///
    /// What comes back is sound: names are unique, and tensors lie in `bytes` one after the other, each as large as its
    /// shape and type say, without gaps before, between or after them. Memory and time are bounded by a multiple of
    /// `bytes.len()`, whatever the header claims.
    ///
    /// # Errors
    /// [`Error::NotSafetensors`], [`Error::Truncated`], [`Error::Malformed`] where the header is not the JSON that it
    /// has to be, [`Error::Duplicate`], and [`Error::Invalid`] with the name of a tensor that contradicts itself.
    pub fn parse(bytes: &[u8], file: &Path) -> Result<Self, Error> {
        let text = text(bytes, file)?;
        let data_offset = (LENGTH_BYTES + text.len()) as u64;
        let Entries { metadata, mut tensors } = entries(text, file)?;
        check_places(&mut tensors, data_offset, bytes.len() as u64, file)?;
        tensors.sort_by(|(first, a), (second, b)| a.name.cmp(&b.name).then(first.cmp(second)));
        if let Some([(first, tensor), (second, _)]) = tensors.array_windows().find(|[(_, a), (_, b)]| a.name == b.name)
        {
            let (name, first, second) = (tensor.name.clone(), *first, *second);
            return Err(Error::Duplicate { file: file.to_owned(), what: "tensor", name, first, second });
        }
        let metadata = metadata.unwrap_or_default();
        Ok(Self { metadata, tensors: tensors.into_iter().map(|(_, tensor)| tensor).collect() })
    }
}

/// The bytes of the header, without the length in front of them.
fn text<'a>(bytes: &'a [u8], file: &Path) -> Result<&'a [u8], Error> {
    let (Some(length), Some(b'{')) = (bytes.first_chunk(), bytes.get(LENGTH_BYTES)) else {
        let found = bytes[..bytes.len().min(OPENING_BYTES)].to_vec();
        return Err(Error::NotSafetensors { path: file.to_owned(), found });
    };
    let length = u64::from_le_bytes(*length);
    if length > MOST_HEADER_BYTES {
        return Err(Error::Malformed {
            file: file.to_owned(),
            offset: 0,
            what: "length of the header".to_owned(),
            expected: format!("at most {MOST_HEADER_BYTES} bytes"),
            found: length.to_string(),
        });
    }
    let rest = &bytes[LENGTH_BYTES..];
    // Cannot be cut off: it is at most `MOST_HEADER_BYTES`.
    rest.get(..length as usize).ok_or_else(|| Error::Truncated {
        file: file.to_owned(),
        offset: LENGTH_BYTES as u64,
        what: "header".to_owned(),
        needed: length,
        available: rest.len() as u64,
    })
}

/// What the header says, each tensor with its position in file order. Offsets still count from the start of the data.
#[derive(Default)]
struct Entries {
    metadata: Option<BTreeMap<String, String>>,
    tensors: Vec<(usize, SafeTensor)>,
}

fn entries(text: &[u8], file: &Path) -> Result<Entries, Error> {
    let mut reader = Reader { entries: Entries::default(), at: None, refused: None, file };
    let mut json = serde_json::Deserializer::from_slice(text);
    match (&mut reader).deserialize(&mut json).and_then(|()| json.end()) {
        Ok(()) => Ok(reader.entries),
        Err(error) => Err(reader.refused.unwrap_or_else(|| {
            let what = match &reader.at {
                Some(name) => format!("entry {} of the header", Quoted(name)),
                None => "header".to_owned(),
            };
            malformed(file, what, "the JSON that safetensors defines", text, LENGTH_BYTES, &error)
        })),
    }
}

/// An error about JSON that starts at byte `start` of `file`, at the place where the parser stopped.
pub(super) fn malformed(
    file: &Path,
    what: String,
    expected: &str,
    text: &[u8],
    start: usize,
    error: &serde_json::Error,
) -> Error {
    let lines = text.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
    let offset = start + lines.map(<[u8]>::len).sum::<usize>() + error.column().saturating_sub(1);
    let message = error.to_string();
    // The place is given in bytes; the parser's own line and column count from the header.
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    Error::Malformed {
        file: file.to_owned(),
        offset: offset as u64,
        what,
        expected: expected.to_owned(),
        found: Shown(message).to_string(),
    }
}

/// Collects entries one by one: a map type would drop one of two equal names without a word.
struct Reader<'f> {
    entries: Entries,
    /// The entry that is being read.
    at: Option<String>,
    /// What is wrong with it, where the parser has nothing against it.
    refused: Option<Error>,
    file: &'f Path,
}

impl<'de> DeserializeSeed<'de> for &mut Reader<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

#[derive(Deserialize)]
#[serde(expecting = "a map of `dtype`, `shape` and `data_offsets`")]
struct Entry<'a> {
    #[serde(borrow)]
    dtype: Cow<'a, str>,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

impl<'de> Visitor<'de> for &mut Reader<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "a map of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            if name == METADATA {
                self.at = Some(name);
                if self.entries.metadata.replace(map.next_value()?).is_some() {
                    return Err(de::Error::duplicate_field(METADATA));
                }
            } else {
                let name = self.at.insert(name).clone();
                let entry = map.next_value::<Entry<'de>>()?;
                let tensor = tensor(name, entry, self.file).map_err(|error| {
                    self.refused = Some(error);
                    <A::Error as de::Error>::custom("refused")
                })?;
                self.entries.tensors.push((self.entries.tensors.len(), tensor));
            }
            self.at = None;
        }
        Ok(())
    }
}

/// One tensor, whose size is that of its shape; where it lies is checked later.
fn tensor(name: String, entry: Entry<'_>, file: &Path) -> Result<SafeTensor, Error> {
    let Entry { dtype: type_name, shape, data_offsets: [start, end] } = entry;
    let invalid = |what: &str, expected: String, found: String| Error::Invalid {
        file: file.to_owned(),
        what: format!("{what} of tensor {}", Quoted(&name)),
        expected,
        found,
    };
    let reader: StrDeserializer<'_, Unknown> = type_name.as_ref().into_deserializer();
    let dtype = Dtype::deserialize(reader).map_err(|_unknown| {
        invalid("dtype", "a type that safetensors defines".to_owned(), Quoted(&type_name).to_string())
    })?;
    let elements = shape.iter().try_fold(1_u64, |product, dim| product.checked_mul(*dim));
    let bits = elements.and_then(|elements| elements.checked_mul(dtype.bitsize() as u64));
    let bits = bits.ok_or_else(|| {
        invalid("shape", "a size that fits 64 bits".to_owned(), format!("{} of {dtype}", Shape(&shape)))
    })?;
    if !bits.is_multiple_of(8) {
        return Err(invalid("shape", "whole bytes".to_owned(), format!("{} of {dtype}", Shape(&shape))));
    }
    let bytes = bits / 8;
    if end.checked_sub(start) != Some(bytes) {
        let expected = format!("{bytes} bytes, as {} of {dtype} takes", Shape(&shape));
        return Err(invalid("data_offsets", expected, format!("{start} to {end}")));
    }
    Ok(SafeTensor { name, dtype, shape, bytes, shard: 0, offset: start })
}

/// Refuses gaps and overlaps, and makes offsets count from the start of the file.
fn check_places(
    tensors: &mut [(usize, SafeTensor)],
    data_offset: u64,
    file_bytes: u64,
    file: &Path,
) -> Result<(), Error> {
    // Empty tensors may share their place with the tensor that follows.
    tensors.sort_by_key(|(_, tensor)| (tensor.offset, tensor.bytes));
    let (mut end, mut before) = (0, None);
    for (_, tensor) in &*tensors {
        if tensor.offset != end {
            let before = before.map_or("the data starts".to_owned(), |name| format!("{} ends", Quoted(name)));
            return Err(Error::Invalid {
                file: file.to_owned(),
                what: format!("data_offsets of tensor {}", Quoted(&tensor.name)),
                expected: format!("{end}, where {before}"),
                found: tensor.offset.to_string(),
            });
        }
        // Cannot overflow: `tensor` has checked that the sum is the entry's own end.
        end += tensor.bytes;
        before = Some(tensor.name.as_str());
    }
    let available = file_bytes - data_offset;
    if end > available {
        return Err(Error::Truncated {
            file: file.to_owned(),
            offset: data_offset,
            what: "data of its tensors".to_owned(),
            needed: end,
            available,
        });
    }
    if end < available {
        return Err(Error::Invalid {
            file: file.to_owned(),
            what: "data".to_owned(),
            expected: format!("{end} bytes, which the header describes"),
            found: available.to_string(),
        });
    }
    for (_, tensor) in tensors {
        tensor.offset += data_offset;
    }
    Ok(())
}
