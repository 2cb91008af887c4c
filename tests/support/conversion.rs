//! Converts golden models and computes with what comes out.

use ffai::convert::{Conversion, ConvertOptions, convert};
use ffai::generate::{Backend, OpenOptions, executor, load};
use ffai::graph::Element;
use ffai::text::{Bos, EncodeOptions, Special, Tokenizer};
use ffai::weights::Checkpoint;
use serde_json::Value;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// A name of this test program's own for a folder; what was there is gone.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(concat!("ffai-", env!("CARGO_CRATE_NAME"))).join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
    folder
}

/// Converts on the GPU, a software driver included.
pub(crate) fn converted(name: &str, source: &Path, options: &ConvertOptions) -> (PathBuf, Conversion) {
    converted_on(Backend::Gpu, name, source, options)
}

pub(crate) fn converted_on(
    backend: Backend,
    name: &str,
    source: &Path,
    options: &ConvertOptions,
) -> (PathBuf, Conversion) {
    let out = scratch(name);
    let checkpoint = Checkpoint::open(source).unwrap();
    let mut executor = executor(&OpenOptions { backend, ..OpenOptions::default() }).unwrap();
    let report = convert(&checkpoint, &out, options, &mut *executor, &mut |done, total| {
        assert!(done <= total);
        ControlFlow::Continue(())
    });
    (out, report.unwrap_or_else(|error| panic!("{}: {error}", source.display())))
}

/// Logits at every position of every prompt.
pub(crate) fn logits(backend: Backend, folder: &Path, prompts: &[Vec<u32>]) -> Vec<Vec<Vec<f32>>> {
    let checkpoint = Checkpoint::open(folder).unwrap();
    let options = OpenOptions { backend, kv: Element::F32, ..OpenOptions::default() };
    let mut engine = load(&checkpoint, &options, &mut |_, _| {}).unwrap();
    let mut all = Vec::new();
    for ids in prompts {
        let sequence = engine.open().unwrap();
        let positions: Vec<usize> = (0..ids.len()).collect();
        all.push(engine.logits(sequence, ids, &positions).unwrap());
        engine.close(sequence);
    }
    all
}

pub(crate) fn encode(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    tokenizer.encode(text, EncodeOptions { special: Special::Parse, bos: Bos::AsModel }).unwrap()
}

/// The golden texts of a family and their ids. `gguf` is for a tokenizer that does not normalise, as GGUF's do not.
pub(crate) fn texts(family: &str, gguf: bool) -> Vec<(String, Vec<u32>)> {
    let rows: Vec<Value> =
        serde_json::from_slice(&std::fs::read(golden(family).join("tokenization.json")).unwrap()).unwrap();
    let texts = rows.iter().map(|row| {
        let ids: Vec<u32> = serde_json::from_value(row["ids"].clone()).unwrap();
        (row["text"].as_str().unwrap().to_owned(), ids)
    });
    texts.filter(|(text, _)| !gguf || !text.contains('\u{301}')).collect()
}
