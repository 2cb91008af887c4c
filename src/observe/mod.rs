//! What the engine tells about itself while it runs: phases, spans, events, plots and zones of the device.
//!
//! Whoever wants to know attaches a [`Sink`]; however many there are, a thing is told once to each. While nobody listens, telling
//! costs one relaxed load. A program's own phases go the same way:
//!
//! ```
//! use ffai::observe::{self, Level};
//!
//! observe::set_level(Level::Phases);
//! let sum: u64 = observe::time("summing", || (0..1000u64).sum()); // a phase: timed from level 1 on, a span from level 2 on
//! observe::event("summed"); // a moment
//! let _span = observe::span("writing"); // until it is dropped, from level 2 on
//! # assert_eq!(sum, 499_500);
//! # if cfg!(feature = "observe") {
//! let phases = observe::phases();
//! assert_eq!(phases.iter().next().map(|phase| phase.name), Some("summing"));
//! # }
//! observe::reset_phases();
//! ```

mod device_lane;
mod log;
mod open_spans;
mod phases;
mod sink;
mod trace_file;
pub mod tracy;

pub use log::{GateError, Gates, SUBSYSTEMS};
pub(crate) use open_spans::OpenSpans;
pub use phases::{Phase, PhaseTimings};
pub use sink::{DeviceRun, DeviceZone, Sink, SinkId};
pub use trace_file::{TraceFile, TraceFileError};

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// How much is told, as `--profiling` numbers it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing.
    #[default]
    Off,
    /// Times of phases, by the clock of the host.
    Phases,
    /// Spans too, for those that record them.
    Spans,
    /// Times of every op on the device too.
    Ops,
}

impl Level {
    /// By its number; `None` for numbers that stand for no level.
    pub fn numbered(number: u32) -> Option<Self> {
        [Self::Off, Self::Phases, Self::Spans, Self::Ops].get(usize::try_from(number).ok()?).copied()
    }
}

/// Levels of [`PHASES`] and above record phases; [`SPANS`] is set while spans have a reader.
static GATE: AtomicU8 = AtomicU8::new(0);
const PHASES: u8 = 1;
const SPANS: u8 = 2;

static STATE: Mutex<State> = Mutex::new(State { level: Level::Off, phases: PhaseTimings::new() });
static SINKS: RwLock<Vec<(SinkId, Arc<dyn Sink>)>> = RwLock::new(Vec::new());

struct State {
    level: Level,
    phases: PhaseTimings,
}

fn state() -> std::sync::MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether any of `what` is told to anybody.
#[inline]
fn open(what: u8) -> bool {
    cfg!(feature = "observe") && GATE.load(Ordering::Relaxed) & what != 0
}

/// Sets how much is told from here on, in the whole process.
pub fn set_level(level: Level) {
    state().level = level;
    set_gate();
}

/// How much is told.
pub fn level() -> Level {
    state().level
}

fn set_gate() {
    let level = level();
    let read = !SINKS.read().unwrap_or_else(PoisonError::into_inner).is_empty();
    let phases = if level >= Level::Phases { PHASES } else { 0 };
    let spans = if level >= Level::Spans && read { SPANS } else { 0 };
    GATE.store(phases | spans, Ordering::Relaxed);
}

/// Has `sink` told everything from here on; spans, events, plots and zones from [`Level::Spans`] on.
pub fn attach(sink: Arc<dyn Sink>) -> SinkId {
    let id = SinkId::next();
    SINKS.write().unwrap_or_else(PoisonError::into_inner).push((id, sink));
    set_gate();
    id
}

/// Tells a sink nothing more.
pub fn detach(id: SinkId) {
    SINKS.write().unwrap_or_else(PoisonError::into_inner).retain(|(attached, _)| *attached != id);
    set_gate();
}

fn tell(what: impl Fn(&dyn Sink)) {
    for (_, sink) in SINKS.read().unwrap_or_else(PoisonError::into_inner).iter() {
        what(&**sink);
    }
}

/// Whether spans, plots and zones of the device have a reader: what has to be worked out for them need not be elsewhere.
#[inline]
pub fn listening() -> bool {
    open(SPANS)
}

/// A stretch of this thread's time, from here until the value is dropped.
#[must_use = "a span ends where it is dropped"]
#[inline]
pub fn span(name: &'static str) -> Span {
    let told = open(SPANS);
    if told {
        tell(|sink| sink.begin(name));
    }
    Span { name, told, started: None, thread: std::marker::PhantomData }
}

/// As [`span`], and a phase of [`phases`] from [`Level::Phases`] on.
#[must_use = "a phase ends where it is dropped"]
#[inline]
pub fn phase(name: &'static str) -> Span {
    let started = open(PHASES).then(Instant::now);
    // Not `..span(name)`: that copies the fields and drops the span, which would end where it begins.
    let mut phase = span(name);
    phase.started = started;
    phase
}

/// Runs `body` as a phase.
#[inline]
pub fn time<T>(name: &'static str, body: impl FnOnce() -> T) -> T {
    let _phase = phase(name);
    body()
}

/// What [`span`] and [`phase`] give.
pub struct Span {
    name: &'static str,
    told: bool,
    started: Option<Instant>,
    /// Readers nest spans by thread, so they end where they began.
    thread: std::marker::PhantomData<*const ()>,
}

impl Drop for Span {
    #[inline]
    fn drop(&mut self) {
        if let Some(started) = self.started {
            record_phase(self.name, started.elapsed());
        }
        if self.told {
            tell(|sink| sink.end(self.name));
        }
    }
}

/// Adds time to a phase, from [`Level::Phases`] on.
#[inline]
pub fn record_phase(name: &'static str, time: Duration) {
    if open(PHASES) {
        state().phases.record(name, time);
    }
}

/// A moment.
#[inline]
pub fn event(name: &'static str) {
    if open(SPANS) {
        tell(|sink| sink.event(name));
    }
}

/// A value that changes over time.
#[inline]
pub fn plot(name: &'static str, value: f64) {
    if open(SPANS) {
        tell(|sink| sink.plot(name, value));
    }
}

/// The end of a token.
#[inline]
pub fn frame() {
    if open(SPANS) {
        tell(|sink| sink.frame());
    }
}

/// What ran on the device, and when.
pub fn device(run: &DeviceRun<'_>) {
    if open(SPANS) {
        tell(|sink| sink.device(run));
    }
}

/// A copy of the phases so far.
pub fn phases() -> PhaseTimings {
    state().phases.clone()
}

/// Forgets the phases so far.
pub fn reset_phases() {
    state().phases = PhaseTimings::new();
}

#[cfg(test)]
#[cfg(feature = "observe")]
mod tests;
