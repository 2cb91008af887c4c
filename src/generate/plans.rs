//! Records a plan per shape of step, once.

use super::engine::splits;
use super::step_buffers::StepBuffers;
use crate::Error;
use crate::cache::Cache;
use crate::graph::{Executor, Operand, Plan, PreparedId, Recorder, Slice, Target, Tensor};
use crate::kernels::gather_rows::gather_rows;
use crate::kernels::log_prob::log_prob;
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
    /// What the log-probability of a token behind each of so many picked rows is made of.
    Scores(u32),
}

/// Bytes of logits that one plan may leave: half of what the smallest binding holds.
pub(super) const LOGIT_BYTES: usize = 64 << 20;

/// Rows whose logits a plan holds at once while it scores. Whole offsets of bindings: 64 words are 256 bytes.
fn slice_of_scores(vocab: u32) -> u32 {
    ((LOGIT_BYTES as u64 / (u64::from(vocab) * 4)) as u32 / 64 * 64).max(64)
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
    pub(super) left: Left,
}

/// What a plan leaves to be read.
#[derive(Clone, Default)]
pub(super) struct Left {
    pub(super) logits: Option<Tensor>,
    /// Numbers and best tokens of the scored rows, a pair per slice of them.
    pub(super) scores: Vec<(Tensor, Tensor)>,
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
        let (plan, left) = record(executor.target(), model, cache, buffers, key);
        let plan = Arc::new(plan);
        let id = executor.prepare(plan.clone())?;
        let (ops, arena) = (plan.ops.len(), plan.arena_bytes);
        tracing::debug!(target: "ffai::dispatch", "plan built: {ops} ops, arena of {arena} bytes, for {key:?}");
        let ready = Ready { id, plan, left };
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
) -> (Plan, Left) {
    let mut r = Recorder::new(target);
    let source = if key.decode { buffers.decode_rows } else { buffers.prefill_rows };
    let rows = Slice { buffer: source, offset: 0, bytes: u64::from(key.rows) * 16 };
    let words = |buffer, from: u32, count: u32| {
        let (offset, bytes) = (u64::from(from) * 4, u64::from(count) * 4);
        Slice { buffer, offset, bytes }
    };
    let batch = Batch { rows, kind: key.kind(), splits: key.splits };
    let x = model.forward(&mut r, &batch, cache); // [rows, hidden]
    // Logits of outputs `from` and on: the picked ones among more rows, or all.
    let logits = |r: &mut Recorder, from: u32, count: u32| {
        let all = from == 0 && count == key.rows;
        let picks = words(buffers.picks, from, count);
        let x = if all { x } else { r.zone("gather", |r| gather_rows(r, x, picks)) };
        model.head(r, x)
    };
    let mut left = Left::default();
    match key.outputs {
        Outputs::None => {}
        Outputs::Logits(count) => {
            let logits = logits(&mut r, 0, count);
            r.keep(logits);
            left.logits = Some(logits);
        }
        Outputs::Sample(count, sampling) => {
            let logits = logits(&mut r, 0, count);
            r.keep(logits);
            left.logits = Some(logits);
            let state = SamplingState {
                settings: buffers.settings,
                targets: words(buffers.targets, 0, count),
                rows: Slice { buffer: buffers.decode_rows, offset: 0, bytes: buffers.decode_bytes },
                counts: buffers.counts,
            };
            r.zone("sample", |r| sampling::sample(r, logits, sampling, &state));
        }
        Outputs::Scores(count) => {
            let slice = slice_of_scores(model.config().vocab);
            for from in (0..count).step_by(slice as usize) {
                let count = slice.min(count - from);
                let logits = logits(&mut r, from, count);
                let (y, best) = r.zone("score", |r| log_prob(r, logits, words(buffers.scored, from, count)));
                r.keep(y);
                r.keep(best);
                left.scores.push((y, best));
            }
        }
    }
    (r.finish(), left)
}

impl Ready {
    /// Where the logits of a plan can be read.
    pub(super) fn logits(&self) -> Operand {
        match self.left.logits {
            Some(logits) => logits.into(),
            None => panic!("the plan was recorded without outputs"),
        }
    }
}
