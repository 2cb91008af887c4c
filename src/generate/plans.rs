//! Records a plan per shape of step, once.

use super::engine::splits;
use super::step_buffers::StepBuffers;
use crate::Error;
use crate::cache::Cache;
use crate::graph::{Executor, Operand, Plan, PreparedId, Recorder, Slice, Target, Tensor};
use crate::kernels::sampling::{self, Sampling, SamplingState};
use crate::layers::{Batch, Rows};
use crate::model::Model;
use std::collections::HashMap;
use std::sync::Arc;

/// What a plan leaves besides keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Outputs {
    /// Nothing: a chunk of a prompt that goes on.
    None,
    /// Logits of so many picked rows.
    Logits(u32),
    /// A token for each of so many rows; their logits stay readable.
    Sample(u32, Sampling),
}

/// Everything that tells plans apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) rows: u32,
    /// Rows are the batch's own, which the sampler moves on; otherwise they are written for the step.
    pub(super) decode: bool,
    pub(super) splits: u32,
    pub(super) outputs: Outputs,
}

impl Key {
    /// The plans of one sequence that need the largest arenas, however its tokens are chosen: a whole chunk, and a step at the end
    /// of the context.
    pub(super) fn largest(chunk: usize, context: u32) -> [Self; 2] {
        let outputs = Outputs::Sample(1, Sampling { draw: true, top_k: true, top_p: true, penalties: true });
        let rows = u32::try_from(chunk).unwrap_or(u32::MAX).min(context);
        let step = Self { rows: 1, decode: true, splits: splits(context), outputs };
        let chunk = Self { rows, decode: false, splits: if rows == 1 { step.splits } else { 0 }, outputs };
        [chunk, step]
    }

    /// One row of a prompt runs as a step does; several run as a block, so that no pipelines are needed for each small number.
    fn kind(&self) -> Rows {
        if self.decode || self.rows == 1 { Rows::Single } else { Rows::Block }
    }
}

/// A plan made ready.
#[derive(Clone)]
pub(super) struct Ready {
    pub(super) id: PreparedId,
    pub(super) plan: Arc<Plan>,
    pub(super) logits: Option<Tensor>,
}

/// Plans by shape. Chunks of odd lengths come and go, so only so many are kept.
const KEPT: usize = 48;

#[derive(Default)]
pub(super) struct Plans {
    ready: HashMap<Key, Ready>,
    capacity: u32,
}

impl Plans {
    /// Forgets every plan.
    pub(super) fn clear(&mut self, executor: &mut dyn Executor) {
        for ready in self.ready.drain().map(|(_, ready)| ready) {
            executor.discard(ready.id);
        }
    }

    pub(super) fn get(
        &mut self,
        executor: &mut dyn Executor,
        model: &dyn Model,
        cache: &Cache,
        buffers: &StepBuffers,
        key: Key,
    ) -> Result<Ready, Error> {
        // Plans bind the cache's pages: a grown cache needs new ones.
        if self.capacity != cache.capacity() || self.ready.len() > KEPT {
            self.clear(executor);
            self.capacity = cache.capacity();
        }
        if let Some(ready) = self.ready.get(&key) {
            return Ok(ready.clone());
        }
        let (plan, logits) = record(executor.target(), model, cache, buffers, key);
        let plan = Arc::new(plan);
        let id = executor.prepare(plan.clone())?;
        let (ops, arena) = (plan.ops.len(), plan.arena_bytes);
        tracing::debug!(target: "ffai::dispatch", "plan built: {ops} ops, arena of {arena} bytes, for {key:?}");
        let ready = Ready { id, plan, logits };
        self.ready.insert(key, ready.clone());
        Ok(ready)
    }
}

/// Records what `key` asks for.
pub(super) fn record(
    target: &Target,
    model: &dyn Model,
    cache: &Cache,
    buffers: &StepBuffers,
    key: Key,
) -> (Plan, Option<Tensor>) {
    let mut r = Recorder::new(target);
    let source = if key.decode { buffers.decode_rows } else { buffers.prefill_rows };
    let rows = Slice { buffer: source, offset: 0, bytes: u64::from(key.rows) * 16 };
    let count = match key.outputs {
        Outputs::None => 0,
        Outputs::Logits(count) | Outputs::Sample(count, _) => count,
    };
    let words = |buffer, count: u32| Slice { buffer, offset: 0, bytes: u64::from(count) * 4 };
    let picks = (count > 0 && count != key.rows).then(|| words(buffers.picks, count));
    let batch = Batch { rows, kind: key.kind(), splits: key.splits, picks };
    let logits = model.forward(&mut r, &batch, cache, count > 0);
    if let Some(logits) = logits {
        r.keep(logits);
    }
    if let (Outputs::Sample(_, sampling), Some(logits)) = (key.outputs, logits) {
        let state = SamplingState {
            settings: buffers.settings,
            targets: words(buffers.targets, count),
            rows: Slice { buffer: buffers.decode_rows, offset: 0, bytes: buffers.decode_bytes },
            counts: buffers.counts,
        };
        r.zone("sample", |r| sampling::sample(r, logits, sampling, &state));
    }
    (r.finish(), logits)
}

impl Ready {
    /// Where the logits of a plan can be read.
    pub(super) fn logits(&self) -> Operand {
        match self.logits {
            Some(logits) => logits.into(),
            None => panic!("the plan was recorded without outputs"),
        }
    }
}
