//! From tokens to tokens: an engine that keeps the device busy, and sessions that turn requests into text.

mod alone;
mod engine;
mod fit;
mod metrics;
mod open;
mod plans;
mod profiling;
mod request;
mod sampling_defaults;
mod scoring;
mod session;
mod step_buffers;
mod text_stream;

pub use alone::{Alone, Weights, is_repeatable};
pub(crate) use engine::check_features;
pub use engine::{CHUNK, Engine, EngineOptions, Step, Timed};
pub(crate) use fit::check_context;
pub use fit::{AUTO_CONTEXT, Fit, RehearsedModel};
pub use metrics::Metrics;
pub use open::{Backend, OpenOptions, executor, load, open, open_checkpoint, tokenizer};
pub use profiling::Profiling;
pub use request::{Event, FinishReason, Generation, Request, SamplingOptions, StepCounters};
pub use sampling_defaults::{SamplingDefaults, Source, Sourced, sampling_defaults};
pub use scoring::{Scoring, Stretch, TokenScore};
pub use session::Session;
