//! Numbers about runs: errors against a reference, and what a generation cost.

mod error;
mod stats;

pub use error::{Difference, difference};
pub use stats::{Gauge, GenerationStats, StatsRecorder};
