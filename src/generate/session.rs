//! One conversation: keeps what has run and runs only what is new.

use super::engine::{Engine, Step};
use super::profiling::{Profiling, RunProfile, step_counters, tell_ops, tell_passes};
use super::request::{Event, FinishReason, Generation, Request, StepCounters};
use super::text_stream::{Listener, TextStream, Written};
use crate::Error;
use crate::cache::SequenceId;
use crate::graph::{Counters, Plan};
use crate::kernels::sampling::Sampling;
use crate::measure::{GenerationStats, ProfileCounters, StatsRecorder};
use crate::observe;
use crate::text::{Controls, ThinkingStyle, Tokenizer};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

/// Steps that are submitted before their tokens are read: one runs while the next is encoded.
const AHEAD: usize = 2;

/// One sequence of an engine and the tokens it holds.
pub struct Session<'e> {
    engine: &'e mut Engine,
    tokenizer: &'e Tokenizer,
    thinking: ThinkingStyle,
    sequence: SequenceId,
    held: Vec<u32>,
    profiling: Option<Profiling>,
}

impl<'e> Session<'e> {
    /// Opens a sequence; `None` when the engine has no place left.
    pub fn new(engine: &'e mut Engine, tokenizer: &'e Tokenizer) -> Option<Self> {
        let sequence = engine.open()?;
        let thinking = ThinkingStyle::of(&engine.model().config().model_type, tokenizer);
        Some(Self { engine, tokenizer, thinking, sequence, held: Vec::new(), profiling: None })
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

    /// Profiles some of the tokens of the runs to come, or none.
    pub fn set_profiling(&mut self, profiling: Option<Profiling>) {
        self.profiling = profiling;
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
        let whole = observe::span("generation");
        let prefill = observe::span("prefill");
        let mut stats = StatsRecorder::start(self.engine);
        let style = self.thinking.clone();
        let stream = TextStream::new(self.tokenizer, &style, prompt, &request.stop, most)?;
        let mut run = Run::new(stream, prefill, self.profiling.clone());
        let kept = self.sync(prompt);
        let parts = request.sampling.parts();
        let history = parts.penalties.then_some((prompt.as_slice(), &[] as &[u32]));
        self.engine.set_sampling(self.sequence, request.sampling.settings(), history)?;
        self.engine.time_passes(observe::listening());
        tracing::debug!(target: "ffai::generate", "begin prefill: {} tokens, maxTokens={}", prompt.len() - kept, request.max_tokens);
        tracing::debug!(target: "ffai::sampling", "{:?}, as {parts:?}", request.sampling);

        // Before the prompt runs, so that a client sees at once that there is thinking.
        let first = match run.stream.begin(on_event) {
            ControlFlow::Continue(()) => {
                self.engine.time_ops(run.wants(0));
                let first = self.prefill(prompt, kept, parts, on_event);
                self.engine.time_ops(false);
                first?
            }
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
        drop(run.zone.take());
        drop(whole);
        let flying = std::mem::take(&mut run.flying);
        self.settle(flying, run.stream.ids())?;
        tell_passes(&self.engine.pass_spans());
        self.engine.time_passes(false);
        let used = self.engine.cache().used_bytes();
        let step = run.steady_step(used);
        let steady = run.steady_counters();
        let profile = run.profile.take().and_then(|profile| profile.finish(run.plan.as_ref(), steady));
        let (finish_reason, written) = run.stream.end(reason, on_event);
        let stats = GenerationStats {
            cached_prompt_tokens: kept,
            think_tokens: written.counts.map(|counts| counts.thinking_tokens),
            gen_tokens: written.counts.map(|counts| counts.answer_tokens),
            context_size: self.engine.model().config().context,
            weights_bytes: self.engine.model().weight_bytes(),
            kv_cache_allocated_bytes: self.engine.cache().allocated_bytes(),
            kv_cache_used_bytes: used,
            wired_ticket_bytes: self.engine.memory().working_set,
            ..stats.totals(prompt.len(), written.ids.len())
        };
        let (count, seconds, rate) = (written.ids.len(), stats.decode_seconds, stats.decode_tokens_per_second);
        tracing::debug!(target: "ffai::generate", "decode done: {count} tokens in {seconds:.3}s ({rate:.1} tok/s)");
        stats.record_phases();
        let Written { ids, text, segments, .. } = written;
        Ok(Generation { ids, text, segments, finish_reason, stats, step, profile })
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
                let timed = run.wants(launched);
                // A step that is timed runs alone.
                if timed && !run.flying.is_empty() {
                    break;
                }
                self.engine.time_ops(timed);
                let step = self.engine.step(&[self.sequence], parts, false);
                self.engine.time_ops(false);
                run.flying.push_back(step?);
                launched += 1;
                if timed {
                    break;
                }
            }
            let Some(step) = run.flying.pop_front() else { return Ok(FinishReason::Length) };
            run.plan = Some(step.plan().clone());
            let token = {
                let _sampling = observe::span("sampling");
                self.engine.finish_one(step)?
            };
            if run.arrived == 0 {
                stats.prefilled(self.engine, prefilled);
                let (seconds, rate) = (stats.prefill_seconds(), prefilled as f64 / stats.prefill_seconds());
                tracing::debug!(target: "ffai::generate", "prefill done in {seconds:.3}s ({rate:.1} tok/s)");
                observe::event("ttft");
                let event = Event::Prefilled { tokens: prefilled, seconds };
                if on_event(event).is_break() {
                    return Ok(FinishReason::Cancelled);
                }
            } else {
                stats.decoded(self.engine);
            }
            if self.told(run, token, on_event).is_break() {
                return Ok(FinishReason::Cancelled);
            }
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

    /// A token has arrived: counts it, and tells who listens what its step did.
    fn told(&mut self, run: &mut Run<'_>, token: u32, on_event: &mut Listener<'_>) -> ControlFlow<()> {
        let counters = self.engine.counters();
        let since = run.before.replace(counters).map(|before| counters - before);
        run.mark(counters);
        run.zone = None;
        if observe::listening() {
            self.plot(run);
        }
        let timings = self.engine.take_timings();
        let index = run.arrived;
        run.arrived += 1;
        run.zone = Some(observe::span("decode_step"));
        let Some(profile) = &mut run.profile else { return ControlFlow::Continue(()) };
        profile.arrived(!timings.is_empty());
        if timings.is_empty() {
            return ControlFlow::Continue(());
        }
        let parts = self.engine.memory_parts();
        let memory = self.engine.memory_sample(&parts, self.engine.cache().used_bytes());
        for timed in &timings {
            tell_ops(timed);
            let own = since.map_or_else(ProfileCounters::default, |counters| step_counters(counters, &timed.plan));
            let text = String::from_utf8_lossy(&self.tokenizer.decode(&[token], Controls::Show)).into_owned();
            let step = profile.add(timed, index, text, own).clone();
            if on_event(Event::Profiled { step: &step, ops: &profile.ops(), memory: &memory }).is_break() {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// What the timeline shows at every token.
    fn plot(&mut self, run: &mut Run<'_>) {
        let now = Instant::now();
        if let Some(before) = run.last.replace(now) {
            observe::plot("tokens per second", 1.0 / (now - before).as_secs_f64().max(1e-9));
        }
        observe::plot("device memory", self.engine.memory().bytes() as f64);
        observe::plot("KV cache used", self.engine.cache().used_bytes() as f64);
        tell_passes(&self.engine.pass_spans());
        observe::frame();
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
    /// Totals as each of the first tokens arrived.
    marks: Vec<Counters>,
    /// Totals as the latest token arrived.
    before: Option<Counters>,
    /// Tokens that have arrived.
    arrived: usize,
    profile: Option<RunProfile>,
    /// What the timeline shows as going on.
    zone: Option<observe::Span>,
    last: Option<Instant>,
}

/// Tokens whose counters are kept: enough for a steady one in their middle.
const MARKS: usize = 64;

impl<'r> Run<'r> {
    fn new(stream: TextStream<'r>, zone: observe::Span, profiling: Option<Profiling>) -> Self {
        Self {
            stream,
            flying: VecDeque::with_capacity(AHEAD),
            plan: None,
            marks: Vec::with_capacity(MARKS),
            before: None,
            arrived: 0,
            profile: profiling.map(RunProfile::new),
            zone: Some(zone),
            last: None,
        }
    }

    /// Whether the step that makes token number `index` is timed.
    fn wants(&self, index: usize) -> bool {
        self.profile.as_ref().is_some_and(|profile| profile.wants(index))
    }

    fn mark(&mut self, counters: Counters) {
        if self.marks.len() < MARKS {
            self.marks.push(counters);
        }
    }

    /// Counters of a step in the middle of the run, where as many steps are submitted as finished.
    fn steady_counters(&self) -> Option<ProfileCounters> {
        Some(step_counters(self.steady()?, self.plan.as_ref()?))
    }

    /// As the `--json` object has it.
    fn steady_step(&self, kv_bytes: u64) -> Option<StepCounters> {
        let (plan, counters) = (self.plan.as_ref()?, self.steady_counters()?);
        Some(StepCounters {
            dispatches: counters.dispatches,
            passes: counters.passes,
            hazards: counters.hazards,
            submits: counters.submits,
            syncs: counters.syncs,
            readback_bytes: counters.readback_bytes,
            weight_bytes: plan.cost().weight_bytes,
            kv_bytes,
        })
    }

    /// The difference between two tokens in the middle of the run that were not profiled, nor their neighbours.
    fn steady(&self) -> Option<Counters> {
        let middle = self.marks.len() / 2;
        if self.marks.len() < 5 {
            return None;
        }
        // From the middle outwards, as far as there are tokens with two before them and one behind.
        let candidates = (0..middle).flat_map(|apart| [middle + apart, middle - apart]);
        let plain = |index: usize| (index - 2..=index + 1).all(|index| !self.wants(index));
        let mut candidates = candidates.filter(|&index| index >= 2 && index + 1 < self.marks.len());
        candidates.find(|&index| plain(index)).map(|index| self.marks[index] - self.marks[index - 1])
    }
}
