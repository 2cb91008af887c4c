//! Brings tensors of a checkpoint onto a device: repacked in parallel, written in pieces, so that little stands in memory twice.

use super::checkpoint::{Checkpoint, Stored};
use super::{TensorNames, format};
use crate::Error;
use crate::graph::{
    BufferId, BufferRole, Executor, Format, MappedPages, Matrix, MatrixBlock, Rehearsal, Slice, allocation,
};
use memmap2::Mmap;
use rayon::prelude::*;
use std::collections::HashSet;
use std::sync::Arc;

/// Bytes of the plane of quants that are made at a time.
const PIECE: usize = 8 << 20;
/// Bytes written before the device is waited for, so that its staging memory can be used again.
const IN_FLIGHT: u64 = 64 << 20;
/// A matrix is read where the file is mapped if whole pages are larger by at most this part of it: 2 %.
const ROUNDING: u64 = 50;
/// Blocks that one core repacks at a time: a multiple of every unit of every format.
const BLOCKS: usize = 2048;

/// Loads tensors one after the other and tells how far it is. Names are those of GGUF, whatever the file calls them.
pub struct Loader<'a> {
    checkpoint: &'a Checkpoint,
    names: TensorNames,
    executor: &'a mut dyn Executor,
    /// Absent in a rehearsal, which does not touch the data.
    progress: Option<&'a mut dyn FnMut(u64, u64)>,
    used: HashSet<&'a str>,
    model_tensors: Vec<ModelTensor>,
    total: u64,
    done: u64,
    in_flight: u64,
    resident: u64,
}

/// A tensor that a family asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelTensor {
    /// Its name in the canon.
    pub name: String,
    /// Its shape, the contiguous dimension first: `[cols, rows]`, or one length.
    pub dims: Vec<u64>,
}

/// Rows of one weight that go into one block of a matrix.
struct Segment<'t> {
    stored: Stored<'t>,
    first: u64,
    rows: u64,
}

struct Planned<'t> {
    format: &'static Format,
    rows: u64,
    segments: Vec<Segment<'t>>,
}

impl<'a> Loader<'a> {
    /// `progress` is told bytes of the file that are done and bytes in all.
    pub fn new(
        checkpoint: &'a Checkpoint,
        names: TensorNames,
        executor: &'a mut dyn Executor,
        progress: &'a mut dyn FnMut(u64, u64),
    ) -> Self {
        Self { progress: Some(progress), ..Self::on(checkpoint, names, executor) }
    }

    /// A loader that only checks names, shapes and types and adds up what the device will hold: what is wrong with a file shows
    /// before anything is allocated. What it yields must not be run.
    pub fn rehearsal(checkpoint: &'a Checkpoint, names: TensorNames, rehearsal: &'a mut Rehearsal) -> Self {
        Self::on(checkpoint, names, rehearsal)
    }

    fn on(checkpoint: &'a Checkpoint, names: TensorNames, executor: &'a mut dyn Executor) -> Self {
        let total = checkpoint.tensors().iter().map(|(_, bytes)| bytes).sum();
        Self {
            checkpoint,
            names,
            executor,
            progress: None,
            used: HashSet::new(),
            model_tensors: Vec::new(),
            total,
            done: 0,
            in_flight: 0,
            resident: 0,
        }
    }

    fn allocate(&mut self, label: &str, bytes: u64) -> Result<BufferId, Error> {
        self.resident += allocation(bytes);
        Ok(self.executor.allocate(label, BufferRole::Weights, bytes)?)
    }

    /// Refuses a file with tensors that nobody asked for: a bias that is left out makes a model wrong without a word. Names that
    /// `ignored` accepts are no part of the language model.
    pub fn expect_all_used(&self, family: &str, ignored: impl Fn(&str) -> bool) -> Result<(), Error> {
        // Old converters stored these frequencies, which follow from the hyperparameters.
        let derived = |name: &str| name.ends_with(".attn_rot_embd") || name.ends_with(".rotary_emb.inv_freq");
        let known = |name: &str| self.used.contains(name) || derived(name) || ignored(name);
        let tensors = self.checkpoint.tensors();
        let mut unused = tensors.iter().map(|(name, _)| *name).filter(|name| !known(name));
        let Some(first) = unused.next().map(str::to_owned) else { return Ok(()) };
        let (file, family) = (self.checkpoint.path().to_owned(), family.to_owned());
        Err(super::Error::Unused { file, family, count: 1 + unused.count(), first }.into())
    }

