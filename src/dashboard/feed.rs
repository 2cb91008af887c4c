//! From what an engine tells to updates. All that is known of a run gets in here: rows of profiled tokens through
//! [`Feed::event`], memory between two texts through [`Feed::begin`] and [`Feed::finished`], values over time through [`Plots`].

use super::handle::Handle;
use super::update::{Finished, Token, Update};
use crate::generate::{Engine, Event, FinishReason, Generation, Metrics, Profiling};
use crate::observe::{self, Sink, SinkId};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Tokens whose rate is shown.
const LATEST: usize = 16;

/// Tells a dashboard what happens while requests run. The text goes its own way, because how thinking looks is not known here.
pub struct Feed {
    handle: Handle,
    profiling: Profiling,
    metrics: Metrics,
    /// When the latest tokens arrived, and how many there were.
    arrivals: VecDeque<Instant>,
    tokens: u64,
    plots: SinkId,
}

impl Feed {
    /// Profiles one token in `every`. `baseline` is what the process took of the host's memory before anything was loaded.
    pub fn new(handle: &Handle, every: usize, baseline: u64) -> Self {
        Self {
            handle: handle.clone(),
            profiling: Profiling::one_in(every),
            metrics: Metrics::new(baseline),
            arrivals: VecDeque::new(),
            tokens: 0,
            plots: observe::attach(Arc::new(Plots(handle.clone()))),
        }
    }

    /// What sessions profile by, so that the user can turn it off and on.
    pub fn profiling(&self) -> Profiling {
        self.switch();
        self.profiling.clone()
    }

    /// A request is about to run. What stopped the one before does not stop this one.
    pub fn begin(&mut self, engine: &Engine) {
        self.handle.begin();
        self.arrivals.clear();
        self.tokens = 0;
        self.handle.tell(Update::Begun);
        self.keeps(engine);
    }

    /// Tells what an event says; breaks where the user wants no more.
    pub fn event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        self.switch();
        self.metrics.hear(event);
        match event {
            Event::Prefilling { done, total } => self.status(format!("prompt: {done} of {total} tokens")),
            Event::Prefilled { .. } => self.status("generating".to_owned()),
            Event::Token { .. } => self.token(),
            Event::Profiled { .. } => {
                self.handle.tell(Update::Latency(self.metrics.latency_rows()));
                self.handle.tell(Update::Memory(self.metrics.memory_rows()));
                self.handle.tell(Update::Ops(self.metrics.ops().to_vec()));
            }
            Event::Tail { .. } | Event::Segment(_) => {}
        }
        if self.handle.cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Tells that the text is complete.
    pub fn finished(&mut self, engine: &Engine, generation: &Generation) {
        self.keeps(engine);
        let reason = match generation.finish_reason {
            FinishReason::Stop => "stop",
            FinishReason::Eos => "eos",
            FinishReason::Length => "length",
            FinishReason::Cancelled => "cancelled",
        };
        let (tokens, seconds) = (generation.ids.len(), generation.stats.decode_seconds);
        self.handle.tell(Update::Finished(Finished { reason: reason.to_owned(), tokens, seconds }));
    }

    /// Tells where the memory is.
    fn keeps(&mut self, engine: &Engine) {
        let cache = engine.cache();
        self.handle.tell(Update::Kept(Token {
            tokens_per_second: None,
            kv_used_bytes: Some(cache.used_bytes()),
            kv_allocated_bytes: Some(cache.allocated_bytes()),
            device_bytes: Some(engine.memory().bytes()),
        }));
        let parts = engine.memory_parts();
        self.metrics.sample_memory(&engine.memory_sample(&parts, cache.used_bytes()));
        self.handle.tell(Update::Memory(self.metrics.memory_rows()));
    }

    fn switch(&self) {
        self.profiling.switch().store(self.handle.profiling(), Ordering::Relaxed);
    }

    fn status(&self, status: String) {
        self.handle.tell(Update::Status(status));
    }

    fn token(&mut self) {
        let now = Instant::now();
        if self.arrivals.len() > LATEST {
            self.arrivals.pop_front();
        }
        let since = self.arrivals.front().map(|first| (now - *first).as_secs_f64()).filter(|seconds| *seconds > 0.0);
        let tokens_per_second = since.map(|seconds| self.arrivals.len() as f64 / seconds);
        self.arrivals.push_back(now);
        self.tokens += 1;
        self.status(format!("generating: {} tokens", self.tokens));
        self.handle.tell(Update::Token(Token { tokens_per_second, ..Token::default() }));
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        observe::detach(self.plots);
    }
}

/// What the engine tells at every token while it is observed.
struct Plots(Handle);

impl Sink for Plots {
    fn plot(&self, name: &'static str, value: f64) {
        let bytes = Some(value as u64);
        let numbers = match name {
            "KV cache used" => Token { kv_used_bytes: bytes, ..Token::default() },
            "device memory" => Token { device_bytes: bytes, ..Token::default() },
            _ => return,
        };
        self.0.offer(Update::Kept(numbers));
    }
}
