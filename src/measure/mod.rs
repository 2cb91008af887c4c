//! Numbers about runs: errors against a reference, and what a generation cost.

mod error;
mod rows;
mod stats;

pub use error::{Difference, difference};
pub use rows::{LatencyRow, MemoryRow, OpRow};
pub use stats::{Gauge, GenerationStats, StatsRecorder};
