//! A reference's predictions in a file: log-probabilities in steps of 16 bits, in the layout of llama-perplexity's
//! `--kl-divergence-base` (llama.cpp, tools/perplexity/perplexity.cpp), so that either program reads what the other wrote.
//!
//! Little-endian: `_logits_`, i32 context, i32 vocabulary, i32 chunks, i32 tokens `[chunks, context]`; then for each position of each
//! chunk's second half, as [`Method::Chunked`](super::Method::Chunked) scores it: f32 scale, f32 least, u16 steps `[vocab]`, and one u16
//! more where the vocabulary is odd. log p = scale · step + least.

use super::divergence::{Reference, log_sum_exp};
use crate::Error;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"_logits_";

/// Nats below the largest log p at which steps begin.
const RANGE: f32 = 16.0;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    context: usize,
    vocab: usize,
    chunks: usize,
}

impl Shape {
    /// Positions that are kept of a chunk.
    fn rows(&self) -> usize {
        self.context - 1 - self.context / 2
    }

    /// u16 of a position: scale and least, steps, filled to an even number.
    fn row_words(&self) -> usize {
        4 + self.vocab.next_multiple_of(2)
    }

    fn first_row(&self) -> u64 {
        20 + 4 * (self.chunks as u64 * self.context as u64)
    }

    fn bytes(&self) -> u64 {
        self.first_row() + self.chunks as u64 * self.rows() as u64 * self.row_words() as u64 * 2
    }
}

/// A file that is being written. It takes its name when it is complete.
pub struct SavedLogitsWriter {
    path: PathBuf,
    partial: PathBuf,
    file: Option<BufWriter<File>>,
    shape: Shape,
    rows: usize,
}

impl SavedLogitsWriter {
    /// Begins a file for `chunks` chunks of `context` of `tokens`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn create(path: &Path, tokens: &[u32], context: usize, vocab: usize, chunks: usize) -> Result<Self, Error> {
        let shape = Shape { context, vocab, chunks };
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".partial");
        let partial = path.with_file_name(name);
        let failed = |source| Error::File { path: partial.clone(), source };
        let mut file = BufWriter::new(File::create(&partial).map_err(failed)?);
        let header = [context, vocab, chunks].map(|number| (number as i32).to_le_bytes());
        let tokens: Vec<u8> = tokens[..chunks * context].iter().flat_map(|token| token.to_le_bytes()).collect();
        let written = file.write_all(MAGIC).and_then(|()| file.write_all(header.as_flattened()));
        written.and_then(|()| file.write_all(&tokens)).map_err(failed)?;
        Ok(Self { path: path.to_owned(), partial, file: Some(file), shape, rows: 0 })
    }

    /// Adds the next position's logits, `[vocab]`.
    ///
    /// # Errors
    /// The file cannot be written, or a logit is not a number.
    pub fn row(&mut self, logits: &[f32]) -> Result<(), Error> {
        assert_eq!(logits.len(), self.shape.vocab, "vocabulary");
        let Some(normal) = log_sum_exp(logits) else {
            return Err(Error::NotFinite { position: self.rows % self.shape.rows() + self.shape.context / 2 });
        };
        let bytes = encoded(logits, normal, self.shape.row_words());
        self.rows += 1;
        let Some(file) = &mut self.file else { panic!("a row for a file that is complete") };
        file.write_all(&bytes).map_err(|source| Error::File { path: self.partial.clone(), source })
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// The file cannot be written.
    ///
    /// # Panics
    /// If positions are missing.
    pub fn finish(mut self) -> Result<(), Error> {
        assert_eq!(self.rows, self.shape.rows() * self.shape.chunks, "positions");
        let failed = |source| Error::File { path: self.partial.clone(), source };
        if let Some(file) = self.file.take() {
            let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
            file.sync_all().map_err(failed)?;
            fs::rename(&self.partial, &self.path).map_err(failed)?;
        }
        Ok(())
    }
}

impl Drop for SavedLogitsWriter {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // Half a file is of no use; failing to remove it changes nothing.
            let _ = fs::remove_file(&self.partial);
        }
    }
}

