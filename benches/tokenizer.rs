//! Text to ids and back, by each kind of tokenizer.
//!
//! Without a model the vocabularies are small ones that were trained for the tests; `FFAI_BENCH_MODEL` names a file or a folder with a
//! real one. Bytes per second are those of the text.

#![expect(clippy::unwrap_used, reason = "a bench that fails here says where")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ffai::text::{Bos, Controls, EncodeOptions, Special, Tokenizer};
use ffai::weights::Checkpoint;
use std::hint::black_box;
use std::path::{Path, PathBuf};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
const OPTIONS: EncodeOptions = EncodeOptions { special: Special::Plain, bos: Bos::Never };
/// Bytes that are encoded at once.
const LENGTH: usize = 32 * 1024;

/// Prose, numbers, code and other scripts, repeated: what a page on the web holds.
fn text() -> String {
    let page = "The quick brown fox jumps over the lazy dog, and it doesn't look back. In 2024 there were 1,234,567 of them.\n\n\
                fn main() { println!(\"{}\", 3.14 * x[0]); }\n\tÄpfel, naïve façades; 日本語のテキスト и немного по-русски. 🦀🦀\n";
    page.repeat(LENGTH / page.len() + 1)
}

fn tokenizers() -> Vec<(String, Tokenizer)> {
    if let Some(path) = std::env::var_os("FFAI_BENCH_MODEL").map(PathBuf::from) {
        let tokenizer = ffai::generate::tokenizer(&Checkpoint::open(&path).unwrap()).unwrap();
        return vec![(path.file_name().unwrap().display().to_string(), tokenizer)];
    }
    let gguf = |name: &str| {
        let checkpoint = Checkpoint::open(format!("{GOLDEN}/llama/{name}.gguf").as_ref()).unwrap();
        ffai::generate::tokenizer(&checkpoint).unwrap()
    };
    let folder = |name: &str| Tokenizer::from_folder(&Path::new(GOLDEN).join("hf_tokenizers").join(name)).unwrap();
    vec![
        ("GGUF, SentencePiece".to_owned(), gguf("llama2")),
        ("GGUF, byte-level".to_owned(), gguf("llama3")),
        ("tokenizer.json, SentencePiece".to_owned(), folder("llama2")),
        ("tokenizer.json, byte-level".to_owned(), folder("llama3")),
    ]
}

fn tokenizer(criterion: &mut Criterion) {
    let text = text();
    for (name, tokenizer) in tokenizers() {
        let ids = tokenizer.encode(&text, OPTIONS).unwrap();
        assert_eq!(tokenizer.decode(&ids, Controls::Omit), text.as_bytes(), "{name} loses text");
        let mut group = criterion.benchmark_group(format!("tokenizer/{name}"));
        group.sample_size(20).throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function("encode", |bencher| bencher.iter(|| tokenizer.encode(black_box(&text), OPTIONS).unwrap()));
        group.bench_function("decode", |bencher| bencher.iter(|| tokenizer.decode(black_box(&ids), Controls::Omit)));
        group.finish();
    }
}

criterion_group!(benches, tokenizer);
criterion_main!(benches);
