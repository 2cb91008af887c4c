//! Perplexity: how surprised a model is by a text.

use super::batches::{Job, score_all};
use super::thinking::Part;
use crate::Error;
use crate::generate::{Engine, TokenScore};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;

/// Which tokens of a text are scored, given which others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Chunks that do not overlap; of each the second half is scored, so that every scored token has at least half a chunk before it.
    /// What llama.cpp's perplexity prints.
    #[default]
    Chunked,
    /// Every token after the first, given all before it in its window; windows follow each other.
    Stride,
}

impl Method {
    /// As users spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chunked => "chunked",
            Self::Stride => "stride",
        }
    }
}

/// How a text is scored.
#[derive(Clone, Copy, Debug)]
pub struct PerplexityOptions {
    /// Which tokens are scored.
    pub method: Method,
    /// Tokens of a chunk or window, at least 4 and at most the engine's context.
    pub context: usize,
    /// Only so many chunks or windows from the beginning.
    pub chunks: Option<usize>,
    /// What takes the place of each chunk's first token, where the model wants a text to begin with it (chunked only).
    pub bos: Option<u32>,
}

impl PerplexityOptions {
    /// Chunks or windows that a text of `tokens` has.
    ///
    /// # Errors
    /// The context is out of range for the engine's `most`, or the text is shorter than the method needs.
    pub fn count(&self, tokens: usize, most: usize) -> Result<usize, Error> {
        if !(4..=most).contains(&self.context) {
            let found = format!("{}, where the model has {most}", self.context);
            return Err(Error::Option {
                option: "--ctx",
                expected: "at least 4 and at most the model's context",
                found,
            });
        }
        let whole = match self.method {
            Method::Chunked => tokens / self.context,
            Method::Stride => tokens.saturating_sub(1).div_ceil(self.context),
        };
        if whole == 0 {
            let needed = match self.method {
                Method::Chunked => self.context,
                Method::Stride => 2,
            };
            return Err(Error::TextTooShort { found: tokens, needed });
        }
        match self.chunks {
            Some(0) => Err(Error::Option { option: "--chunks", expected: "at least 1", found: "0".to_owned() }),
            Some(chunks) => Ok(whole.min(chunks)),
            None => Ok(whole),
        }
    }

    /// Every chunk or window of a text, for an engine whose context is `most`.
    ///
    /// # Errors
    /// Those of [`PerplexityOptions::count`].
    pub fn jobs<'t>(&self, tokens: &'t [u32], most: usize) -> Result<impl Iterator<Item = Job> + use<'t>, Error> {
        let (options, count) = (*self, self.count(tokens.len(), most)?);
        Ok((0..count).map(move |index| options.job(tokens, index)))
    }

    /// Chunk or window number `index` of a text, and what of it is scored.
    pub fn job(&self, tokens: &[u32], index: usize) -> Job {
        let start = index * self.context;
        match self.method {
            Method::Chunked => {
                let mut tokens = tokens[start..start + self.context].to_vec();
                if let Some(bos) = self.bos {
                    tokens[0] = bos;
                }
                Job { tokens, scored: self.context / 2 + 1..self.context }
            }
            Method::Stride => {
                // One more than the window holds: the token behind the last one is scored, and begins the next window.
                let tokens = tokens[start..tokens.len().min(start + self.context + 1)].to_vec();
                let scored = 1..tokens.len();
                Job { tokens, scored }
            }
        }
    }
}

/// Sums over scored tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NllSum {
    /// Tokens scored.
    pub tokens: usize,
    /// Sum of −log p, in nats.
    pub nll: f64,
    /// Sum of its squares.
    pub squares: f64,
}

impl NllSum {
    /// Of the scores of tokens.
    pub fn of<'s>(scores: impl IntoIterator<Item = &'s TokenScore>) -> Self {
        let mut sum = Self::default();
        for score in scores {
            let nll = -score.log_probability();
            sum.add(&Self { tokens: 1, nll, squares: nll * nll });
        }
        sum
    }

    fn add(&mut self, other: &Self) {
        self.tokens += other.tokens;
        self.nll += other.nll;
        self.squares += other.squares;
    }

    /// Mean of −log p, in nats.
    pub fn mean(&self) -> f64 {
        self.nll / self.tokens as f64
    }

    /// exp of the mean; `None` without tokens.
    pub fn perplexity(&self) -> Option<f64> {
        (self.tokens > 0).then(|| self.mean().exp())
    }

    /// Standard error of the perplexity: that of the mean, times the perplexity (the delta method). `None` below two tokens.
    pub fn standard_error(&self) -> Option<f64> {
        let (count, mean) = (self.tokens as f64, self.mean());
        let variance = (self.squares / count - mean * mean).max(0.0) / (count - 1.0);
        (self.tokens > 1).then(|| mean.exp() * variance.sqrt())
    }
}

/// Sums over one chunk or window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ChunkSum {
    /// All scored tokens.
    pub all: NllSum,
    /// Those of thinking.
    pub thinking: NllSum,
    /// Those of what is said.
    pub answer: NllSum,
}

impl ChunkSum {
    /// Of a job's scores; `parts` says of each scored token what it belongs to, where that is known.
    fn of(scores: &[TokenScore], parts: Option<&[Part]>) -> Self {
        let of = |wanted| {
            let parts = parts.into_iter().flatten();
            NllSum::of(scores.iter().zip(parts).filter(|&(_, &part)| part == wanted).map(|pair| pair.0))
        };
        Self { all: NllSum::of(scores), thinking: of(Part::Thinking), answer: of(Part::Answer) }
    }
}

