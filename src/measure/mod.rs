//! Numbers about runs: errors against a reference, what a generation cost, where its time and its memory went.

mod advice;
mod entries;
mod error;
mod latency;
mod median;
mod memory;
mod metrics_log;
mod peaks;
mod profile;
mod profile_report;
mod rows;
mod stats;

pub use advice::{Step, advice};
pub use error::{Difference, difference};
pub use latency::Latencies;
pub use median::median;
pub use memory::{MemorySample, MemoryTree, MemoryUsage};
pub use metrics_log::{MetricsLog, MetricsSettings};
pub use peaks::Peaks;
pub use profile::{OpCalls, ProfileCounters, Profiler, StepProfile, ZoneTime};
pub use profile_report::Profile;
pub use rows::{LatencyRow, MemoryRow, OpRow};
pub use stats::{Gauge, GenerationStats, StatsRecorder, size};
