//! Writes GGUF: the header of a file whose tensors are known, and where the data of each goes.
//!
//! The data itself is the writer's business, so that a file of any size is written from pieces of any size.

use super::tensor_type::TensorType;
use super::value::Value;
use std::ops::Range;

/// What data is aligned to: the format's default, which then needs no key.
const ALIGNMENT: u64 = 32;
/// The version that is written.
const VERSION: u32 = 3;

/// A tensor to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTensor {
    /// Its name, such as `blk.0.attn_q.weight`.
    pub name: String,
    /// Sizes of its dimensions, the contiguous one first: `[cols, rows]`.
    pub dims: Vec<u64>,
    /// How its elements are stored; blocks divide the first dimension.
    pub kind: TensorType,
}

impl NewTensor {
    /// Bytes of its data.
    pub fn bytes(&self) -> u64 {
        let elements: u64 = self.dims.iter().product();
        elements / self.kind.block_elements() * self.kind.block_bytes()
    }
}

/// A file to be: everything before the data, and the place of each tensor.
#[derive(Clone, Debug)]
pub struct Layout {
    header: Vec<u8>,
    places: Vec<Range<u64>>,
}

impl Layout {
    /// Lays out a file of `keys` and `tensors`, in their order.
    ///
    /// # Panics
    /// Where blocks of a tensor's type do not divide its rows.
    pub fn new(keys: &[(String, Value)], tensors: &[NewTensor]) -> Self {
        let mut header = b"GGUF".to_vec();
        header.extend(VERSION.to_le_bytes());
        header.extend((tensors.len() as u64).to_le_bytes());
        header.extend((keys.len() as u64).to_le_bytes());
        for (key, value) in keys {
            text(&mut header, key);
            header.extend(value.number().to_le_bytes());
            value.write(&mut header);
        }
        let mut at = 0_u64;
        let mut places = Vec::with_capacity(tensors.len());
        for tensor in tensors {
            let NewTensor { name, dims, kind } = tensor;
            let whole = dims.first().is_some_and(|cols| cols.is_multiple_of(kind.block_elements()));
            assert!(whole, "{name}: rows of {dims:?} are no whole blocks of {kind}");
            text(&mut header, name);
            header.extend((dims.len() as u32).to_le_bytes());
            header.extend(dims.iter().flat_map(|dim| dim.to_le_bytes()));
            header.extend(kind.number().to_le_bytes());
            header.extend(at.to_le_bytes());
            places.push(at..at + tensor.bytes());
            at = (at + tensor.bytes()).next_multiple_of(ALIGNMENT);
        }
        header.resize(header.len().next_multiple_of(ALIGNMENT as usize), 0);
        let start = header.len() as u64;
        places.iter_mut().for_each(|place| *place = start + place.start..start + place.end);
        Self { header, places }
    }

    /// Everything before the data, its padding included.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// Where the data of each tensor lies, in bytes from the start of the file. What lies between two of them is zero.
    pub fn places(&self) -> &[Range<u64>] {
        &self.places
    }

    /// Size of the file.
    pub fn file_bytes(&self) -> u64 {
        self.places.last().map_or(self.header.len() as u64, |last| last.end.next_multiple_of(ALIGNMENT))
    }
}

/// A string as the format has it: its length and its bytes.
pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::super::{Array, Header};
    use super::*;
    use std::path::Path;

    /// One value of each type, and arrays of each that a model has.
    fn keys() -> Vec<(String, Value)> {
        let values = [
            Value::U8(200),
            Value::I8(-7),
            Value::U16(60_000),
            Value::I16(-30_000),
            Value::U32(4_000_000_000),
            Value::I32(-2_000_000_000),
            Value::F32(1.5),
            Value::Bool(true),
            Value::String("grüße".to_owned()),
            Value::U64(u64::MAX),
            Value::I64(i64::MIN),
            Value::F64(0.1),
            Value::Array(Array::String(["a", "", "▁the"].map(str::to_owned).to_vec())),
            Value::Array(Array::I32(vec![1, -2, 3])),
            Value::Array(Array::F32(Vec::new())),
            Value::Array(Array::Bool(vec![true, false])),
            Value::Array(Array::Array(vec![Array::U8(vec![9]), Array::F64(vec![2.5])])),
        ];
        values.into_iter().enumerate().map(|(index, value)| (format!("key.{index}"), value)).collect()
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let tensor = |name: &str, dims: &[u64], kind| NewTensor { name: name.to_owned(), dims: dims.to_vec(), kind };
        let tensors = [
            tensor("a", &[32, 3], TensorType::Q4_0),
            tensor("b", &[5], TensorType::F32),
            tensor("c", &[256, 2], TensorType::Q6K),
        ];
        let layout = Layout::new(&keys(), &tensors);
        let mut file = layout.header().to_vec();
        file.resize(layout.file_bytes() as usize, 0);
        let header = Header::parse(&file, Path::new("new.gguf")).unwrap();
        let read: Vec<(String, Value)> =
            header.metadata.iter().map(|(key, value)| (key.to_owned(), value.clone())).collect();
        assert_eq!(read, keys());
        for ((found, wanted), place) in header.tensors().iter().zip(&tensors).zip(layout.places()) {
            assert_eq!((&found.name, &found.dims, found.kind), (&wanted.name, &wanted.dims, wanted.kind));
            assert_eq!(found.offset..found.offset + found.bytes, *place);
            assert_eq!(place.start % 32, 0);
        }
        assert_eq!(header.tensors().iter().map(|tensor| tensor.bytes).collect::<Vec<_>>(), [54, 20, 420]);
    }
}
