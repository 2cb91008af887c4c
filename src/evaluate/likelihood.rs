//! How probable continuations are: what harnesses that judge models by multiple choice ask.

use super::batches::{Job, score_all};
use crate::Error;
use crate::generate::{Engine, TokenScore};
use crate::text::{Bos, EncodeOptions, Special, Tokenizer};
use serde::Serialize;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::ControlFlow;

/// A continuation and what comes before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Given, not scored. Where it is empty, the beginning-of-text token stands for it, or else the end-of-text token.
    pub context: String,
    /// Scored; not empty.
    pub continuation: String,
}

/// How probable a continuation is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Likelihood {
    /// log p(continuation | context) in nats: the sum over its tokens.
    pub logprob: f64,
    /// Whether greedy decoding would give just this continuation.
    pub is_greedy: bool,
    /// Tokens of the continuation.
    pub tokens: usize,
}

impl Likelihood {
    fn of(scores: &[TokenScore], tokens: &[u32]) -> Self {
        Self {
            logprob: scores.iter().map(TokenScore::log_probability).sum(),
            is_greedy: scores.iter().zip(tokens).all(|(score, &token)| score.best == token),
            tokens: scores.len(),
        }
    }
}

/// Scores continuations in batches. `on_likelihood` hears of each query in order and may end the run.
///
/// Tokens are those of context and continuation put together, and the continuation's are those behind the tokens that the context has
/// alone; spaces at the end of the context count as the continuation's. Both follow lm-evaluation-harness (`_encode_pair`), so that
/// its results can be compared. Of a text longer than the engine's context the end is scored, as there.
///
/// # Errors
/// An empty continuation, one that is longer than the context, and those of the device.
pub fn likelihoods(
    engine: &mut Engine,
    tokenizer: &Tokenizer,
    queries: &mut dyn Iterator<Item = Result<Query, Error>>,
    on_likelihood: &mut dyn FnMut(usize, Likelihood) -> ControlFlow<()>,
) -> Result<(), Error> {
    let context = engine.context() as usize;
    let mut jobs = queries.map(|query| job(tokenizer, &query?, context));
    scored(engine, &mut jobs, on_likelihood)
}

/// The same of whole texts, each given nothing but the beginning-of-text token: what perplexities by word or byte are made of. A text
/// longer than the engine's context is scored in windows of it that follow each other; the last one reaches back as far as the
/// context does (lm-evaluation-harness, `get_rolling_token_windows`).
///
/// # Errors
/// A text without tokens, and those of the device.
pub fn rolling_likelihoods(
    engine: &mut Engine,
    tokenizer: &Tokenizer,
    texts: &mut dyn Iterator<Item = Result<String, Error>>,
    on_likelihood: &mut dyn FnMut(usize, Likelihood) -> ControlFlow<()>,
) -> Result<(), Error> {
    let context = engine.context() as usize;
    // Windows of each text that is under way.
    let counts = RefCell::new(VecDeque::new());
    let mut jobs = texts.flat_map(|text| match text.and_then(|text| windows(tokenizer, &text, context)) {
        Ok(jobs) => {
            counts.borrow_mut().push_back(jobs.len());
            jobs.into_iter().map(Ok).collect()
        }
        Err(error) => vec![Err(error)],
    });
    let nothing = Likelihood { logprob: 0.0, is_greedy: true, tokens: 0 };
    let (mut index, mut seen, mut whole) = (0, 0, nothing.clone());
    scored(engine, &mut jobs, &mut |_, part| {
        whole.logprob += part.logprob;
        whole.is_greedy &= part.is_greedy;
        whole.tokens += part.tokens;
        seen += 1;
        if counts.borrow().front() != Some(&seen) {
            return ControlFlow::Continue(());
        }
        counts.borrow_mut().pop_front();
        seen = 0;
        index += 1;
        on_likelihood(index - 1, std::mem::replace(&mut whole, nothing.clone()))
    })
}

