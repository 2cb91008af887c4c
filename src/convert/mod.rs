//! Converts checkpoints: any that this engine reads, to safetensors as MLX writes them, quantized or not.
//!
//! [`convert`] rehearses loading the model, which tells all tensors it is made of; decides what becomes of each (`entry`);
//! writes configuration and tokenizer (`files`, `config`, `from_gguf`); and brings tensor after tensor through the executor
//! (`rows`) into files whose layout was known before (`shards`). Whatever the size of the model, a few pieces of 16 MiB are in
//! memory at a time. The folder has another name until it is whole (`folder`).

mod config;
mod entry;
mod error;
mod files;
mod float;
mod folder;
mod from_gguf;
mod recipe;
mod report;
mod rows;
mod shards;
mod tensors;

pub use error::Error;
pub use float::Float;
pub use folder::Folder;
pub use recipe::{ConvertOptions, ROLES};
pub use report::{Conversion, FileReport, FormatReport, RoleReport, Unquantized};
pub use shards::{Place, Shards, Tensor as NewTensor};

use crate::graph::{Executor, Rehearsal};
use crate::model;
use crate::weights::{Checkpoint, Loader};
use entry::{Changes, Entry, Naming, entries};
use shards::Tensor;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

/// What is told bytes of the source that are done and bytes in all, and may stop the conversion.
pub type Progress<'a> = dyn FnMut(u64, u64) -> ControlFlow<()> + 'a;

/// Converts `checkpoint` to a folder `out` that MLX and this engine read. `executor` unpacks and quantizes.
///
/// # Errors
/// What loading the model would find wrong with it, options that do not fit it, and [`Error`].
pub fn convert(
    checkpoint: &Checkpoint,
    out: &Path,
    options: &ConvertOptions,
    executor: &mut dyn Executor,
    progress: &mut Progress<'_>,
) -> Result<Conversion, crate::Error> {
    let started = Instant::now();
    let family = model::family(checkpoint)?;
    let config = family.config(checkpoint)?;
    let names = family.names(checkpoint);
    let mut device = Rehearsal::of(executor);
    let mut rehearsal = Loader::rehearsal(checkpoint, names.clone(), &mut device);
    family.rehearse(&mut rehearsal)?;
    let tensors = rehearsal.model_tensors().to_vec();
    options.check(!tensors.iter().any(|tensor| tensor.name == "output.weight"))?;

    let changes = match checkpoint.gguf() {
        Some(_) => from_gguf::changes(checkpoint, &config)?,
        None => Changes::default(),
    };
    let dtype = options.dtype.unwrap_or_else(|| source_dtype(checkpoint, &names.native("token_embd.weight")));
    let naming = Naming { result: names.hugging_face(), source: names };
    let entries = entries(checkpoint, &tensors, &naming, changes, options, dtype)?;
    let folder = Folder::beside(out, checkpoint.path(), options.overwrite)?;
    files::describe(checkpoint, &config, &entries, options, dtype, folder.path())?;

    let groups: Vec<Vec<Tensor>> = entries.iter().map(|entry| entry.tensors.clone()).collect();
    let (mut shards, places) = Shards::lay_out(folder.path(), &groups, options.shard_bytes);
    let device = executor.device();
    let mut report = Conversion {
        source: checkpoint.path().to_owned(),
        out: folder.target().to_owned(),
        family: family.name,
        weights: 0,
        bytes_before: 0,
        bytes_after: 0,
        bits_per_weight: 0.0,
        group_size: options.bits.map(|_| options.group),
        dtype: dtype.name(),
        roles: Vec::new(),
        unquantized: Vec::new(),
        left_out: left_out(checkpoint, &entries),
        files: shards.files().into_iter().map(|(name, bytes)| FileReport { name, bytes }).collect(),
        backend: device.backend,
        device: device.name,
        seconds: 0.0,
    };
    for entry in &entries {
        let (before, after) = ((entry.stored.kind.as_str(), entry.stored.bytes()), entry.format(dtype));
        report.count(entry.role, entry.weights(), before, (&after, entry.bytes()));
        if entry.indivisible {
            report.unquantized.push(Unquantized { name: entry.name.clone(), cols: entry.cols });
        }
    }
    tensors::write(checkpoint, &entries, &places, dtype, executor, &mut shards, progress)?;
    shards.finish(report.weights)?;
    folder.finish()?;
    report.bits_per_weight = report.bytes_after as f64 * 8.0 / report.weights.max(1) as f64;
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// The type of a checkpoint's plain numbers: that of its embedding, of its scales where it is packed; bf16 for GGUF files, which
/// mix types.
fn source_dtype(checkpoint: &Checkpoint, embedding: &str) -> Float {
    if checkpoint.gguf().is_some() {
        return Float::Bf16;
    }
    let scales = embedding.replace(".weight", ".scales");
    let name = if checkpoint.has(&scales) { scales.as_str() } else { embedding };
    let stored = checkpoint.stored(name, 1).ok();
    let format = stored.and_then(|stored| stored.format);
    format.and_then(|format| Float::named(format.name)).unwrap_or(Float::Bf16)
}

/// Tensors that no entry is made of.
fn left_out(checkpoint: &Checkpoint, entries: &[Entry<'_>]) -> Vec<String> {
    let used: std::collections::HashSet<&str> =
        entries.iter().flat_map(|entry| entry.stored.names.iter().copied()).collect();
    let left = |name: &&str| !used.contains(name) && *name != entry::DERIVED;
    checkpoint.tensors().into_iter().map(|(name, _)| name).filter(left).map(str::to_owned).collect()
}
