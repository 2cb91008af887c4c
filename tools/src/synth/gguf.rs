//! A synthetic model as a GGUF file, with the keys that llama.cpp and this engine ask for.

use super::content::Content;
use super::output::{self, Partial};
use super::quantization::Quantization;
use super::shape::{Scaling, Shape};
use super::stream::{Plane, seed_of, stream};
use super::tensors::{Tensor, tensors};
use crate::failure::Failure;
use ffai::text::Vocabulary;
use ffai::weights::gguf::{Array, Layout, NewTensor, TensorType, Value};
use std::path::Path;

/// Version of the quantization formats, the only one there is (`GGML_QNT_VERSION`).
const QUANTIZATION_VERSION: u32 = 2;
/// What Llama 3.1's files store in place of its rule.
const FACTORS: &str = "rope_freqs.weight";

/// How a file is written.
pub(super) struct Options<'a> {
    pub(super) quantization: Quantization,
    pub(super) seed: u64,
    pub(super) overwrite: bool,
    /// Looks at the file before it has its name.
    pub(super) check: &'a dyn Fn(&Path) -> Result<(), Failure>,
}

/// Writes the file: its size in bytes.
pub(super) fn write(
    shape: &Shape,
    vocabulary: &Vocabulary,
    target: &Path,
    options: &Options<'_>,
) -> Result<u64, Failure> {
    let Options { quantization, seed, overwrite, check } = *options;
    // Converters to GGUF add the one that Gemma's gains lack.
    let all = tensors(shape, 1.0);
    let factors = shape.rope.factors(shape.head_dim);
    let table: Vec<NewTensor> = table(shape, &all, factors.as_deref(), quantization);
    let layout = Layout::new(&keys(shape, vocabulary, quantization), &table);
    output::check_room(target, layout.file_bytes())?;
    let mut file = Partial::begin(target, overwrite)?;
    let bar = output::bar(layout.file_bytes());
    file.write(0, layout.header())?;
    let mut places = table.iter().zip(layout.places());
    if let (Some(factors), Some((_, place))) = (&factors, factors.is_some().then(|| places.next()).flatten()) {
        file.write(place.start, &factors.iter().flat_map(|factor| factor.to_le_bytes()).collect::<Vec<u8>>())?;
    }
    for ((stored, place), tensor) in places.zip(&all) {
        let content = Content::of(stored.kind, tensor.mean, tensor.deviation);
        let plane = Plane { content, bytes: place.end - place.start, seed: seed_of(seed, &tensor.name, 0) };
        stream(plane, &mut |at, bytes| {
            bar.set_position(place.start + at);
            file.write(place.start + at, bytes)
        })?;
    }
    file.extend(layout.file_bytes())?;
    bar.finish_and_clear();
    check(file.path())?;
    file.finish()?;
    Ok(layout.file_bytes())
}

/// The file's tensors: the factors of rotary frequencies first, where there are some.
fn table(shape: &Shape, all: &[Tensor], factors: Option<&[f32]>, quantization: Quantization) -> Vec<NewTensor> {
    let factors = factors.map(|factors| NewTensor {
        name: FACTORS.to_owned(),
        dims: vec![factors.len() as u64],
        kind: TensorType::F32,
    });
    let stored = |tensor: &Tensor| NewTensor {
        name: tensor.name.clone(),
        dims: tensor.dims.clone(),
        kind: quantization.of(tensor, shape.layers, shape.tied),
    };
    factors.into_iter().chain(all.iter().map(stored)).collect()
}

fn keys(shape: &Shape, vocabulary: &Vocabulary, quantization: Quantization) -> Vec<(String, Value)> {
    // Files of Mistral go by llama's name.
    let architecture = if shape.family.name == "mistral" { "llama" } else { shape.family.gguf[0] };
    let text = |text: &str| Value::String(text.to_owned());
    let count = |count: u64| Value::U32(u32::try_from(count).unwrap_or(u32::MAX));
    let number = |number: f64| Value::F32(number as f32);
    let mut keys = vec![
        ("general.architecture".to_owned(), text(architecture)),
        ("general.type".to_owned(), text("model")),
        ("general.name".to_owned(), text(&format!("{}, synthetic", shape.name))),
        ("general.file_type".to_owned(), Value::U32(quantization.file_type)),
        ("general.quantization_version".to_owned(), Value::U32(QUANTIZATION_VERSION)),
    ];
    let mut own = |key: &str, value: Value| keys.push((format!("{architecture}.{key}"), value));
    own("block_count", count(shape.layers));
    own("context_length", count(shape.context));
    own("embedding_length", count(shape.hidden));
    own("feed_forward_length", count(shape.ffn));
    own("vocab_size", count(shape.vocab));
    own("attention.head_count", count(shape.heads));
    own("attention.head_count_kv", count(shape.kv_heads));
    own("attention.key_length", count(shape.head_dim));
    own("attention.value_length", count(shape.head_dim));
    own("attention.layer_norm_rms_epsilon", number(shape.eps));
    own("rope.dimension_count", count(shape.head_dim));
    own("rope.freq_base", number(shape.rope.base));
    if let Scaling::Linear { factor } = shape.rope.scaling {
        own("rope.scaling.type", text("linear"));
        own("rope.scaling.factor", number(factor));
    }
    if let Some(window) = shape.window {
        own("attention.sliding_window", count(window));
    }
    for (key, name) in [
        ("attn_logit_softcapping", "attn_logit_softcapping"),
        ("final_logit_softcapping", "final_logit_softcapping"),
        ("sliding_window_pattern", "attention.sliding_window_pattern"),
    ] {
        match shape.config.get(key) {
            Some(value) if key == "sliding_window_pattern" => {
                if let Some(pattern) = value.as_u64() {
                    own(name, count(pattern));
                }
            }
            Some(value) => {
                if let Some(cap) = value.as_f64() {
                    own(name, number(cap));
                }
            }
            None => {}
        }
    }
    keys.extend(tokenizer(vocabulary));
    keys
}

fn tokenizer(vocabulary: &Vocabulary) -> Vec<(String, Value)> {
    let words = |words: &[String]| Value::Array(Array::String(words.to_vec()));
    let mut keys = vec![
        ("model", Value::String(vocabulary.model.clone())),
        ("pre", Value::String(vocabulary.pre.clone().unwrap_or_default())),
        ("tokens", words(&vocabulary.tokens)),
        ("token_type", Value::Array(Array::I32(vocabulary.kinds.clone().unwrap_or_default()))),
        ("merges", words(vocabulary.merges.as_deref().unwrap_or_default())),
    ];
    keys.extend(
        [("bos_token_id", vocabulary.bos), ("eos_token_id", vocabulary.eos)]
            .into_iter()
            .filter_map(|(key, id)| Some((key, Value::U32(id?)))),
    );
    keys.push(("add_bos_token", Value::Bool(vocabulary.add_bos == Some(true))));
    keys.into_iter().map(|(key, value)| (format!("tokenizer.ggml.{key}"), value)).collect()
}
