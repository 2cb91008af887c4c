//! One conversation: keeps what has run and runs only what is new.

use super::engine::{Engine, Step};
use super::request::{Event, FinishReason, Generation, Request, StepCounters};
use crate::Error;
use crate::cache::SequenceId;
use crate::graph::{Counters, Plan};
use crate::kernels::sampling::Sampling;
use crate::measure::{GenerationStats, StatsRecorder};
use crate::text::{Controls, Detokenizer, Start, StopMatcher, Tokenizer};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

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
        let most = self.check(request)?;
        let prompt = &request.prompt;
        let mut run = Run::new(&request.stop)?;
        let mut stats = StatsRecorder::start(self.engine);
        let kept = self.sync(prompt);
        let parts = request.sampling.parts();
        let history = parts.penalties.then_some((prompt.as_slice(), &[] as &[u32]));
        self.engine.set_sampling(self.sequence, request.sampling.settings(), history)?;
        tracing::debug!(target: "ffai::generate", "begin prefill: {} tokens, maxTokens={}", prompt.len() - kept, request.max_tokens);

        let reason = match self.prefill(prompt, kept, parts, on_event)? {
            Some(first) => {
                run.flying.push_back(first);
                self.decode(request, most, prompt.len() - kept, &mut run, &mut stats, on_event)?
            }
            None => FinishReason::Cancelled,
        };
        stats.finish(self.engine);
        let flying = std::mem::take(&mut run.flying);
        self.settle(flying, &run.ids)?;
        let used = self.engine.cache().used_bytes();
        let stats = GenerationStats {
            context_size: self.engine.model().config().context,
            weights_bytes: self.engine.model().weight_bytes(),
            kv_cache_allocated_bytes: self.engine.cache().allocated_bytes(),
            kv_cache_used_bytes: used,
            ..stats.totals(prompt.len(), run.ids.len())
        };
        let (count, seconds, rate) = (run.ids.len(), stats.decode_seconds, stats.decode_tokens_per_second);
        tracing::debug!(target: "ffai::generate", "decode done: {count} tokens in {seconds:.3}s ({rate:.1} tok/s)");
        let step = run.steady_step(used);
        let (finish_reason, ids, text) = run.end(reason, on_event);
        Ok(Generation { ids, text, finish_reason, stats, step })
    }

    /// Refuses what cannot run: the number of tokens that may be generated.
    fn check(&self, request: &Request) -> Result<usize, Error> {
        request.sampling.check()?;
        let (found, context) = (request.prompt.len(), self.engine.context() as usize);
        if found == 0 {
            return Err(Error::EmptyPrompt);
        }
        if request.max_tokens == 0 {
            return Err(Error::Option { option: "--max-tokens", expected: "at least 1", found: "0".to_owned() });
        }
        if found >= context {
            return Err(Error::PromptTooLong { found, context });
        }
        // The last token that is generated need not fit: nothing is attended from it.
        Ok(request.max_tokens.min(context - found + 1))
    }

    /// Runs what is new of the prompt; `None` when it was given up between two chunks.
    fn prefill(
        &mut self,
        prompt: &[u32],
        kept: usize,
        parts: Sampling,
        on_event: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<Option<Step>, Error> {
        let mut cancelled = false;
        let done = self.engine.prefill_chunks(self.sequence, &prompt[kept..], &mut |done| {
            let flow = on_event(Event::Prefilling { done: kept + done, total: prompt.len() });
            cancelled = flow.is_break();
            flow
        })?;
        if cancelled {
            self.held = prompt[..kept + done].to_vec();
            return Ok(None);
        }
        let first = self.engine.prefill_last(self.sequence, &prompt[kept + done..], 0, parts, false)?;
        self.held = prompt.to_vec();
        Ok(Some(first))
    }

    /// Takes tokens as they arrive, with one more step always submitted, until the run ends.
    fn decode(
        &mut self,
        request: &Request,
        most: usize,
        prefilled: usize,
        run: &mut Run,
        stats: &mut StatsRecorder,
        on_event: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<FinishReason, Error> {
        let parts = request.sampling.parts();
        let mut launched = 1;
        loop {
            while run.flying.len() < AHEAD && launched < most {
                run.flying.push_back(self.engine.step(&[self.sequence], parts, false)?);
                launched += 1;
            }
            let Some(step) = run.flying.pop_front() else { return Ok(FinishReason::Length) };
            run.plan = Some(step.plan().clone());
            let token = self.engine.finish(step)?.0[0];
            if run.marks.is_empty() {
                stats.prefilled(self.engine, prefilled);
                let event = Event::Prefilled { tokens: prefilled, seconds: stats.prefill_seconds() };
                if on_event(event).is_break() {
                    return Ok(FinishReason::Cancelled);
                }
            } else {
                stats.decoded(self.engine);
            }
            run.marks.push(self.engine.counters());
            if token >= self.engine.model().config().vocab {
                let position = self.held.len() + run.ids.len();
                let flying = std::mem::take(&mut run.flying);
                self.settle(flying, &[])?;
                return Err(Error::NotFinite { position });
            }
            if !request.ignore_eos && self.tokenizer.eos_ids().contains(&token) {
                return Ok(FinishReason::Eos);
            }
            let (text, stopped) = run.take(self.tokenizer, token);
            let flow = on_event(Event::Token { id: token, text: &text });
            if stopped {
                return Ok(FinishReason::Stop);
            }
            if flow.is_break() {
                return Ok(FinishReason::Cancelled);
            }
            if run.ids.len() >= most {
                return Ok(FinishReason::Length);
            }
        }
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
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.engine.close(self.sequence);
    }
}

/// What has come out of a run so far, and what is still in flight.
struct Run {
    detokenizer: Detokenizer,
    stops: StopMatcher,
    flying: VecDeque<Step>,
    ids: Vec<u32>,
    text: String,
    /// The plan of the latest step.
    plan: Option<Arc<Plan>>,
    /// Totals as each token arrived.
    marks: Vec<Counters>,
}

impl Run {
    fn new(stop: &[String]) -> Result<Self, Error> {
        Ok(Self {
            detokenizer: Detokenizer::new(Start::Continuation, Controls::Omit),
            stops: StopMatcher::new(stop.iter().cloned())?,
            flying: VecDeque::new(),
            ids: Vec::new(),
            text: String::new(),
            plan: None,
            marks: Vec::new(),
        })
    }

    /// Adds a token: the text that is certain now, and whether it ends with a stop string.
    fn take(&mut self, tokenizer: &Tokenizer, token: u32) -> (String, bool) {
        self.ids.push(token);
        let certain = self.detokenizer.push(tokenizer, token);
        let output = self.stops.push(&certain);
        self.text.push_str(&output.text);
        (output.text, output.stopped.is_some())
    }

    /// Gives out the text that was held back: reason, tokens and text of the whole run. A stop string may turn out complete only
    /// now.
    fn end(
        mut self,
        reason: FinishReason,
        on_event: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> (FinishReason, Vec<u32>, String) {
        if reason == FinishReason::Stop {
            return (reason, self.ids, self.text);
        }
        let rest = self.stops.push(&self.detokenizer.finish());
        let (mut tail, mut stopped) = (rest.text, rest.stopped.is_some());
        if !stopped {
            let end = self.stops.finish();
            tail.push_str(&end.text);
            stopped = end.stopped.is_some();
        }
        self.text.push_str(&tail);
        if !tail.is_empty() {
            // The run is over: whether the listener wants more no longer matters.
            let _ = on_event(Event::Tail { text: &tail });
        }
        (if stopped { FinishReason::Stop } else { reason }, self.ids, self.text)
    }

    /// A step in the middle of the run, where as many steps are submitted as finished.
    fn steady_step(&self, kv_bytes: u64) -> Option<StepCounters> {
        let (plan, counters) = (self.plan.as_ref()?, steady(&self.marks)?);
        Some(StepCounters {
            dispatches: counters.dispatches,
            passes: counters.passes,
            hazards: plan.hazards as u64,
            submits: counters.submits,
            syncs: counters.syncs,
            readback_bytes: counters.readback_bytes,
            weight_bytes: plan.cost().weight_bytes,
            kv_bytes,
        })
    }
}

/// The difference between two tokens in the middle of the run, where as many steps are submitted as finished.
fn steady(marks: &[Counters]) -> Option<Counters> {
    if marks.len() < 5 {
        return None;
    }
    let middle = marks.len() / 2;
    Some(marks[middle] - marks[middle - 1])
}