fn windows(tokenizer: &Tokenizer, text: &str, context: usize) -> Result<Vec<Job>, Error> {
    let mut tokens = tokenizer.encode(text, EncodeOptions { special: Special::Plain, bos: Bos::Never })?;
    if tokens.is_empty() {
        return Err(Error::EmptyContinuation);
    }
    tokens.insert(0, beginning(tokenizer)?);
    Ok(rolling(&tokens, context))
}

/// Windows of at most `context` tokens that score every token but the first once.
fn rolling(tokens: &[u32], context: usize) -> Vec<Job> {
    let window = |start: usize| {
        let end = tokens.len().min(start + context);
        let from = end.saturating_sub(context + 1);
        Job { tokens: tokens[from..end].to_vec(), scored: start - from..end - from }
    };
    (1..tokens.len()).step_by(context).map(window).collect()
}

fn scored(
    engine: &mut Engine,
    jobs: &mut dyn Iterator<Item = Result<Job, Error>>,
    on_likelihood: &mut dyn FnMut(usize, Likelihood) -> ControlFlow<()>,
) -> Result<(), Error> {
    // What was scored has to be known when the scores arrive, which is later.
    let wanted = RefCell::new(VecDeque::new());
    let mut jobs = jobs.inspect(|job| {
        if let Ok(job) = job {
            wanted.borrow_mut().push_back(job.tokens[job.scored.clone()].to_vec());
        }
    });
    score_all(engine, &mut jobs, &mut |index, scores| {
        let tokens = wanted.borrow_mut().pop_front().unwrap_or_default();
        on_likelihood(index, Likelihood::of(&scores, &tokens))
    })
}

/// The tokens of a query, at most one more than the context holds: the last one only has to be predicted.
fn job(tokenizer: &Tokenizer, query: &Query, most: usize) -> Result<Job, Error> {
    let text = query.context.trim_end();
    let (spaces, continuation) = (&query.context[text.len()..], query.continuation.as_str());
    if continuation.is_empty() {
        return Err(Error::EmptyContinuation);
    }
    let plain = EncodeOptions { special: Special::Plain, bos: Bos::Never };
    let (mut tokens, alone) = if text.is_empty() {
        (tokenizer.encode(&format!("{spaces}{continuation}"), plain)?, 0)
    } else {
        let as_model = EncodeOptions { special: Special::Plain, bos: Bos::AsModel };
        let whole = tokenizer.encode(&format!("{text}{spaces}{continuation}"), as_model)?;
        (whole, tokenizer.encode(text, as_model)?.len())
    };
    let mut first = alone;
    if first == 0 {
        tokens.insert(0, beginning(tokenizer)?);
        first = 1;
    }
    // Where the border is gone, because a token goes across it, the last token counts as the continuation's.
    first = first.min(tokens.len() - 1);
    let surplus = tokens.len().saturating_sub(most + 1);
    if surplus >= first {
        return Err(Error::PromptTooLong { found: tokens.len() - first + 1, context: most });
    }
    tokens.drain(..surplus);
    let scored = first - surplus..tokens.len();
    Ok(Job { tokens, scored })
}

/// What a text is given where nothing comes before it.
fn beginning(tokenizer: &Tokenizer) -> Result<u32, Error> {
    let token = tokenizer.bos().or_else(|| tokenizer.eos_ids().first().copied());
    token.ok_or(Error::NoBeginning)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As lm-evaluation-harness documents it for ten tokens in windows of four, with one token of context.
    #[test]
    fn windows_score_every_token_once_and_the_last_reaches_back() {
        let tokens: Vec<u32> = std::iter::once(100).chain(0..10).collect();
        let jobs = rolling(&tokens, 4);
        let pairs: Vec<(&[u32], &[u32])> =
            jobs.iter().map(|job| (&job.tokens[..job.scored.end - 1], &job.tokens[job.scored.clone()])).collect();
        let want: [(&[u32], &[u32]); 3] =
            [(&[100, 0, 1, 2], &[0, 1, 2, 3]), (&[3, 4, 5, 6], &[4, 5, 6, 7]), (&[5, 6, 7, 8], &[8, 9])];
        assert_eq!(pairs, want);
    }
}