/// One position as the file holds it. What lies 16 nats below the largest or deeper becomes step 0.
fn encoded(logits: &[f32], normal: f64, words: usize) -> Vec<u8> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let least = logits.iter().copied().fold(f32::INFINITY, f32::min).max(largest - RANGE);
    let scale = (largest - least) / f32::from(u16::MAX);
    let mut bytes = Vec::with_capacity(words * 2);
    bytes.extend(scale.to_le_bytes());
    bytes.extend(((f64::from(least) - normal) as f32).to_le_bytes());
    for &logit in logits {
        let step = if scale > 0.0 && logit > least { ((logit - least) / scale).round_ties_even() } else { 0.0 };
        bytes.extend((step as u16).to_le_bytes());
    }
    bytes.resize(words * 2, 0);
    bytes
}

/// A file of predictions, read a chunk at a time.
#[derive(Debug)]
pub struct SavedLogits {
    path: PathBuf,
    file: BufReader<File>,
    shape: Shape,
    tokens: Vec<u32>,
    chunk: Vec<u16>,
}

impl SavedLogits {
    /// Opens a file.
    ///
    /// # Errors
    /// It cannot be read, is no such file, or is not as long as it says.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::File { path: path.to_owned(), source };
        let wrong = |what: String| Error::SavedLogits { path: path.to_owned(), what };
        let file = File::open(path).map_err(failed)?;
        let found = file.metadata().map_err(failed)?.len();
        let mut file = BufReader::new(file);
        let mut header = [0; 20];
        if found < 20 {
            return Err(wrong(format!("expected saved logits, found a file of {found} bytes")));
        }
        file.read_exact(&mut header).map_err(failed)?;
        if header[..8] != *MAGIC {
            let start = header[..8].escape_ascii();
            return Err(wrong(format!("expected saved logits, which begin with `_logits_`, found `{start}`")));
        }
        let number =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]) as usize;
        let shape = Shape { context: number(8), vocab: number(12), chunks: number(16) };
        let small = |number: usize, most: usize| (1..=most).contains(&number);
        if !small(shape.vocab, 1 << 24) || !small(shape.chunks, 1 << 30) || !(4..=1 << 24).contains(&shape.context) {
            let Shape { context, vocab, chunks } = shape;
            return Err(wrong(format!(
                "its header says {chunks} chunks of {context} tokens out of {vocab}, which cannot be"
            )));
        }
        if found != shape.bytes() {
            let expected = shape.bytes();
            return Err(wrong(format!(
                "expected {expected} bytes, as its header says, found {found}: it is incomplete"
            )));
        }
        let mut bytes = vec![0; shape.chunks * shape.context * 4];
        file.read_exact(&mut bytes).map_err(failed)?;
        let tokens: Vec<u32> = bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        match tokens.iter().find(|&&token| token as usize >= shape.vocab) {
            Some(token) => Err(wrong(format!("expected tokens below {}, found {token}", shape.vocab))),
            None => Ok(Self { path: path.to_owned(), file, shape, tokens, chunk: Vec::new() }),
        }
    }

    /// Tokens of a chunk.
    pub fn context(&self) -> usize {
        self.shape.context
    }

    /// Entries of the vocabulary.
    pub fn vocab(&self) -> usize {
        self.shape.vocab
    }

    /// Chunks.
    pub fn chunks(&self) -> usize {
        self.shape.chunks
    }

    /// The text: `[chunks, context]`.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Reads the predictions of a chunk.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&mut self, chunk: usize) -> Result<(), Error> {
        assert!(chunk < self.shape.chunks, "chunk {chunk} of {}", self.shape.chunks);
        let words = self.shape.rows() * self.shape.row_words();
        let mut bytes = vec![0; words * 2];
        let at = self.shape.first_row() + (chunk * words * 2) as u64;
        let read = self.file.seek(SeekFrom::Start(at)).and_then(|_| self.file.read_exact(&mut bytes));
        read.map_err(|source| Error::File { path: self.path.clone(), source })?;
        self.chunk = bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect();
        Ok(())
    }

    /// Position number `row` of the chunk that was read.
    pub fn row(&self, row: usize) -> Reference<'_> {
        let words = &self.chunk[row * self.shape.row_words()..][..self.shape.row_words()];
        let number = |at: usize| f32::from_bits(u32::from(words[at]) | u32::from(words[at + 1]) << 16);
        Reference::Saved { scale: number(0), least: number(2), steps: &words[4..4 + self.shape.vocab] }
    }
}
