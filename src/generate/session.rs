//! One conversation: keeps what has run and runs only what is new.

use super::engine::{Engine, Step};
use super::request::{Event, FinishReason, Generation, Request, StepCounters};
use crate::Error;
use crate::cache::SequenceId;
use crate::graph::Counters;
use crate::measure::{GenerationStats, StatsRecorder};
use crate::text::{Controls, Detokenizer, Start, StopMatcher, Tokenizer};
use std::collections::VecDeque;
use std::ops::ControlFlow;

/// Steps that are submitted before their tokens are read: one runs while the next is encoded.
const AHEAD: usize = 2;

/// One sequence of an engine and the tokens it holds.
pub struct Session<'e> {
    engine: &'e mut Engine,
    tokenizer: &'e Tokenizer,
    sequence: SequenceId,
    held: Vec<u32>,
}

impl<'e> Session<'e> {
    /// Opens a sequence; `None` when the engine has no place left.
    pub fn new(engine: &'e mut Engine, tokenizer: &'e Tokenizer) -> Option<Self> {
        let sequence = engine.open()?;
        Some(Self { engine, tokenizer, sequence, held: Vec::new() })
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        self.engine
    }

    /// Keeps the longest common prefix of what the sequence holds and `tokens`: how many tokens that is.
    ///
    /// The last token always runs again, because its logits are wanted.
    fn sync(&mut self, tokens: &[u32]) -> usize {
        let common = self.held.iter().zip(tokens).take_while(|(a, b)| a == b).count();
        let kept = common.min(tokens.len().saturating_sub(1));
        self.held.truncate(kept);
        if self.engine.length(self.sequence) as usize > kept {
            self.engine.rewind(self.sequence, kept as u32);
        }
        kept
    }

