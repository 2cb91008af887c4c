//! Rolling latencies and the memory tree of a run, by its events: what logs and dashboards show.

use super::request::Event;
use crate::measure::{Latencies, LatencyRow, MemoryRow, MemorySample, MemoryTree, OpRow};
use std::time::Instant;

/// What is known of a run so far.
#[derive(Clone, Debug)]
pub struct Metrics {
    latencies: Latencies,
    memory: MemoryTree,
    ops: Vec<OpRow>,
    last: Option<Instant>,
}

impl Metrics {
    /// Of a process that took `baseline` bytes of the host's memory before anything was loaded.
    pub fn new(baseline: u64) -> Self {
        Self { latencies: Latencies::default(), memory: MemoryTree::new(baseline), ops: Vec::new(), last: None }
    }

    /// Takes an event in. [`Event::Profiled`] changes the rows of blocks, ops and memory.
    pub fn hear(&mut self, event: &Event<'_>) {
        match event {
            Event::Token { .. } => {
                let now = Instant::now();
                if let Some(before) = self.last.replace(now) {
                    self.latencies.add_step((now - before).as_secs_f64());
                }
            }
            Event::Prefilled { .. } => self.last = None,
            Event::Profiled { step, ops, memory } => {
                // What ops cost in a prompt is another thing than what they cost in a step.
                if step.index > 0 {
                    self.latencies.add_profile(step);
                }
                self.memory.sample(memory);
                self.ops = ops.to_vec();
            }
            _ => {}
        }
    }

    /// Takes in where the memory is between two runs.
    pub fn sample_memory(&mut self, sample: &MemorySample<'_>) {
        self.memory.sample(sample);
    }

    /// Latencies, in the order of a step.
    pub fn latency_rows(&self) -> Vec<LatencyRow> {
        self.latencies.rows()
    }

    /// Memory, outermost first.
    pub fn memory_rows(&self) -> Vec<MemoryRow> {
        self.memory.rows()
    }

    /// Ops of all profiled steps, the one that took longest first.
    pub fn ops(&self) -> &[OpRow] {
        &self.ops
    }
}
