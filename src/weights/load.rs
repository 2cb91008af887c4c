//! Brings tensors of a file onto a device: repacked in parallel, written in pieces, so that little stands in memory twice.

use super::format;
use super::gguf::{Gguf, TensorInfo};
use crate::Error;
use crate::graph::{BufferId, BufferRole, Executor, Format, Matrix, MatrixBlock, Slice};
use rayon::prelude::*;
use std::collections::HashSet;

/// Bytes of a file repacked at a time.
const PIECE: usize = 8 << 20;
/// Bytes written before the device is waited for, so that its staging memory can be used again.
const IN_FLIGHT: u64 = 64 << 20;

/// Loads tensors one after the other and tells how far it is.
pub struct Loader<'a> {
    gguf: &'a Gguf,
    executor: &'a mut dyn Executor,
    /// Absent in a rehearsal, which touches neither the device nor the data.
    progress: Option<&'a mut dyn FnMut(u64, u64)>,
    used: HashSet<&'a str>,
    total: u64,
    done: u64,
    in_flight: u64,
    resident: u64,
}

/// Rows of one tensor that go into one block of a matrix.
struct Segment<'t> {
    tensor: &'t TensorInfo,
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
    pub fn new(gguf: &'a Gguf, executor: &'a mut dyn Executor, progress: &'a mut dyn FnMut(u64, u64)) -> Self {
        Self { progress: Some(progress), ..Self::rehearsal(gguf, executor) }
    }

    /// A loader that only checks names, shapes and types and adds up what the device will hold: what is wrong with a file shows
    /// before anything is allocated. What it yields must not be run.
    pub fn rehearsal(gguf: &'a Gguf, executor: &'a mut dyn Executor) -> Self {
        let total = gguf.tensors().map(|tensor| tensor.bytes).sum();
        Self { gguf, executor, progress: None, used: HashSet::new(), total, done: 0, in_flight: 0, resident: 0 }
    }

    fn allocate(&mut self, label: &str, bytes: u64) -> Result<BufferId, Error> {
        self.resident += bytes;
        match self.progress {
            Some(_) => Ok(self.executor.allocate(label, BufferRole::Weights, bytes)?),
            None => Ok(BufferId(u32::MAX)),
        }
    }

    /// Refuses a file with tensors that nobody asked for: a bias that is left out makes a model wrong without a word.
    pub fn expect_all_used(&self, family: &str) -> Result<(), Error> {
        // Old converters stored these frequencies, which follow from the metadata.
        let known = |name: &str| self.used.contains(name) || name.ends_with(".attn_rot_embd");
        let mut unused = self.gguf.tensors().map(|tensor| &tensor.name).filter(|name| !known(name));
        let Some(first) = unused.next().cloned() else { return Ok(()) };
        let (file, family) = (self.gguf.path().to_owned(), family.to_owned());
        Err(super::Error::Unused { file, family, count: 1 + unused.count(), first }.into())
    }

    /// The file.
    pub fn gguf(&self) -> &'a Gguf {
        self.gguf
    }

    /// Bytes of the weights loaded so far, as they stand on the device.
    pub fn resident(&self) -> u64 {
        self.resident
    }

    /// Whether the file has a tensor.
    pub fn has(&self, name: &str) -> bool {
        self.gguf.find(name).is_some()
    }

    fn shaped(&mut self, name: &str, dims: &[u64]) -> Result<&'a TensorInfo, Error> {
        let tensor = self.gguf.tensor(name)?;
        // Trailing dimensions of one say nothing.
        let used = |dims: &[u64]| dims.iter().rposition(|&dim| dim != 1).map_or(1, |last| last + 1);
        if tensor.dims[..used(&tensor.dims)] != dims[..used(dims)] {
            return Err(super::Error::Shape {
                name: name.to_owned(),
                expected: dims.to_vec(),
                found: tensor.dims.clone(),
                file: self.gguf.path().to_owned(),
            }
            .into());
        }
        self.used.insert(&tensor.name);
        Ok(tensor)
    }

    fn unsupported(&self, tensor: &TensorInfo, expected: String) -> Error {
        let (name, kind) = (tensor.name.clone(), tensor.kind.name().to_owned());
        super::Error::UnsupportedType { name, kind, expected, file: self.gguf.path().to_owned() }.into()
    }

    /// Numbers of a tensor that is stored as plain floats.
    fn floats(&self, tensor: &TensorInfo) -> Result<Vec<f32>, Error> {
        let data = self.gguf.data(tensor);
        Ok(match tensor.kind.name() {
            "F32" => data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
            "F16" => data.chunks_exact(2).map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
            "BF16" => data.chunks_exact(2).map(|b| half::bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
            _ => return Err(self.unsupported(tensor, "F32, F16 or BF16, as a vector".to_owned())),
        })
    }

    /// A vector of `len` numbers as f32, whatever the file stores.
    pub fn vector(&mut self, name: &str, len: u32) -> Result<Slice, Error> {
        let tensor = self.shaped(name, &[u64::from(len)])?;
        let values = self.floats(tensor)?;
        self.advance(tensor.bytes);
        self.upload_vector(name, &values)
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
        let tensor = self.shaped(name, &[u64::from(len)])?;
        self.advance(tensor.bytes);
        self.floats(tensor)
    }

    /// Tensors `[rows, cols]` stacked into one matrix: neighbours of one format share a block as far as a binding reaches.
    pub fn matrix(&mut self, parts: &[(&str, u32)], cols: u32) -> Result<Matrix, Error> {
        if !(cols as usize).is_multiple_of(Format::BLOCK) {
            return Err(super::Error::Unsupported {
                what: format!(
                    "weight `{}` of {} with rows of {cols} instead of a multiple of {}",
                    parts[0].0,
                    self.gguf.path().display(),
                    Format::BLOCK
                ),
                hint: None,
            }
            .into());
        }
        let limit = self.executor.target().max_binding_bytes;
        let mut planned: Vec<Planned<'_>> = Vec::new();
        for &(name, rows) in parts {
            let tensor = self.shaped(name, &[u64::from(cols), u64::from(rows)])?;
            let format = format::named(&tensor.kind.name().to_lowercase())
                .ok_or_else(|| self.unsupported(tensor, known_formats()))?;
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
                        last.segments.push(Segment { tensor, first, rows: left });
                        first += left;
                    }
                    _ => {
                        let rows = left.min(most);
                        planned.push(Planned { format, rows, segments: vec![Segment { tensor, first, rows }] });
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
        let scales_at = quants_len.next_multiple_of(256);
        let label = &planned.segments[0].tensor.name;
        let buffer = self.allocate(label, scales_at + scales_len)?;
        let mut at = 0; // blocks written
        let segments: &[Segment<'_>] = if self.progress.is_some() { &planned.segments } else { &[] };
        for segment in segments {
            let data = self.gguf.data(segment.tensor);
            let row_bytes = per_row * format.file_bytes;
            let rows = &data[segment.first as usize * row_bytes..][..segment.rows as usize * row_bytes];
            // Pieces hold an even number of blocks, because two blocks may share a word of scales.
            let piece = (PIECE / format.file_bytes / 2048).max(1) * 2048;
            for file in rows.chunks(piece * format.file_bytes) {
                let blocks = file.len() / format.file_bytes;
                let (quants, scales) = repack(format, file);
                self.executor.write(buffer, format.quants_len(at) as u64, &quants);
                if !scales.is_empty() {
                    self.executor.write(buffer, scales_at + format.scales_len(at) as u64, &scales);
                }
                at += blocks;
                self.in_flight += (quants.len() + scales.len()) as u64;
                if self.in_flight >= IN_FLIGHT {
                    self.executor.flush()?;
                    self.in_flight = 0;
                }
                self.advance(file.len() as u64);
            }
        }
        let quants = Slice { buffer, offset: 0, bytes: quants_len };
        let scales = if scales_len == 0 { quants } else { Slice { buffer, offset: scales_at, bytes: scales_len } };
        Ok(MatrixBlock { format, rows: planned.rows as u32, quants, scales })
    }

    fn advance(&mut self, bytes: u64) {
        self.done += bytes;
        if let Some(progress) = &mut self.progress {
            progress(self.done, self.total);
        }
    }
}

/// Whether another tensor may follow in the same block: two blocks of 32 share a word of scales, so their count must be even.
fn joins(last: &Planned<'_>, format: &'static Format, cols: u32) -> bool {
    let blocks = last.rows * u64::from(cols) / Format::BLOCK as u64;
    last.format.name == format.name && blocks.is_multiple_of(2)
}

/// Splits blocks into their planes, on all cores.
fn repack(format: &'static Format, file: &[u8]) -> (Vec<u8>, Vec<u8>) {
    const BLOCKS: usize = 2048;
    let count = file.len() / format.file_bytes;
    let mut quants = vec![0; format.quants_len(count)];
    let mut scales = vec![0; format.scales_len(count)];
    if format.scale_pair_bytes == 0 {
        quants
            .par_chunks_mut(BLOCKS * format.quant_bytes)
            .zip(file.par_chunks(BLOCKS * format.file_bytes))
            .for_each(|(quants, file)| (format.repack)(file, quants, &mut []));
    } else {
        quants
            .par_chunks_mut(BLOCKS * format.quant_bytes)
            .zip(scales.par_chunks_mut(BLOCKS / 2 * format.scale_pair_bytes))
            .zip(file.par_chunks(BLOCKS * format.file_bytes))
            .for_each(|((quants, scales), file)| (format.repack)(file, quants, scales));
    }
    (quants, scales)
}

fn known_formats() -> String {
    let names: Vec<String> = format::FORMATS.iter().map(|format| format.name.to_uppercase()).collect();
    format!("one of {}", names.join(", "))
}
