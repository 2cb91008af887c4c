//! Writes small GGUF files for tests, sound or broken.
//!
//! It shares nothing with the reader, not even the type numbers, and pads and places tensors by
//! its own reading of the format. Every field that the format derives can be overridden.

/// A value, with the type number that goes before it.
#[derive(Clone)]
pub(crate) enum Item {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    Text(&'static str),
    U64(u64),
    I64(i64),
    F64(f64),
    /// Elements of one type, whose number comes first so that the list may be empty.
    List(u32, Vec<Item>),
    /// A type number and bytes as they are.
    Raw(u32, Vec<u8>),
}

impl Item {
    fn number(&self) -> u32 {
        match self {
            Self::U8(_) => 0,
            Self::I8(_) => 1,
            Self::U16(_) => 2,
            Self::I16(_) => 3,
            Self::U32(_) => 4,
            Self::I32(_) => 5,
            Self::F32(_) => 6,
            Self::Bool(_) => 7,
            Self::Text(_) => 8,
            Self::List(..) => 9,
            Self::U64(_) => 10,
            Self::I64(_) => 11,
            Self::F64(_) => 12,
            Self::Raw(number, _) => *number,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::U8(value) => out.push(*value),
            Self::I8(value) => out.extend(value.to_le_bytes()),
            Self::U16(value) => out.extend(value.to_le_bytes()),
            Self::I16(value) => out.extend(value.to_le_bytes()),
            Self::U32(value) => out.extend(value.to_le_bytes()),
            Self::I32(value) => out.extend(value.to_le_bytes()),
            Self::F32(value) => out.extend(value.to_le_bytes()),
            Self::Bool(value) => out.push(u8::from(*value)),
            Self::Text(value) => text(out, value),
            Self::U64(value) => out.extend(value.to_le_bytes()),
            Self::I64(value) => out.extend(value.to_le_bytes()),
            Self::F64(value) => out.extend(value.to_le_bytes()),
            Self::List(element, items) => {
                out.extend(element.to_le_bytes());
                out.extend((items.len() as u64).to_le_bytes());
                for item in items {
                    assert_eq!(item.number(), *element, "a list has elements of one type");
                    item.write(out);
                }
            }
            Self::Raw(_, bytes) => out.extend(bytes),
        }
    }
}

/// A tensor, its type given by ggml's number.
#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) dims: Vec<u64>,
    pub(crate) number: u32,
    pub(crate) data: Vec<u8>,
    /// In place of the offset that follows from the tensors before.
    pub(crate) offset: Option<u64>,
}

/// A file to be. Its fields may be changed at will before [`GgufWriter::finish`].
#[derive(Clone)]
pub(crate) struct GgufWriter {
    pub(crate) version: u32,
    pub(crate) alignment: usize,
    pub(crate) keys: Vec<(String, Item)>,
    pub(crate) tensors: Vec<Tensor>,
    /// In place of the number of `keys`.
    pub(crate) key_count: Option<u64>,
    /// In place of the number of `tensors`.
    pub(crate) tensor_count: Option<u64>,
}

impl GgufWriter {
    pub(crate) fn new() -> Self {
        Self { version: 3, alignment: 32, keys: Vec::new(), tensors: Vec::new(), key_count: None, tensor_count: None }
    }

    /// Adds a key. For an alignment other than 32, set the field too.
    pub(crate) fn key(mut self, name: &str, value: Item) -> Self {
        self.keys.push((name.to_owned(), value));
        self
    }

    /// Adds a tensor of `number`, ggml's number of its type. `dims` starts with the columns.
    pub(crate) fn tensor(mut self, name: &str, dims: &[u64], number: u32, data: Vec<u8>) -> Self {
        let (name, dims) = (name.to_owned(), dims.to_vec());
        self.tensors.push(Tensor { name, dims, number, data, offset: None });
        self
    }

    /// The file's bytes.
    pub(crate) fn finish(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(self.version.to_le_bytes());
        out.extend(self.tensor_count.unwrap_or(self.tensors.len() as u64).to_le_bytes());
        out.extend(self.key_count.unwrap_or(self.keys.len() as u64).to_le_bytes());
        for (name, value) in &self.keys {
            text(&mut out, name);
            out.extend(value.number().to_le_bytes());
            value.write(&mut out);
        }
        let mut data = Vec::new();
        for tensor in &self.tensors {
            pad(&mut data, self.alignment);
            text(&mut out, &tensor.name);
            out.extend((tensor.dims.len() as u32).to_le_bytes());
            out.extend(tensor.dims.iter().flat_map(|dim| dim.to_le_bytes()));
            out.extend(tensor.number.to_le_bytes());
            out.extend(tensor.offset.unwrap_or(data.len() as u64).to_le_bytes());
            data.extend(&tensor.data);
        }
        pad(&mut out, self.alignment);
        out.extend(data);
        out
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn pad(out: &mut Vec<u8>, alignment: usize) {
    out.resize(out.len().next_multiple_of(alignment), 0);
}
