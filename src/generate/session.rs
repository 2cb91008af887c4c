//! One conversation: keeps what has run and runs only what is new.

use super::engine::{Engine, Step};
use super::request::{Event, FinishReason, Generation, Request, StepCounters};
use super::text_stream::{Listener, TextStream, Written};
use crate::Error;
use crate::cache::SequenceId;
use crate::graph::{Counters, Plan};
use crate::kernels::sampling::Sampling;
use crate::measure::{GenerationStats, StatsRecorder};
use crate::text::{ThinkingStyle, Tokenizer};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Steps that are submitted before their tokens are read: one runs while the next is encoded.
const AHEAD: usize = 2;

/// One sequence of an engine and the tokens it holds.
pub struct Session<'e> {
    engine: &'e mut Engine,
    tokenizer: &'e Tokenizer,
    thinking: ThinkingStyle,
    sequence: SequenceId,
    held: Vec<u32>,
}

impl<'e> Session<'e> {
    /// Opens a sequence; `None` when the engine has no place left.
    pub fn new(engine: &'e mut Engine, tokenizer: &'e Tokenizer) -> Option<Self> {
        let sequence = engine.open()?;
        let thinking = ThinkingStyle::of(&engine.model().config().model_type, tokenizer);
        Some(Self { engine, tokenizer, thinking, sequence, held: Vec::new() })
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        self.engine
    }

    /// How the model marks its thinking.
    pub fn thinking_style(&self) -> &ThinkingStyle {
        &self.thinking
    }

    /// Splits by other marks than those that model and tokenizer suggest.
    pub fn set_thinking_style(&mut self, style: ThinkingStyle) {
        self.thinking = style;
    }

    /// The tokens that the sequence holds: what of the next prompt begins with them need not run.
    pub fn held(&self) -> &[u32] {
        &self.held
    }

    /// Keeps the longest common prefix of what the sequence holds and `tokens`, and takes back the rest: how many tokens are
    /// kept. [`Session::generate`] begins with it.
    ///
    /// The last of `tokens` is never kept: it runs again, because the logits behind it are wanted.
    pub fn sync(&mut self, tokens: &[u32]) -> usize {
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
        let mut stats = StatsRecorder::start(self.engine);
        let style = self.thinking.clone();
        let mut run = Run::new(TextStream::new(self.tokenizer, &style, prompt, &request.stop)?);
        let kept = self.sync(prompt);
        let parts = request.sampling.parts();
        let history = parts.penalties.then_some((prompt.as_slice(), &[] as &[u32]));
        self.engine.set_sampling(self.sequence, request.sampling.settings(), history)?;
        tracing::debug!(target: "ffai::generate", "begin prefill: {} tokens, maxTokens={}", prompt.len() - kept, request.max_tokens);

        // Before the prompt runs, so that a client sees at once that there is thinking.
        let first = match run.stream.begin(on_event) {
            ControlFlow::Continue(()) => self.prefill(prompt, kept, parts, on_event)?,
            ControlFlow::Break(()) => None,
        };
        let reason = match first {
            Some(first) => {
                run.flying.push_back(first);
                self.decode(request, most, prompt.len() - kept, &mut run, &mut stats, on_event)?
            }
            None => FinishReason::Cancelled,
        };
        stats.finish(self.engine);
        let flying = std::mem::take(&mut run.flying);
        self.settle(flying, run.stream.ids())?;
        let used = self.engine.cache().used_bytes();
        let step = run.steady_step(used);
        let (finish_reason, written) = run.stream.end(reason, on_event);
        let stats = GenerationStats {
            cached_prompt_tokens: kept,
            think_tokens: written.counts.map(|counts| counts.thinking_tokens),
            gen_tokens: written.counts.map(|counts| counts.answer_tokens),
            context_size: self.engine.model().config().context,
            weights_bytes: self.engine.model().weight_bytes(),
            kv_cache_allocated_bytes: self.engine.cache().allocated_bytes(),
            kv_cache_used_bytes: used,
            ..stats.totals(prompt.len(), written.ids.len())
        };
        let (count, seconds, rate) = (written.ids.len(), stats.decode_seconds, stats.decode_tokens_per_second);
        tracing::debug!(target: "ffai::generate", "decode done: {count} tokens in {seconds:.3}s ({rate:.1} tok/s)");
        let Written { ids, text, segments, .. } = written;
        Ok(Generation { ids, text, segments, finish_reason, stats, step })
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
        on_event: &mut Listener<'_>,
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
        run: &mut Run<'_>,
        stats: &mut StatsRecorder,
        on_event: &mut Listener<'_>,
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
                let position = self.held.len() + run.stream.ids().len();
                let flying = std::mem::take(&mut run.flying);
                self.settle(flying, &[])?;
                return Err(Error::NotFinite { position });
            }
            if !request.ignore_eos && self.tokenizer.eos_ids().contains(&token) {
                return Ok(FinishReason::Eos);
            }
            let (flow, stopped) = run.stream.token(token, on_event);
            if stopped {
                return Ok(FinishReason::Stop);
            }
            if flow.is_break() {
                return Ok(FinishReason::Cancelled);
            }
            if run.stream.ids().len() >= most {
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
struct Run<'r> {
    stream: TextStream<'r>,
    flying: VecDeque<Step>,
    /// The plan of the latest step.
    plan: Option<Arc<Plan>>,
    /// Totals as each token arrived.
    marks: Vec<Counters>,
}

impl<'r> Run<'r> {
    fn new(stream: TextStream<'r>) -> Self {
        Self { stream, flying: VecDeque::new(), plan: None, marks: Vec::new() }
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
