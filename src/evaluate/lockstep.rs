//! Two models over the same tokens.

use super::batches::Job;
use super::divergence::{Divergence, Pair, Position, Reference};
use super::perplexity::PerplexityOptions;
use super::saved_logits::{SavedLogits, SavedLogitsWriter};
use crate::Error;
use crate::cache::SequenceId;
use crate::generate::Engine;
use rayon::prelude::*;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Bytes of logits that are held of each model at a time.
const HELD_BYTES: usize = 64 << 20;

/// What a candidate is compared with.
pub enum Against<'r> {
    /// A model, which runs beside it.
    Engine(&'r mut Engine),
    /// What a model said earlier, in steps of 16 bits.
    Saved(&'r mut SavedLogits),
    /// What a model said just before, as it said it.
    Raw(&'r mut RawLogits),
}

impl Against<'_> {
    fn vocab(&self) -> usize {
        match self {
            Against::Engine(engine) => engine.model().config().vocab as usize,
            Against::Saved(saved) => saved.vocab(),
            Against::Raw(raw) => raw.vocab,
        }
    }
}

/// Compares a candidate with a reference over the chunks of a text. `on_chunk` hears of each and may end the run.
///
/// # Errors
/// Those of [`PerplexityOptions::count`] and of [`divergence_of`].
pub fn divergence(
    against: Against<'_>,
    candidate: &mut Engine,
    tokens: &[u32],
    options: &PerplexityOptions,
    on_chunk: &mut dyn FnMut(&Divergence) -> ControlFlow<()>,
) -> Result<Divergence, Error> {
    if let Against::Engine(reference) = &against {
        options.count(tokens.len(), reference.context() as usize)?;
    }
    let mut jobs = options.jobs(tokens, candidate.context() as usize)?;
    divergence_of(against, candidate, &mut jobs, on_chunk)
}

/// Compares a candidate with a reference over jobs, which are numbered from 0 where the reference is a file. `on_job` hears of each and
/// may end the run.
///
/// # Errors
/// Vocabularies of different sizes, jobs longer than a context, and those of the devices and the file.
pub fn divergence_of(
    mut against: Against<'_>,
    candidate: &mut Engine,
    jobs: &mut dyn Iterator<Item = Job>,
    on_job: &mut dyn FnMut(&Divergence) -> ControlFlow<()>,
) -> Result<Divergence, Error> {
    check_sizes(&against, candidate)?;
    let mut result = Divergence::default();
    for (index, job) in jobs.enumerate() {
        compare(&mut against, candidate, &job, index, &mut result)?;
        if on_job(&result).is_break() {
            break;
        }
    }
    Ok(result)
}

fn check_sizes(against: &Against<'_>, candidate: &Engine) -> Result<(), Error> {
    let (reference, candidate) = (against.vocab() as u64, u64::from(candidate.model().config().vocab));
    match reference == candidate {
        true => Ok(()),
        false => Err(Error::Vocabularies { reference, candidate, what: String::new() }),
    }
}

/// What a candidate is compared with, at work on one job.
enum Side<'r> {
    Walk(Walk<'r>),
    Saved(&'r mut SavedLogits),
    Raw(&'r mut RawLogits),
}

/// Adds the positions of one job.
fn compare(
    against: &mut Against<'_>,
    candidate: &mut Engine,
    job: &Job,
    index: usize,
    result: &mut Divergence,
) -> Result<(), Error> {
    let mut side = match against {
        Against::Engine(reference) => Side::Walk(Walk::begin(reference)),
        Against::Raw(raw) => Side::Raw(raw),
        Against::Saved(saved) => {
            saved.read(index)?;
            Side::Saved(saved)
        }
    };
    let mut own = Walk::begin(candidate);
    let mut row = 0;
    for piece in pieces(job, own.vocab()) {
        let logits = own.logits(&piece)?;
        let theirs = match &mut side {
            Side::Walk(walk) => walk.logits(&piece)?,
            Side::Raw(raw) => raw.read(logits.len())?,
            Side::Saved(_) => Vec::new(),
        };
        let reference = |at: usize| match &side {
            Side::Saved(saved) => saved.row(row + at),
            Side::Walk(_) | Side::Raw(_) => Reference::Logits(&theirs[at]),
        };
        let pair = |at: usize| Pair { reference: reference(at), candidate: &logits[at], token: piece.scored[at] };
        let pairs: Vec<Pair<'_>> = (0..logits.len()).map(pair).collect();
        let positions: Option<Vec<Position>> = pairs.par_iter().map(Position::of).collect();
        row += logits.len();
        match positions {
            Some(positions) => result.positions.extend(positions),
            None => return Err(Error::NotFinite { position: piece.end }),
        }
    }
    Ok(())
}

/// Writes what a reference says of the chunks of a text, for candidates to come. `on_chunk` hears how many are written.
///
/// # Errors
/// Those of [`PerplexityOptions::count`], of the device and of the file.
pub fn save_reference(
    reference: &mut Engine,
    tokens: &[u32],
    options: &PerplexityOptions,
    path: &Path,
    on_chunk: &mut dyn FnMut(usize),
) -> Result<(), Error> {
    let count = options.count(tokens.len(), reference.context() as usize)?;
    let vocab = reference.model().config().vocab as usize;
    let mut writer = SavedLogitsWriter::create(path, tokens, options.context, vocab, count)?;
    for (index, job) in options.jobs(tokens, reference.context() as usize)?.enumerate() {
        each_row(reference, &job, &mut |logits| writer.row(logits))?;
        on_chunk(index + 1);
    }
    writer.finish()
}

fn each_row(engine: &mut Engine, job: &Job, on_row: &mut dyn FnMut(&[f32]) -> Result<(), Error>) -> Result<(), Error> {
    let mut walk = Walk::begin(engine);
    for piece in pieces(job, walk.vocab()) {
        for logits in walk.logits(&piece)? {
            on_row(&logits)?;
        }
    }
    Ok(())
}

/// Logits of many positions in a temporary file, which is gone when this is: what a reference says, as it says it, where both models do
/// not fit the device together.
#[derive(Debug)]
pub struct RawLogits {
    file: File,
    path: PathBuf,
    vocab: usize,
}

impl RawLogits {
    /// Runs jobs on a reference. They are read back in the same order.
    ///
    /// # Errors
    /// Those of the device and of the file.
    pub fn of(reference: &mut Engine, jobs: &mut dyn Iterator<Item = Job>) -> Result<Self, Error> {
        let nanoseconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let path = std::env::temp_dir().join(format!("ffai-logits-{}-{nanoseconds}", std::process::id()));
        let file = File::options().read(true).write(true).create_new(true).open(&path);
        let file = file.map_err(|source| Error::File { path: path.clone(), source })?;
        let mut raw = Self { file, path, vocab: reference.model().config().vocab as usize };
        for job in jobs {
            each_row(reference, &job, &mut |logits| raw.write(logits))?;
        }
        raw.file.seek(SeekFrom::Start(0)).map_err(|source| raw.failed(source))?;
        Ok(raw)
    }

    fn failed(&self, source: std::io::Error) -> Error {
        Error::File { path: self.path.clone(), source }
    }

    fn write(&mut self, logits: &[f32]) -> Result<(), Error> {
        self.file.write_all(bytemuck::cast_slice(logits)).map_err(|source| self.failed(source))
    }

    /// The next positions.
    fn read(&mut self, rows: usize) -> Result<Vec<Vec<f32>>, Error> {
        let row = |_| {
            let mut row = vec![0.0f32; self.vocab];
            let read = self.file.read_exact(bytemuck::cast_slice_mut(&mut row));
            read.map(|()| row).map_err(|source| self.failed(source))
        };
        (0..rows).map(row).collect()
    }
}

impl Drop for RawLogits {
    fn drop(&mut self) {
        // One that stays lies where such files are cleared away.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Tokens that run together, and which logits they leave.
struct Piece<'j> {
    tokens: &'j [u32],
    /// Where in the job it ends.
    end: usize,
    /// Indices into `tokens` whose logits are wanted.
    wanted: Vec<usize>,
    /// The tokens behind those.
    scored: Vec<u32>,
}

/// Cuts a job so that no piece leaves more logits than may be held.
fn pieces(job: &Job, vocab: usize) -> Vec<Piece<'_>> {
    let most = (HELD_BYTES / (vocab * 4)).max(1);
    let (last, mut begin) = (job.scored.end, 0);
    let mut pieces = Vec::new();
    let mut scored = job.scored.clone();
    while begin + 1 < last {
        let taken: Vec<usize> = scored.by_ref().take(most).collect();
        let Some(&end) = taken.last() else { break };
        pieces.push(Piece {
            tokens: &job.tokens[begin..end],
            end,
            wanted: taken.iter().map(|at| at - 1 - begin).collect(),
            scored: taken.iter().map(|&at| job.tokens[at]).collect(),
        });
        begin = end;
    }
    pieces
}

/// A sequence of its own on an engine.
struct Walk<'e> {
    engine: &'e mut Engine,
    sequence: SequenceId,
}

impl<'e> Walk<'e> {
    fn begin(engine: &'e mut Engine) -> Self {
        let sequence = engine.open().unwrap_or_else(|| panic!("all of the engine's sequences are in use"));
        Self { engine, sequence }
    }

    fn vocab(&self) -> usize {
        self.engine.model().config().vocab as usize
    }

    fn logits(&mut self, piece: &Piece<'_>) -> Result<Vec<Vec<f32>>, Error> {
        self.engine.logits(self.sequence, piece.tokens, &piece.wanted)
    }
}

impl Drop for Walk<'_> {
    fn drop(&mut self) {
        self.engine.close(self.sequence);
    }
}
