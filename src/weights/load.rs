//! Brings tensors of a file onto a device: repacked in parallel, written in pieces, so that little stands in memory twice.

use super::format;
use super::gguf::{Gguf, TensorInfo};
use crate::Error;
use crate::graph::{BufferRole, Executor, Format, Matrix, MatrixBlock, Slice};
use rayon::prelude::*;

/// Bytes of a file repacked at a time.
const PIECE: usize = 8 << 20;
/// Bytes written before the device is waited for, so that its staging memory can be used again.
const IN_FLIGHT: u64 = 64 << 20;

/// Loads tensors one after the other and tells how far it is.
pub struct Loader<'a> {
    gguf: &'a Gguf,
    executor: &'a mut dyn Executor,
    progress: &'a mut dyn FnMut(u64, u64),
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
        let total = gguf.tensors().map(|tensor| tensor.bytes).sum();
        Self { gguf, executor, progress, total, done: 0, in_flight: 0, resident: 0 }
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

    fn shaped(&self, name: &str, dims: &[u64]) -> Result<&'a TensorInfo, Error> {
        let tensor = self.gguf.tensor(name)?;
        // Trailing dimensions of one say nothing.
        let found: Vec<u64> = tensor.dims.iter().copied().collect();
        let used = found.iter().rposition(|&dim| dim != 1).map_or(1, |last| last + 1);
        if found[..used] != *dims && found != dims {
            return Err(super::Error::Shape {
                name: name.to_owned(),
                expected: dims.to_vec(),
                found,
                file: self.gguf.path().to_owned(),
            }
            .into());
        }
        Ok(tensor)
    }

    /// A vector of `len` numbers as f32, whatever the file stores.
    pub fn vector(&mut self, name: &str, len: u32) -> Result<Slice, Error> {
        let tensor = self.shaped(name, &[u64::from(len)])?;
        let data = self.gguf.data(tensor);
        let values: Vec<f32> = match tensor.kind.name() {
            "F32" => data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
            "F16" => data.chunks_exact(2).map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
            "BF16" => data.chunks_exact(2).map(|b| half::bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
            kind => return Err(unsupported(name, kind)),
        };
        self.advance(tensor.bytes);
        self.upload_vector(name, &values)
    }

    /// A vector that was computed instead of read.
    pub fn upload_vector(&mut self, name: &str, values: &[f32]) -> Result<Slice, Error> {
        let bytes = values.len() as u64 * 4;
        let buffer = self.executor.allocate(name, BufferRole::Weights, bytes)?;
        self.executor.write(buffer, 0, bytemuck::cast_slice(values));
        self.resident += bytes;
        Ok(Slice { buffer, offset: 0, bytes })
    }

    /// The values of a small tensor, for computing with them on the CPU.
    pub fn values(&mut self, name: &str, len: u32) -> Result<Vec<f32>, Error> {
        let tensor = self.shaped(name, &[u64::from(len)])?;
        if tensor.kind.name() != "F32" {
            return Err(unsupported(name, tensor.kind.name()));
        }
        self.advance(tensor.bytes);
        let data = self.gguf.data(tensor);
        Ok(data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    }

    /// Tensors `[rows, cols]` stacked into one matrix: neighbours of one format share a block as far as a binding reaches.
    pub fn matrix(&mut self, parts: &[(&str, u32)], cols: u32) -> Result<Matrix, Error> {
        if !(cols as usize).is_multiple_of(Format::BLOCK) {
            return Err(super::Error::Unsupported {
                what: format!("weight `{}` with rows of {cols}: kernels work on blocks of {}", parts[0].0, Format::BLOCK),
                hint: None,
            }
            .into());
        }
        let limit = self.executor.target().max_binding_bytes;
        let mut planned: Vec<Planned<'_>> = Vec::new();
        for &(name, rows) in parts {
            let tensor = self.shaped(name, &[u64::from(cols), u64::from(rows)])?;
            let format = format::named(&tensor.kind.name().to_lowercase())
                .ok_or_else(|| unsupported(name, tensor.kind.name()))?;
            let row_bytes = u64::from(cols) / Format::BLOCK as u64 * format.quant_bytes as u64;
            let most = limit / row_bytes / 64 * 64;
            if most == 0 {
                return Err(unsupported(name, &format!("{} with rows of {cols}", tensor.kind.name())));
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
        let buffer = self.executor.allocate(label, BufferRole::Weights, scales_at + scales_len)?;
        let mut at = 0; // blocks written
        for segment in &planned.segments {
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
        self.resident += quants_len + scales_len;
        Ok(MatrixBlock { format, rows: planned.rows as u32, quants, scales })
    }

    fn advance(&mut self, bytes: u64) {
        self.done += bytes;
        (self.progress)(self.done, self.total);
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

fn unsupported(name: &str, kind: &str) -> Error {
    super::Error::UnsupportedType { name: name.to_owned(), kind: kind.to_owned() }.into()
}
