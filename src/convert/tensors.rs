//! Brings every tensor from the source into the files of the result.

use super::entry::{Change, Entry};
use super::float::Unstorable;
use super::rows::{Piece, Rows, Source, Target};
use super::shards::{Place, Shards};
use super::{Error, Float, Progress};
use crate::graph::Executor;
use crate::weights::{Checkpoint, floats};

/// Bytes that are copied, or numbers that are brought from one type to another, at a time.
const PIECE: usize = 4 << 20;

/// Where one tensor goes.
struct Writing<'a, 't> {
    checkpoint: &'a Checkpoint,
    entry: &'a Entry<'t>,
    places: &'a [Place],
    dtype: Float,
    shards: &'a mut Shards,
    /// Bytes of each of the result's tensors that are written.
    written: [u64; 3],
}

/// Writes all of `entries`, each to its `places`.
pub(super) fn write(
    checkpoint: &Checkpoint,
    entries: &[Entry<'_>],
    places: &[Vec<Place>],
    dtype: Float,
    executor: &mut dyn Executor,
    shards: &mut Shards,
    progress: &mut Progress<'_>,
) -> Result<(), crate::Error> {
    let total: u64 = entries.iter().map(|entry| entry.stored.bytes()).sum();
    let mut rows = Rows::new(executor);
    let mut done = 0;
    for (entry, places) in entries.iter().zip(places) {
        let mut writing = Writing { checkpoint, entry, places, dtype, shards: &mut *shards, written: [0; 3] };
        let bytes = entry.stored.bytes();
        // The source is read as the result grows.
        let mut tell = |writing: &Writing<'_, '_>| {
            // Each piece anew, so that of a large tensor little more than a piece is resident.
            checkpoint.release(&entry.stored);
            let share = writing.written.iter().sum::<u64>() as f64 / entry.bytes().max(1) as f64;
            match progress(done + (bytes as f64 * share) as u64, total).is_break() {
                true => Err(Error::Stopped.into()),
                false => Ok(()),
            }
        };
        if entry.is_copied(dtype) {
            writing.copy(&mut tell)?;
        } else if entry.is_computed(dtype) {
            writing.compute(&mut rows, &mut tell)?;
        } else {
            writing.round(&mut tell)?;
        }
        done += bytes;
    }
    Ok(())
}

/// Tells how far a tensor is; may stop.
type Tell<'a> = dyn FnMut(&Writing<'_, '_>) -> Result<(), crate::Error> + 'a;

impl Writing<'_, '_> {
    fn put(&mut self, tensor: usize, bytes: &[u8]) -> Result<(), Error> {
        self.shards.write(self.places[tensor], self.written[tensor], bytes)?;
        self.written[tensor] += bytes.len() as u64;
        Ok(())
    }

    /// Numbers as they are stored.
    fn stored(&self, values: &[f32]) -> Result<Vec<u8>, Error> {
        self.dtype.store(values).map_err(|unstorable| self.unstorable(unstorable))
    }

    /// The error that names the tensor.
    fn unstorable(&self, why: Unstorable) -> Error {
        let (tensor, file) = (self.entry.stored.names[0].to_owned(), self.checkpoint.path().to_owned());
        match why {
            Unstorable::NotFinite => Error::NotFinite { tensor, file },
            Unstorable::Overflow => Error::Overflow { tensor, dtype: self.dtype.name(), file },
        }
    }

    /// What is stored as wanted already.
    fn copy(&mut self, tell: &mut Tell<'_>) -> Result<(), crate::Error> {
        for (tensor, plane) in self.entry.stored.planes.into_iter().enumerate() {
            let packed = tensor == 0 && self.entry.target != Target::Plain;
            for piece in plane.chunks(PIECE) {
                if !packed && !self.dtype.are_finite(piece) {
                    return Err(self.unstorable(Unstorable::NotFinite).into());
                }
                self.put(tensor, piece)?;
                tell(self)?;
            }
        }
        Ok(())
    }

    /// Plain numbers to another type: rounding them takes less than a way to the device and back.
    fn round(&mut self, tell: &mut Tell<'_>) -> Result<(), crate::Error> {
        let Entry { stored, change, rows, cols, .. } = self.entry;
        let Some(format) = stored.format else { return Ok(()) };
        let data = stored.planes[0];
        // Rows that change places, or the elements of a vector that do.
        let (count, width) = if *rows == 1 { (*cols as usize, 1) } else { (*rows as usize, *cols as usize) };
        let bytes = data.len() / count.max(1);
        let most = stretch(*change).max(1) as usize;
        let most = (PIECE / width.max(1) / most).max(1) * most;
        for first in (0..count).step_by(most) {
            let number = most.min(count - first);
            let values = match change {
                Change::Interleaved { .. } => {
                    let place = |row: usize| change.place((first + row) as u32) as usize * bytes;
                    let moved: Vec<u8> =
                        (0..number).flat_map(|row| data[place(row)..][..bytes].iter().copied()).collect();
                    floats(format, &moved)
                }
                Change::None | Change::OneAdded => floats(format, &data[first * bytes..][..number * bytes]),
            };
            let mut values = values.unwrap_or_default();
            if *change == Change::OneAdded {
                values.iter_mut().for_each(|value| *value -= 1.0);
            }
            let stored = self.stored(&values)?;
            self.put(0, &stored)?;
            tell(self)?;
        }
        Ok(())
    }

    /// What has to be unpacked or quantized.
    fn compute(&mut self, rows: &mut Rows<'_>, tell: &mut Tell<'_>) -> Result<(), crate::Error> {
        let Entry { stored, change, target, .. } = self.entry;
        let Some(format) = stored.format else { return Ok(()) };
        let source = Source {
            stored,
            format,
            // Loading has been rehearsed: shapes fit the model's, whose widths and vocabulary are of 32 bits.
            cols: self.entry.cols as u32,
            rows: self.entry.rows as u32,
            stretch: stretch(*change),
            order: &|row| change.place(row),
        };
        rows.run(&source, *target, &mut |_, piece| {
            let Piece { data, scales, biases } = piece;
            if *target == Target::Plain {
                let values: Vec<f32> = bytemuck::pod_collect_to_vec(&data);
                let stored = self.stored(&values)?;
                self.put(0, &stored)?;
            } else {
                self.put(0, &data)?;
                let scales = self.stored(&scales)?;
                let biases = self.stored(&biases)?;
                self.put(1, &scales)?;
                self.put(2, &biases)?;
            }
            tell(self)
        })
    }
}

/// Rows that change places among each other stand in stretches of so many.
fn stretch(change: Change) -> u32 {
    match change {
        Change::Interleaved { head } => head,
        Change::None | Change::OneAdded => 1,
    }
}