/// What a text's perplexity is, as far as it has been scored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Perplexity {
    /// Sums of each chunk or window.
    pub chunks: Vec<ChunkSum>,
    /// Over all of them.
    pub total: ChunkSum,
}

impl Perplexity {
    /// Adds a chunk.
    pub fn add(&mut self, chunk: ChunkSum) {
        self.total.all.add(&chunk.all);
        self.total.thinking.add(&chunk.thinking);
        self.total.answer.add(&chunk.answer);
        self.chunks.push(chunk);
    }

    /// The perplexity after each chunk.
    pub fn running(&self) -> Vec<f64> {
        let mut so_far = NllSum::default();
        let after = |chunk: &ChunkSum| {
            so_far.add(&chunk.all);
            so_far.mean().exp()
        };
        self.chunks.iter().map(after).collect()
    }
}

/// Scores a text. Goes on where `done` ends, which holds the sums of the chunks that are scored already. `parts` says of each of the
/// tokens what it belongs to, or is empty. `on_chunk` hears of each chunk and may end the run.
///
/// # Errors
/// Those of [`PerplexityOptions::count`] and [`score_all`].
pub fn perplexity(
    engine: &mut Engine,
    tokens: &[u32],
    parts: &[Part],
    options: &PerplexityOptions,
    done: Perplexity,
    on_chunk: &mut dyn FnMut(&Perplexity) -> ControlFlow<()>,
) -> Result<Perplexity, Error> {
    let mut result = done;
    let first = result.chunks.len();
    let mut jobs = options.jobs(tokens, engine.context() as usize)?.skip(first).map(Ok);
    score_all(engine, &mut jobs, &mut |index, scores| {
        // Of a job the last token is scored: where that stands, the others stand before it.
        let end = match options.method {
            Method::Chunked => (first + index + 1) * options.context,
            Method::Stride => tokens.len().min((first + index + 1) * options.context + 1),
        };
        result.add(ChunkSum::of(&scores, parts.get(end - scores.len()..end)));
        on_chunk(&result)
    })?;
    Ok(result)
}

/// Scores the tokens of a text from number `first` (at least 1) on, each given all before it.
///
/// # Errors
/// Those of [`score_all`].
pub fn continuation(engine: &mut Engine, tokens: &[u32], first: usize) -> Result<Vec<TokenScore>, Error> {
    let job = Job { tokens: tokens.to_vec(), scored: first..tokens.len() };
    let mut result = Vec::new();
    score_all(engine, &mut std::iter::once(Ok(job)), &mut |_, scores| {
        result = scores;
        ControlFlow::Continue(())
    })?;
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(method: Method, context: usize) -> PerplexityOptions {
        PerplexityOptions { method, context, chunks: None, bos: None }
    }

    /// Positions 256 … 510 of a chunk of 512 score the tokens behind them.
    #[test]
    fn a_chunk_scores_its_second_half() {
        let tokens: Vec<u32> = (0..1100).collect();
        let options = PerplexityOptions { bos: Some(7), ..options(Method::Chunked, 512) };
        assert_eq!(options.count(tokens.len(), 512).unwrap(), 2);
        let job = options.job(&tokens, 1);
        assert_eq!((job.scored.clone(), job.scored.len()), (257..512, 255));
        assert_eq!((job.tokens[0], job.tokens[1], job.tokens[511]), (7, 513, 1023));
    }

    #[test]
    fn windows_score_every_token_but_the_first_once() {
        for len in [2, 8, 9, 10, 17, 31] {
            let tokens: Vec<u32> = (0..len).collect();
            let options = options(Method::Stride, 8);
            let count = options.count(tokens.len(), 8).unwrap();
            let jobs = (0..count).map(|index| options.job(&tokens, index));
            let scored: Vec<u32> = jobs.flat_map(|job| job.tokens[job.scored].to_vec()).collect();
            assert_eq!(scored, (1..len).collect::<Vec<_>>(), "{len} tokens");
        }
    }

    /// Of −log p of 1, 2 and 3: mean 2, sample variance 1.
    #[test]
    fn the_error_is_that_of_the_mean_times_the_perplexity() {
        let mut result = Perplexity::default();
        let chunk = |tokens, nll, squares| ChunkSum { all: NllSum { tokens, nll, squares }, ..ChunkSum::default() };
        result.add(chunk(1, 1.0, 1.0));
        assert_eq!(result.total.all.standard_error(), None);
        result.add(chunk(2, 5.0, 13.0));
        assert!((result.total.all.perplexity().unwrap() - 2f64.exp()).abs() < 1e-12);
        assert!((result.total.all.standard_error().unwrap() - 2f64.exp() / 3f64.sqrt()).abs() < 1e-12);
        assert_eq!(result.total.thinking.perplexity(), None);
        assert_eq!(result.running().len(), 2);
        assert!((result.running()[0] - 1f64.exp()).abs() < 1e-12);
    }

    #[test]
    fn texts_and_contexts_out_of_range_are_refused() {
        let refused = |options: &PerplexityOptions, tokens| options.count(tokens, 512).unwrap_err().to_string();
        assert!(refused(&options(Method::Chunked, 512), 511).contains("511"));
        assert!(refused(&options(Method::Stride, 512), 1).contains("at least 2"));
        assert!(refused(&options(Method::Chunked, 3), 5000).contains("--ctx"));
        assert!(refused(&options(Method::Chunked, 513), 5000).contains("--ctx"));
        assert!(
            refused(&PerplexityOptions { chunks: Some(0), ..options(Method::Chunked, 512) }, 5000).contains("--chunks")
        );
    }
}
