//! Rows of a stored weight, brought to f32 and quantized by an executor, piece by piece.

use crate::Error;
use crate::graph::{
    BufferId, BufferRole, ExecuteError, Executor, Format, Matrix, MatrixBlock, Operand, PreparedId, Recorder, Slice,
    Ticket,
};
use crate::kernels::embed::embed;
use crate::kernels::quantize::quantize;
use crate::weights::{Stored, device_planes};
use std::sync::Arc;

/// Weights that are brought to f32 at a time: 16 MiB, as large a window as every device binds.
const PIECE: u64 = 4 << 20;

/// What becomes of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// f32.
    Plain,
    /// MLX's affine format.
    Affine {
        /// Of each weight.
        bits: u32,
        /// Weights that share a scale and a bias.
        group: u32,
    },
}

/// What an executor makes of some rows.
#[derive(Debug)]
pub(super) struct Piece {
    /// f32, or packed words.
    pub(super) data: Vec<u8>,
    /// Of the groups; none of plain rows.
    pub(super) scales: Vec<f32>,
    /// Of the groups; none of plain rows.
    pub(super) biases: Vec<f32>,
}

/// A matrix in a file.
pub(super) struct Source<'t> {
    /// Where it is.
    pub(super) stored: &'t Stored<'t>,
    /// How it is read.
    pub(super) format: &'static Format,
    /// Weights per row, a multiple of 32.
    pub(super) cols: u32,
    /// How many.
    pub(super) rows: u32,
    /// Rows that change places among each other stand in stretches of so many; 1 where none do.
    pub(super) stretch: u32,
    /// The row of the file that is row `row` of the result, both counted from the start of their stretch.
    pub(super) order: &'t dyn Fn(u32) -> u32,
}

/// Runs pieces. One is on the device while the next is prepared and the one before is written.
pub(super) struct Rows<'e> {
    executor: &'e mut dyn Executor,
    quants: Option<(BufferId, u64)>,
    scales: Option<(BufferId, u64)>,
    picks: Option<(BufferId, u64)>,
}

struct Flight {
    ticket: Ticket,
    plan: PreparedId,
    /// Bytes of each of its results.
    bytes: Vec<u64>,
}

impl<'e> Rows<'e> {
    pub(super) fn new(executor: &'e mut dyn Executor) -> Self {
        Self { executor, quants: None, scales: None, picks: None }
    }

    /// Brings all rows to `target` and gives them to `sink` in order, some at a time, with how many they are.
    pub(super) fn run(
        &mut self,
        source: &Source<'_>,
        target: Target,
        sink: &mut dyn FnMut(u32, Piece) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let fitting = (PIECE / u64::from(source.cols)).max(1) as u32;
        let most = (fitting / source.stretch).max(1) * source.stretch;
        let mut before: Option<(u32, Flight)> = None;
        let mut first = 0;
        while first < source.rows {
            let rows = most.min(source.rows - first);
            let flight = self.launch(source, target, first, rows)?;
            if let Some((rows, flight)) = before.replace((rows, flight)) {
                sink(rows, self.land(flight)?)?;
            }
            first += rows;
        }
        match before {
            Some((rows, flight)) => sink(rows, self.land(flight)?),
            None => Ok(()),
        }
    }

    fn launch(&mut self, source: &Source<'_>, target: Target, first: u32, rows: u32) -> Result<Flight, ExecuteError> {
        let format = source.format;
        let per_row = source.cols as usize / Format::BLOCK;
        let (quants, scales) = device_planes(format, source.stored, first as usize * per_row, rows as usize * per_row);
        let quants = write(self.executor, &mut self.quants, &quants)?;
        let scales = if scales.is_empty() { quants } else { write(self.executor, &mut self.scales, &scales)? };
        let stretch = source.stretch;
        let picks: Vec<u32> =
            (0..rows).flat_map(|row| [row / stretch * stretch + (source.order)(row % stretch), 0, 0, 0]).collect();
        let picks = write(self.executor, &mut self.picks, bytemuck::cast_slice(&picks))?;
        let matrix = Matrix { blocks: vec![MatrixBlock { format, rows, quants, scales }], cols: source.cols };

        let mut r = Recorder::new(self.executor.target());
        let x = embed(&mut r, &matrix, picks, 1.0);
        let results = match target {
            Target::Plain => vec![x],
            Target::Affine { bits, group } => {
                let quantized = quantize(&mut r, x, bits, group);
                vec![quantized.words, quantized.scales, quantized.biases]
            }
        };
        results.iter().for_each(|&result| r.keep(result));
        let plan = self.executor.prepare(Arc::new(r.finish()))?;
        let reads: Vec<Operand> = results.iter().map(|&result| result.into()).collect();
        let ticket = self.executor.submit(plan, &reads)?;
        Ok(Flight { ticket, plan, bytes: reads.iter().map(Operand::bytes).collect() })
    }

    fn land(&mut self, flight: Flight) -> Result<Piece, ExecuteError> {
        let mut data = self.executor.wait(flight.ticket)?;
        self.executor.discard(flight.plan);
        let first = flight.bytes[0] as usize;
        let rest: Vec<f32> = bytemuck::pod_collect_to_vec(&data[first..]);
        data.truncate(first);
        let half = rest.len() / 2;
        Ok(Piece { data, scales: rest[..half].to_vec(), biases: rest[half..].to_vec() })
    }
}

impl Drop for Rows<'_> {
    fn drop(&mut self) {
        for (buffer, _) in [self.quants, self.scales, self.picks].into_iter().flatten() {
            self.executor.free(buffer);
        }
    }
}

/// Writes `bytes` to a buffer that is kept from piece to piece, and made anew where it is too small.
fn write(executor: &mut dyn Executor, kept: &mut Option<(BufferId, u64)>, bytes: &[u8]) -> Result<Slice, ExecuteError> {
    let needed = bytes.len() as u64;
    let buffer = match *kept {
        Some((buffer, size)) if size >= needed => buffer,
        too_small => {
            if let Some((buffer, _)) = too_small {
                executor.free(buffer);
            }
            *kept = None;
            let buffer = executor.allocate("weights to convert", BufferRole::Weights, needed)?;
            *kept = Some((buffer, needed));
            buffer
        }
    };
    executor.write(buffer, 0, bytes);
    Ok(Slice { buffer, offset: 0, bytes: needed })
}
