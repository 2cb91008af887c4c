//! How probable given tokens are: many stretches of text in one batch, a few words back for each token.

use super::engine::{Engine, splits};
use super::plans::{Key, Outputs};
use crate::Error;
use crate::cache::SequenceId;
use crate::graph::{Operand, Ticket};
use crate::layers::STRETCH;

/// A stretch of one sequence that runs beside others.
#[derive(Clone, Copy, Debug)]
pub struct Stretch<'t> {
    /// The sequence, which then holds `tokens` more.
    pub sequence: SequenceId,
    /// What runs; not empty.
    pub tokens: &'t [u32],
    /// Indices into `tokens`, ascending, and the token behind each whose probability is wanted.
    pub scored: &'t [(u32, u32)],
}

/// What a model thought of one token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenScore {
    /// Its logit.
    pub logit: f32,
    /// The largest logit.
    pub largest: f32,
    /// Sum of `exp(logit - largest)` over the vocabulary.
    pub sum: f32,
    /// The lowest token that has the largest logit: the greedy choice.
    pub best: u32,
}

impl TokenScore {
    /// log p in nats.
    pub fn log_probability(&self) -> f64 {
        f64::from(self.logit) - f64::from(self.largest) - f64::from(self.sum).ln()
    }

    /// The normalizer: logit − this is log p.
    pub fn log_sum_exp(&self) -> f64 {
        f64::from(self.largest) + f64::from(self.sum).ln()
    }
}

/// Scores in flight.
#[derive(Debug)]
pub struct Scoring {
    ticket: Ticket,
    /// Rows of each slice.
    slices: Vec<usize>,
    /// Where in its sequence each scored row stands.
    positions: Vec<u32>,
}

impl Engine {
    /// Tokens that a batch of stretches can hold, each but the last counted as [`Engine::rows`].
    pub fn batch_rows(&self) -> usize {
        self.chunk
    }

    /// Rows that a stretch of `tokens` takes of a batch where another follows it.
    pub fn rows(tokens: usize) -> usize {
        tokens.next_multiple_of(STRETCH as usize)
    }

    /// Runs stretches of different sequences together, without waiting. Their sequences hold the tokens from here on, and may be
    /// taken back while the batch runs.
    ///
    /// # Panics
    /// If the stretches are none or empty, or do not fit [`Engine::batch_rows`].
    pub fn score(&mut self, stretches: &[Stretch<'_>]) -> Result<Scoring, Error> {
        assert!(!stretches.is_empty(), "nothing to score");
        for stretch in stretches {
            assert!(!stretch.tokens.is_empty(), "a stretch without tokens");
            self.check(stretch.tokens)?;
            self.check(&stretch.scored.iter().map(|pair| pair.1).collect::<Vec<_>>())?;
        }
        // First all of them: a cache that grows takes plans with it.
        for stretch in stretches {
            self.reserve(stretch.sequence, stretch.tokens.len() as u32)?;
        }
        let Batched { rows, picks, wanted, positions } = self.batched(stretches);
        assert!(rows.len() <= self.chunk, "{} rows in a batch of {}", rows.len(), self.chunk);
        let longest = stretches.iter().map(|s| self.length(s.sequence) + s.tokens.len() as u32).max().unwrap_or(1);
        let count = rows.len() as u32;
        let outputs = if picks.is_empty() { Outputs::None } else { Outputs::Scores(picks.len() as u32) };
        let splits = if count == 1 { splits(longest) } else { 0 };
        let ready = self.ready(Key { rows: count, decode: false, splits, outputs })?;
        let Self { executor, buffers, .. } = self;
        executor.write(buffers.prefill_rows, 0, bytemuck::cast_slice(&rows));
        executor.write(buffers.picks, 0, bytemuck::cast_slice(&picks));
        executor.write(buffers.scored, 0, bytemuck::cast_slice(&wanted));
        let tensors = &ready.left.scores;
        let reads: Vec<Operand> = tensors.iter().flat_map(|&(y, best)| [y.into(), best.into()]).collect();
        let slices = tensors.iter().map(|(_, best)| best.rows as usize).collect();
        let ticket = self.submit(&ready, &reads, longest)?;
        for stretch in stretches {
            self.cache.accept(stretch.sequence, stretch.tokens.len() as u32);
        }
        Ok(Scoring { ticket, slices, positions })
    }

    /// The stretches one after the other, each from the beginning of a tile: what a tile has left repeats the last row, which
    /// computes the same once more.
    fn batched(&self, stretches: &[Stretch<'_>]) -> Batched {
        let mut batched = Batched::default();
        for (index, stretch) in stretches.iter().enumerate() {
            let (begin, start) = (batched.rows.len() as u32, self.length(stretch.sequence));
            let tokens = stretch.tokens.iter().zip(start..);
            batched.rows.extend(tokens.map(|(&token, position)| [token, position, stretch.sequence.0, 0]));
            for &(at, token) in stretch.scored {
                assert!((at as usize) < stretch.tokens.len(), "row {at} of {} tokens", stretch.tokens.len());
                batched.picks.push(begin + at);
                batched.wanted.push(token);
                batched.positions.push(start + at);
            }
            if index + 1 < stretches.len()
                && let Some(&last) = batched.rows.last()
            {
                batched.rows.resize(Self::rows(batched.rows.len()), last);
            }
        }
        batched
    }

    /// Waits for scores: one for each scored token, in the order of the stretches.
    ///
    /// # Errors
    /// The device's, and [`Error::NotFinite`].
    pub fn finish_scores(&mut self, scoring: Scoring) -> Result<Vec<TokenScore>, Error> {
        let bytes = self.executor.wait(scoring.ticket)?;
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(&bytes);
        let mut rest = words.as_slice();
        let mut scores = Vec::with_capacity(scoring.positions.len());
        for &count in &scoring.slices {
            let (slice, after) = rest.split_at(count * 4);
            let (numbers, best) = slice.split_at(count * 3);
            scores.extend(numbers.chunks_exact(3).zip(best).map(|(number, &best)| TokenScore {
                logit: f32::from_bits(number[0]),
                largest: f32::from_bits(number[1]),
                sum: f32::from_bits(number[2]),
                best,
            }));
            rest = after;
        }
        let bad = scores
            .iter()
            .zip(&scoring.positions)
            .find(|(score, _)| !score.sum.is_normal() || !score.largest.is_finite());
        match bad {
            Some((_, &position)) => Err(Error::NotFinite { position: position as usize }),
            None => Ok(scores),
        }
    }
}

/// Rows of a batch, and which of them are scored.
#[derive(Default)]
struct Batched {
    rows: Vec<[u32; 4]>,
    picks: Vec<u32>,
    wanted: Vec<u32>,
    positions: Vec<u32>,
}
