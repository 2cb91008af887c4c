//! Latencies and memory as rows, the way logs and dashboards show them.

use serde::Serialize;

/// The time of one part of a step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LatencyRow {
    /// What it is: `Forward Step`, `Block 3`, `attention`.
    pub label: String,
    /// Milliseconds of the latest step that was timed.
    pub last_ms: f64,
    /// Milliseconds on average over the latest steps.
    pub average_ms: f64,
    /// How many rows it lies in.
    pub level: u8,
}

/// The memory of one thing. Megabytes are of 1048576 bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MemoryRow {
    /// What it is.
    pub label: String,
    /// How many rows it lies in.
    pub level: u8,
    /// All its memory now.
    pub current_total_mb: f64,
    /// The most it was.
    pub peak_total_mb: f64,
    /// Of it, memory that plans share and staging: the pool.
    pub current_pool_mb: f64,
    /// The most of that.
    pub peak_pool_mb: f64,
    /// Of it, live keys and values.
    pub current_kv_mb: f64,
    /// The most of that.
    pub peak_kv_mb: f64,
    /// Of it, room for keys and values, live or not.
    pub current_kv_cache_mb: f64,
    /// The most of that.
    pub peak_kv_cache_mb: f64,
    /// The pool of the whole process.
    pub absolute_pool_mb: f64,
    /// Live keys and values of the whole process.
    pub absolute_kv_mb: f64,
    /// Room for keys and values of the whole process.
    pub absolute_kv_cache_mb: f64,
    /// Whether the three before say something: in rows that hold them.
    pub show_absolute: bool,
}

/// An op's share of a profile: all its calls together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OpRow {
    /// Its name, with those of the kernels that are fused in it and its variant.
    pub name: String,
    /// Calls in all profiled tokens.
    pub calls: u64,
    /// Milliseconds of all of them on the device.
    pub total_ms: f64,
    /// Microseconds of a call.
    pub avg_us: f64,
    /// Of the time of all ops, from 0 to 1.
    pub share: f64,
    /// Bytes that all calls must move at least: weights, keys and values, activations.
    pub bytes: u64,
    /// Floating-point operations of all calls at least; a multiply-add counts two.
    pub flops: u64,
    /// The bytes by the time.
    pub gb_per_s: f64,
    /// The operations by the time.
    pub gflop_per_s: f64,
    /// The larger of the two shares of what the device was measured to do at best, from 0 to 1; absent where nothing was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_share: Option<f64>,
}