    /// What is loaded from.
    pub fn checkpoint(&self) -> &'a Checkpoint {
        self.checkpoint
    }

    /// The tensors that were asked for so far, in that order: after a rehearsal, all that the model is made of.
    pub fn model_tensors(&self) -> &[ModelTensor] {
        &self.model_tensors
    }

    /// Bytes of the weights loaded so far, as they stand on the device.
    pub fn resident(&self) -> u64 {
        self.resident
    }

    /// Whether the file has a tensor.
    pub fn has(&self, name: &str) -> bool {
        self.checkpoint.has(&self.names.native(name))
    }

    /// Whether a weight with rows of `cols` holds the same as another, byte for byte; then it is not needed any more.
    ///
    /// # Errors
    /// One of them is missing.
    pub fn repeats(&mut self, name: &str, of: &str, cols: u32) -> Result<bool, Error> {
        let [weight, other] = [name, of].map(|name| self.checkpoint.stored(&self.names.native(name), cols.into()));
        let (weight, other) = (weight?, other?);
        let same = weight.dims == other.dims && weight.kind == other.kind && weight.planes == other.planes;
        if same {
            self.used.extend(weight.names);
        }
        Ok(same)
    }

    fn shaped(&mut self, name: &str, dims: &[u64]) -> Result<Stored<'a>, Error> {
        let stored = self.checkpoint.stored(&self.names.native(name), dims[0])?;
        // Trailing dimensions of one say nothing.
        let used = |dims: &[u64]| dims.iter().rposition(|&dim| dim != 1).map_or(1.min(dims.len()), |last| last + 1);
        if stored.dims[..used(&stored.dims)] != dims[..used(dims)] {
            let mut shapes = [dims.to_vec(), stored.dims];
            if self.checkpoint.gguf().is_none() {
                // As the file has them: the contiguous dimension last.
                shapes.iter_mut().for_each(|shape| shape.reverse());
            }
            let ([expected, found], name) = (shapes, stored.names[0].to_owned());
            return Err(super::Error::Shape { name, expected, found, file: stored.file.to_owned() }.into());
        }
        self.used.extend(&stored.names);
        self.model_tensors.push(ModelTensor { name: name.to_owned(), dims: dims.to_vec() });
        Ok(stored)
    }

    /// Numbers of a tensor that is stored as plain floats.
    fn floats(stored: &Stored<'_>) -> Result<Vec<f32>, Error> {
        let floats = stored.format.and_then(|format| floats(format, stored.planes[0]));
        floats.ok_or_else(|| unsupported(stored, "F32, F16 or BF16, as a vector".to_owned()))
    }

    /// A vector of `len` numbers as f32, whatever the file stores.
    pub fn vector(&mut self, name: &str, len: u32) -> Result<Slice, Error> {
        let values = self.values(name, len)?;
        self.upload_vector(name, &values)
    }

    /// Vectors one after the other, as one.
    pub fn vectors(&mut self, parts: &[(&str, u32)]) -> Result<Slice, Error> {
        let mut values = Vec::new();
        for &(name, len) in parts {
            values.extend(self.values(name, len)?);
        }
        self.upload_vector(parts[0].0, &values)
    }

    /// A vector that was computed instead of read.
    pub fn upload_vector(&mut self, name: &str, values: &[f32]) -> Result<Slice, Error> {
        let bytes = values.len() as u64 * 4;
        let buffer = self.allocate(name, bytes)?;
        if self.progress.is_some() {
            self.executor.write(buffer, 0, bytemuck::cast_slice(values));
        }
        Ok(Slice { buffer, offset: 0, bytes })
    }

    /// The values of a small tensor, for computing with them on the CPU.
    pub fn values(&mut self, name: &str, len: u32) -> Result<Vec<f32>, Error> {
        let stored = self.shaped(name, &[u64::from(len)])?;
        self.advance(stored.bytes());
        Self::floats(&stored)
    }

    /// Tensors `[rows, cols]` stacked into one matrix: neighbours of one format share a block as far as a binding reaches.
    pub fn matrix(&mut self, parts: &[(&str, u32)], cols: u32) -> Result<Matrix, Error> {
        let limit = self.executor.target().max_binding_bytes;
        let mut planned: Vec<Planned<'_>> = Vec::new();
        for &(name, rows) in parts {
            let stored = self.shaped(name, &[u64::from(cols), u64::from(rows)])?;
            let format = stored.format.ok_or_else(|| unsupported(&stored, format::known()))?;
            expect_whole_rows(&stored, format, cols)?;
            let row_bytes = u64::from(cols) / Format::BLOCK as u64 * format.quant_bytes as u64;
            let most = limit / row_bytes / 64 * 64;
            if most == 0 {
                return Err(crate::graph::ExecuteError::TooLarge {
                    what: format!("weight `{name}` with rows of {cols}"),
                    needed: 64 * row_bytes,
                    limit,
                    device: self.executor.device().name,
                }
                .into());
            }
            let mut first = 0;
            while first < u64::from(rows) {
                let left = u64::from(rows) - first;
                match planned.last_mut() {
                    // A whole part joins or none of it: a gate and its up must not be torn apart by a border.
                    Some(last) if joins(last, format, cols) && first == 0 && last.rows + left <= most => {
                        last.rows += left;
                        last.segments.push(Segment { stored: stored.clone(), first, rows: left });
                        first += left;
                    }
                    _ => {
                        let rows = left.min(most);
                        let segments = vec![Segment { stored: stored.clone(), first, rows }];
                        planned.push(Planned { format, rows, segments });
                        first += rows;
                    }
                }
            }
        }
        let blocks = planned.iter().map(|block| self.block(block, cols)).collect::<Result<_, _>>()?;
        Ok(Matrix { blocks, cols })
    }

    fn block(&mut self, planned: &Planned<'_>, cols: u32) -> Result<MatrixBlock, Error> {
        let format = planned.format;
        let per_row = cols as usize / Format::BLOCK;
        let count = planned.rows as usize * per_row;
        let quants_len = format.quants_len(count) as u64;
        let scales_len = format.scales_len(count) as u64;
        let label = planned.segments[0].stored.names[0];
        let adopted = self.adopt(label, planned, per_row)?;
        let scales_at = if adopted.is_some() { 0 } else { quants_len.next_multiple_of(256) };
        let (buffer, quants) = match adopted {
            // Nothing is left to be written.
            Some(quants) if scales_len == 0 => {
                self.advance(quants_len);
                return Ok(MatrixBlock { format, rows: planned.rows as u32, quants, scales: quants });
            }
            Some(quants) => (self.allocate(label, scales_len)?, quants),
            None => {
                let buffer = self.allocate(label, scales_at + scales_len)?;
                (buffer, Slice { buffer, offset: 0, bytes: quants_len })
            }
        };
        let mut at = 0; // blocks written
        let segments: &[Segment<'_>] = if self.progress.is_some() { &planned.segments } else { &[] };
        for segment in segments {
            let (mut from, end) = (segment.first as usize * per_row, (segment.first + segment.rows) as usize * per_row);
            while from < end {
                let blocks = (end - from).min((PIECE / format.quant_bytes / BLOCKS).max(1) * BLOCKS);
                let file = planes(format, &segment.stored, from, blocks);
                let (quants, scales) = repack(format, file, blocks);
                if adopted.is_none() {
                    self.executor.write(buffer, format.quants_len(at) as u64, &quants);
                }
                if !scales.is_empty() {
                    self.executor.write(buffer, scales_at + format.scales_len(at) as u64, &scales);
                }
                (at, from) = (at + blocks, from + blocks);
                self.in_flight += (quants.len() + scales.len()) as u64;
                if self.in_flight >= IN_FLIGHT {
                    self.executor.flush()?;
                    self.in_flight = 0;
                }
                self.advance(file.iter().map(|plane| plane.len() as u64).sum());
            }
        }
        let scales = if scales_len == 0 { quants } else { Slice { buffer, offset: scales_at, bytes: scales_len } };
        Ok(MatrixBlock { format, rows: planned.rows as u32, quants, scales })
    }

    /// The plane of quants where it lies in the file, if its format leaves it as it is and the device can use it there.
    fn adopt(&mut self, label: &str, planned: &Planned<'_>, per_row: usize) -> Result<Option<Slice>, Error> {
        let Some(page) = self.executor.map_page() else { return Ok(None) };
        let Some(pages) = pages(self.checkpoint, planned, per_row, page) else { return Ok(None) };
        let Some(buffer) = self.executor.adopt(label, &pages)? else { return Ok(None) };
        self.resident += pages.bytes();
        Ok(Some(Slice { buffer, offset: pages.offset(), bytes: pages.weight_bytes() }))
    }

    fn advance(&mut self, bytes: u64) {
        self.done += bytes;
        if let Some(progress) = &mut self.progress {
            progress(self.done, self.total);
        }
    }
}