    /// Runs a request. `on_event` hears of every token as it is known and may end the run.
    pub fn generate(
        &mut self,
        request: &Request,
        on_event: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<Generation, Error> {
        let prompt = &request.prompt;
        request.sampling.check()?;
        let mut stops = StopMatcher::new(request.stop.iter().cloned())?;
        if prompt.is_empty() {
            return Err(Error::EmptyPrompt);
        }
        if request.max_tokens == 0 {
            return Err(Error::Option { option: "--max-tokens", expected: "at least 1", found: "0".to_owned() });
        }
        let context = self.engine.context() as usize;
        if prompt.len() >= context {
            return Err(Error::PromptTooLong { found: prompt.len(), context });
        }
        // The last token that is generated need not fit: nothing is attended from it.
        let room = context - prompt.len() + 1;
        let most = request.max_tokens.min(room);
        let mut stats = StatsRecorder::start(self.engine);
        let kept = self.sync(prompt);
        let parts = request.sampling.parts();
        let history = parts.penalties.then_some((prompt.as_slice(), &[] as &[u32]));
        self.engine.set_sampling(self.sequence, request.sampling.settings(), history)?;
        tracing::debug!(target: "ffai::generate", "begin prefill: {} tokens, maxTokens={}", prompt.len() - kept, request.max_tokens);

        let mut cancelled = false;
        let total = prompt.len();
        let done = self.engine.prefill_chunks(self.sequence, &prompt[kept..], &mut |done| {
            let flow = on_event(Event::Prefilling { done: kept + done, total });
            cancelled = flow.is_break();
            flow
        })?;
        let mut flying = VecDeque::new();
        let mut launched = 0;
        if cancelled {
            self.held = prompt[..kept + done].to_vec();
        } else {
            let part = &prompt[kept + done..];
            flying.push_back(self.engine.prefill_last(self.sequence, part, 0, parts, false)?);
            launched = 1;
            self.held = prompt.clone();
        }
        let mut run = Run {
            detokenizer: Detokenizer::new(Start::Continuation, Controls::Omit),
            ids: Vec::new(),
            text: String::new(),
            marks: Vec::new(),
        };
        let mut hazards = 0;
        let mut weight_bytes = 0;
        let reason = loop {
            if cancelled {
                break FinishReason::Cancelled;
            }
            while flying.len() < AHEAD && launched < most {
                let step = self.engine.step(&[self.sequence], parts, false)?;
                hazards = step.plan().hazards as u64;
                weight_bytes = step.plan().cost().weight_bytes;
                flying.push_back(step);
                launched += 1;
            }
            let Some(step) = flying.pop_front() else { break FinishReason::Length };
            let (tokens, _) = self.engine.finish(step)?;
            let token = tokens[0];
            if run.ids.is_empty() && run.marks.is_empty() {
                stats.prefilled(self.engine, prompt.len() - kept);
                let event = Event::Prefilled { tokens: prompt.len() - kept, seconds: stats.prefill_seconds() };
                if on_event(event).is_break() {
                    break FinishReason::Cancelled;
                }
            } else {
                stats.decoded(self.engine);
            }
            run.marks.push(self.engine.counters());
            if token as usize >= self.tokenizer.vocab_size().max(self.engine.model().config().vocab as usize) {
                return Err(self.fail(flying, run.ids.len()));
            }
            if !request.ignore_eos && self.tokenizer.eos_ids().contains(&token) {
                break FinishReason::Eos;
            }
            run.ids.push(token);
            let certain = run.detokenizer.push(self.tokenizer, token);
            let output = stops.push(&certain);
            run.text.push_str(&output.text);
            let flow = on_event(Event::Token { id: token, text: &output.text });
            if output.stopped.is_some() {
                break FinishReason::Stop;
            }
            if flow.is_break() {
                break FinishReason::Cancelled;
            }
            if run.ids.len() >= most {
                break FinishReason::Length;
            }
        };
        stats.finish(self.engine);
        self.settle(flying, &run.ids)?;
        let Run { detokenizer, ids, mut text, marks } = run;
        if reason != FinishReason::Stop {
            let rest = stops.push(&detokenizer.finish());
            let tail = if rest.stopped.is_some() { rest.text } else { rest.text + &stops.finish().text };
            text.push_str(&tail);
            if !tail.is_empty() {
                let _ = on_event(Event::Tail { text: &tail });
            }
        }
        let used = self.engine.cache().used_bytes();
        let step = steady(&marks).map(|c| StepCounters {
            dispatches: c.dispatches,
            passes: c.passes,
            hazards,
            submits: c.submits,
            syncs: c.syncs,
            readback_bytes: c.readback_bytes,
            weight_bytes,
            kv_bytes: used,
        });
        let cache = self.engine.cache();
        let stats = GenerationStats {
            context_size: self.engine.model().config().context,
            weights_bytes: self.engine.model().weight_bytes(),
            kv_cache_allocated_bytes: cache.allocated_bytes(),
            kv_cache_used_bytes: used,
            ..stats.totals(prompt.len(), ids.len())
        };
        tracing::debug!(
            target: "ffai::generate",
            "decode done: {} tokens in {:.3}s ({:.1} tok/s)",
            ids.len(),
            stats.decode_seconds,
            stats.decode_tokens_per_second
        );
        Ok(Generation { ids, text, finish_reason: reason, stats, step })
    }

    /// Lets steps that ran past the end finish, and takes back what they wrote.
    fn settle(&mut self, flying: VecDeque<Step>, ids: &[u32]) -> Result<(), Error> {
        for step in flying {
            self.engine.finish(step)?;
        }
        self.held.extend_from_slice(ids);
        // Of the generated tokens the last has not run, or has run past what the text holds.
        let length = (self.engine.length(self.sequence) as usize).min(self.held.len());
        self.held.truncate(length);
        self.engine.rewind(self.sequence, length as u32);
        Ok(())
    }

    fn fail(&mut self, flying: VecDeque<Step>, generated: usize) -> Error {
        let position = self.held.len() + generated;
        match self.settle(flying, &[]) {
            Ok(()) => Error::NotFinite { position },
            Err(error) => error,
        }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.engine.close(self.sequence);
    }
}

struct Run {
    detokenizer: Detokenizer,
    ids: Vec<u32>,
    text: String,
    /// Totals as each token arrived.
    marks: Vec<Counters>,
}

/// The difference between two tokens in the middle of the run, where as many steps are submitted as finished.
fn steady(marks: &[Counters]) -> Option<Counters> {
    if marks.len() < 5 {
        return None;
    }
    let middle = marks.len() / 2;
    Some(marks[middle] - marks[middle - 1])
}
