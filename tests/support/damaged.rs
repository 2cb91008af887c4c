//! The tiny golden model, taken apart so that it can be put together wrongly.

use crate::gguf_writer::{GgufWriter, Item};
use ffai::weights::gguf::{Array, Gguf, Value};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The file that everything here starts from.
pub(crate) fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/llama/llama2.gguf")
}

/// The golden model as a file to be.
pub(crate) fn model() -> GgufWriter {
    file(&golden())
}

/// A GGUF file as one to be.
pub(crate) fn file(path: &Path) -> GgufWriter {
    let gguf = Gguf::open(path).unwrap();
    let mut writer = GgufWriter::new();
    for (key, value) in gguf.metadata().iter() {
        writer = writer.key(key, item(value));
    }
    for tensor in gguf.tensors() {
        writer = writer.tensor(&tensor.name, &tensor.dims, tensor.kind.number(), gguf.data(tensor).to_vec());
    }
    writer
}

fn item(value: &Value) -> Item {
    match value {
        Value::U8(value) => Item::U8(*value),
        Value::I8(value) => Item::I8(*value),
        Value::U16(value) => Item::U16(*value),
        Value::I16(value) => Item::I16(*value),
        Value::U32(value) => Item::U32(*value),
        Value::I32(value) => Item::I32(*value),
        Value::F32(value) => Item::F32(*value),
        Value::U64(value) => Item::U64(*value),
        Value::I64(value) => Item::I64(*value),
        Value::F64(value) => Item::F64(*value),
        Value::Bool(value) => Item::Bool(*value),
        Value::String(value) => text(value),
        Value::Array(Array::String(values)) => Item::List(8, values.iter().map(|value| text(value)).collect()),
        Value::Array(Array::F32(values)) => Item::List(6, values.iter().copied().map(Item::F32).collect()),
        Value::Array(Array::I32(values)) => Item::List(5, values.iter().copied().map(Item::I32).collect()),
        other => panic!("the golden file has no {other:?}"),
    }
}

/// A test program ends before its strings matter.
fn text(text: &str) -> Item {
    Item::Text(Box::leak(text.to_owned().into_boxed_str()))
}

/// A file that goes away with its owner.
pub(crate) struct Temporary(pub(crate) PathBuf);

impl Temporary {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("ffai-{}-{}.gguf", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