/// The pages that hold the plane of quants of all segments; `None` where the format changes it, where it does not lie in one
/// piece in one file, or where whole pages are much larger.
fn pages(checkpoint: &Checkpoint, planned: &Planned<'_>, per_row: usize, page: u64) -> Option<MappedPages> {
    let format = planned.format;
    if !format.keeps_quants() {
        return None;
    }
    let mut whole: Option<(&Arc<Mmap>, u64, u64)> = None;
    for segment in &planned.segments {
        let (first, blocks) = (segment.first as usize * per_row, segment.rows as usize * per_row);
        let [quants, ..] = planes(format, &segment.stored, first, blocks);
        let (map, at) = checkpoint.map_of(quants)?;
        let len = quants.len() as u64;
        whole = Some(match whole {
            None => (map, at, len),
            Some((before, start, sum)) if Arc::ptr_eq(before, map) && start + sum == at => (map, start, sum + len),
            Some(_) => return None,
        });
    }
    let (map, at, len) = whole?;
    // Whole pages around a small matrix would take more than a copy of it.
    MappedPages::new(map, at, len, page).filter(|pages| pages.bytes() - len <= len / ROUNDING)
}

fn unsupported(stored: &Stored<'_>, expected: String) -> Error {
    let (name, kind) = (stored.names[0].to_owned(), stored.kind.clone());
    super::Error::UnsupportedType { name, kind, expected, file: stored.file.to_owned() }.into()
}

