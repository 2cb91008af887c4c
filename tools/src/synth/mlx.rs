//! A synthetic model as a folder of safetensors, as MLX and this engine read it.

use super::content::Content;
use super::output;
use super::shape::Shape;
use super::stream::{Plane, seed_of, stream};
use super::tensors::{Tensor, parameters, tensors};
use crate::failure::Failure;
use ffai::convert::{Float, Folder, NewTensor, Shards};
use ffai::text::Vocabulary;
use serde_json::{Map, Value, json};
use std::path::Path;

/// A file of weights is closed before it grows beyond this.
const SHARD_BYTES: u64 = 5_000_000_000;

/// How a folder is written.
pub(super) struct Options<'a> {
    /// Bits and group of MLX's affine format; without them matrices are plain numbers.
    pub(super) affine: Option<(u32, u64)>,
    pub(super) float: Float,
    pub(super) seed: u64,
    pub(super) overwrite: bool,
    /// Looks at the folder before it has its name.
    pub(super) check: &'a dyn Fn(&Path) -> Result<(), Failure>,
}

/// A tensor of the model as files hold it: itself, or words, scales and biases.
struct Stored {
    tensors: Vec<NewTensor>,
    contents: Vec<Content>,
}

/// Writes the folder: the bytes of its weights.
pub(super) fn write(
    shape: &Shape,
    vocabulary: Vocabulary,
    target: &Path,
    options: &Options<'_>,
) -> Result<u64, Failure> {
    let gains = if shape.family.name.starts_with("gemma") { 0.0 } else { 1.0 };
    let all = tensors(shape, gains);
    let names = shape.family.new_names();
    let stored: Vec<Stored> = all.iter().map(|tensor| stored(tensor, &names.native(&tensor.name), options)).collect();
    let groups: Vec<Vec<NewTensor>> = stored.iter().map(|stored| stored.tensors.clone()).collect();
    let bytes = groups.iter().flatten().map(|tensor| tensor.bytes).sum();
    output::check_room(target, bytes)?;
    let failed = |error: ffai::convert::Error| Failure::from(ffai::Error::from(error));
    let folder = Folder::beside(target, Path::new(""), options.overwrite).map_err(failed)?;
    describe(shape, vocabulary, &stored, options, folder.path())?;
    let (mut shards, places) = Shards::lay_out(folder.path(), &groups, SHARD_BYTES);
    let bar = output::bar(bytes);
    for ((tensor, stored), places) in all.iter().zip(&stored).zip(&places) {
        for (plane, (content, place)) in stored.contents.iter().zip(places).enumerate() {
            // Biases follow from scales, so they take the same draws.
            let seed = seed_of(options.seed, &tensor.name, plane.min(1) as u64);
            let plane = Plane { content: *content, bytes: stored.tensors[plane].bytes, seed };
            stream(plane, &mut |at, bytes| {
                bar.inc(bytes.len() as u64);
                shards.write(*place, at, bytes).map_err(failed)
            })?;
        }
    }
    shards.finish(parameters(&all)).map_err(failed)?;
    bar.finish_and_clear();
    (options.check)(folder.path())?;
    folder.finish().map_err(failed)?;
    Ok(bytes)
}

fn stored(tensor: &Tensor, name: &str, options: &Options<'_>) -> Stored {
    let elements: u64 = tensor.dims.iter().product();
    let rows: Vec<u64> = tensor.dims.iter().rev().copied().collect();
    let dtype = if options.float == Float::F32 {
        "F32"
    } else if options.float == Float::F16 {
        "F16"
    } else {
        "BF16"
    };
    let size = if options.float == Float::F32 { 4 } else { 2 };
    let (deviation, float) = (tensor.deviation, options.float);
    let affine = options.affine.filter(|(_, group)| tensor.is_matrix() && tensor.dims[0].is_multiple_of(*group));
    let Some((bits, group)) = affine else {
        return Stored {
            tensors: vec![NewTensor { name: name.to_owned(), dtype, shape: rows, bytes: elements * size }],
            contents: vec![Content::Plain { float, mean: tensor.mean, deviation }],
        };
    };
    let (cols, rows) = (tensor.dims[0], tensor.dims[1]);
    let layer = name.strip_suffix(".weight").unwrap_or(name);
    let bits_long = u64::from(bits);
    let part = |part: &str, dtype, cols: u64, size: u64| NewTensor {
        name: format!("{layer}.{part}"),
        dtype,
        shape: vec![rows, cols],
        bytes: rows * cols * size,
    };
    let scales = |biased| Content::Scales { float, bits, deviation, biased };
    Stored {
        tensors: vec![
            part("weight", "U32", cols * bits_long / 32, 4),
            part("scales", dtype, cols / group, size),
            part("biases", dtype, cols / group, size),
        ],
        contents: vec![Content::Words, scales(false), scales(true)],
    }
}

/// Writes configuration and tokenizer.
fn describe(
    shape: &Shape,
    vocabulary: Vocabulary,
    stored: &[Stored],
    options: &Options<'_>,
    folder: &Path,
) -> Result<(), Failure> {
    let end = vocabulary.eos;
    let files = vocabulary.tokenizer_files()?;
    let mut config = shape.config.clone();
    let dtype = if options.float == Float::F32 {
        "float32"
    } else if options.float == Float::F16 {
        "float16"
    } else {
        "bfloat16"
    };
    config.extend(
        [("torch_dtype", json!(dtype)), ("bos_token_id", json!(end)), ("eos_token_id", json!(end))]
            .map(|(key, value)| (key.to_owned(), value)),
    );
    if let Some(quantization) = quantization(stored, options) {
        config.insert("quantization".to_owned(), quantization.clone());
        config.insert("quantization_config".to_owned(), quantization);
    }
    let save = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes)
            .map_err(|error| Failure::failed(format!("cannot write {}: {error}", path.display())))
    };
    save("config.json", format!("{:#}\n", Value::Object(config)).as_bytes())?;
    save("tokenizer.json", &files.tokenizer)?;
    save("tokenizer_config.json", format!("{:#}\n", files.config).as_bytes())
}

/// What MLX reads of packed matrices: bits and group of all, and `false` for a matrix whose rows groups do not divide.
fn quantization(stored: &[Stored], options: &Options<'_>) -> Option<Value> {
    let (bits, group) = options.affine?;
    let mut table = Map::new();
    table.extend(
        [("group_size", json!(group)), ("bits", json!(bits)), ("mode", json!("affine"))]
            .map(|(key, value)| (key.to_owned(), value)),
    );
    for tensor in stored.iter().filter(|stored| stored.tensors.len() == 1).flat_map(|stored| &stored.tensors) {
        if tensor.shape.len() > 1 {
            table.insert(tensor.name.trim_end_matches(".weight").to_owned(), Value::Bool(false));
        }
    }
    Some(Value::Object(table))
}