fn expect_whole_rows(stored: &Stored<'_>, format: &Format, cols: u32) -> Result<(), Error> {
    if (cols as usize).is_multiple_of(format.granule()) {
        return Ok(());
    }
    let (name, file, granule) = (stored.names[0], stored.file.display(), format.granule());
    let what = format!("weight `{name}` in {file} with rows of {cols} instead of a multiple of {granule}");
    let hint = "kernels read weights by blocks: fetch a model whose widths are multiples of that".to_owned();
    Err(super::Error::Unsupported { what, hint: Some(hint) }.into())
}

/// Whether another tensor may follow in the same block: what came before must be whole units of the plane of scales.
fn joins(last: &Planned<'_>, format: &'static Format, cols: u32) -> bool {
    let blocks = last.rows * u64::from(cols) / Format::BLOCK as u64;
    last.format.name == format.name && blocks.is_multiple_of(format.scales.blocks as u64)
}

/// The numbers of a plain format.
pub(crate) fn floats(format: &Format, data: &[u8]) -> Option<Vec<f32>> {
    Some(match format.name {
        "f32" => data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        "f16" => data.chunks_exact(2).map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
        "bf16" => data.chunks_exact(2).map(|b| half::bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
        _ => return None,
    })
}

/// `blocks` blocks of a weight from block `first` on, whole units of its format, as the device holds them: the planes of quants
/// and of scales.
pub(crate) fn device_planes(
    format: &'static Format,
    stored: &Stored<'_>,
    first: usize,
    blocks: usize,
) -> (Vec<u8>, Vec<u8>) {
    repack(format, planes(format, stored, first, blocks), blocks)
}

/// `blocks` blocks of a weight from block `first` on, as the file has them.
fn planes<'t>(format: &Format, stored: &Stored<'t>, first: usize, blocks: usize) -> [&'t [u8]; 3] {
    let (start, len) = (format.file_len(first), format.file_len(blocks));
    std::array::from_fn(|plane| &stored.planes[plane][start[plane]..][..len[plane]])
}

/// Splits blocks into their planes, on all cores.
fn repack(format: &'static Format, file: [&[u8]; 3], count: usize) -> (Vec<u8>, Vec<u8>) {
    let mut quants = vec![0; format.quants_len(count)];
    let mut scales = vec![0; format.scales_len(count)];
    let part = |index: usize| {
        let (start, end) = (index * BLOCKS, count.min((index + 1) * BLOCKS));
        let (start, end) = (format.file_len(start), format.file_len(end));
        std::array::from_fn(|plane| &file[plane][start[plane]..end[plane]])
    };
    let quant_parts = quants.par_chunks_mut(format.quants_len(BLOCKS)).enumerate();
    if scales.is_empty() {
        quant_parts.for_each(|(index, quants)| (format.repack)(part(index), quants, &mut []));
    } else {
        let scale_parts = scales.par_chunks_mut(format.scales_len(BLOCKS));
        quant_parts.zip(scale_parts).for_each(|((index, quants), scales)| (format.repack)(part(index), quants, scales));
    }
    (quants, scales)
}
