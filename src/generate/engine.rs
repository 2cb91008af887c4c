//! A model on a device with its cache: runs chunks of prompts and steps of batches.

use super::plans::{Key, LOGIT_BYTES, Outputs, Plans, Ready};
use super::step_buffers::StepBuffers;
use crate::Error;
use crate::cache::{Cache, CacheShape, MAX_SEQUENCES, SequenceId};
use crate::graph::{
    Ceiling, Counters, DeviceReport, Element, ExecuteError, Executor, MemoryPart, MemoryReport, Operand, PassSpan,
    Plan, Slice, Ticket, Timing,
};
use crate::kernels::attend_decode::SPLIT;
use crate::kernels::sampling::{Sampling, Settings};
use crate::measure::{Gauge, MemorySample, MemoryTree};
use crate::model::Model;
use crate::observe;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

/// Tokens of a prompt that run at once, unless said otherwise.
pub const CHUNK: usize = 512;

/// What an engine is made for.
#[derive(Clone, Copy, Debug)]
pub struct EngineOptions {
    /// Most tokens of one sequence; at most the model's own context.
    pub context: u32,
    /// What keys and values are stored as.
    pub kv: Element,
    /// Tokens of a prompt that run at once; at least 1.
    pub chunk: usize,
}

/// A submission that was timed.
#[derive(Clone, Debug)]
pub struct Timed {
    /// What ran.
    pub plan: Arc<Plan>,
    /// When each of its ops ran.
    pub timing: Timing,
    /// Tokens that the longest of its sequences held when it was done.
    pub length: u32,
    /// Seconds from handing it over to its end, by the host's clock: what takes the times is part of it.
    pub wall: f64,
}

/// A step in flight.
#[derive(Clone, Debug)]
pub struct Step {
    ticket: Ticket,
    plan: Arc<Plan>,
}

impl Step {
    /// What the step runs.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }
}

/// A model on a device, with the keys and values of up to eight sequences.
pub struct Engine {
    pub(super) executor: Box<dyn Executor>,
    pub(super) model: Box<dyn Model>,
    pub(super) cache: Cache,
    plans: Plans,
    pub(super) buffers: StepBuffers,
    settings: [Settings; MAX_SEQUENCES as usize],
    pub(super) chunk: usize,
    /// The batch as its rows stand on the device; empty when they have to be written.
    batch: Vec<SequenceId>,
    /// Whether submissions are timed, op by op.
    timed: bool,
    timings: Vec<Timed>,
    /// Room that steps use again and again.
    reads: Vec<Operand>,
    answer: Vec<u8>,
}

/// The places of a whole batch, in their order.
const PLACES: [u32; MAX_SEQUENCES as usize] = [0, 1, 2, 3, 4, 5, 6, 7];

impl Engine {
    /// Puts a loaded model to work.
    pub fn new(mut executor: Box<dyn Executor>, model: Box<dyn Model>, options: EngineOptions) -> Result<Self, Error> {
        let config = model.config();
        let shape = CacheShape {
            layers: config.layers,
            heads: config.heads,
            element: options.kv,
            context: options.context.min(config.context),
        };
        check_features(&*executor, options.kv)?;
        let chunk = options.chunk.max(1);
        let cache = Cache::new(&mut *executor, shape)?;
        let buffers = StepBuffers::new(&mut *executor, chunk)?;
        let settings = [bytemuck::Zeroable::zeroed(); MAX_SEQUENCES as usize];
        Ok(Self {
            executor,
            model,
            cache,
            plans: Plans::default(),
            buffers,
            settings,
            chunk,
            batch: Vec::new(),
            timed: false,
            timings: Vec::new(),
            reads: Vec::with_capacity(MAX_SEQUENCES as usize + 1),
            answer: Vec::new(),
        })
    }

    /// The model.
    pub fn model(&self) -> &dyn Model {
        &*self.model
    }

    /// Keys and values.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Most tokens of one sequence.
    pub fn context(&self) -> u32 {
        self.cache.shape().context
    }

    /// What runs.
    pub fn device(&self) -> DeviceReport {
        self.executor.device()
    }

    /// Device memory in use.
    pub fn memory(&self) -> MemoryReport {
        self.executor.memory()
    }

    /// What the device was asked to do so far.
    pub fn counters(&self) -> Counters {
        self.executor.trace().totals()
    }

    /// Device memory by what it is for.
    pub fn memory_parts(&self) -> Vec<MemoryPart> {
        self.executor.memory_parts()
    }

    /// Where the memory is now, for a [`MemoryTree`](crate::measure::MemoryTree).
    pub fn memory_sample<'p>(&self, parts: &'p [MemoryPart], kv_used_bytes: u64) -> MemorySample<'p> {
        let (report, resident_bytes) = (self.memory(), MemoryTree::resident_bytes());
        MemorySample { parts, report, kv_used_bytes, resident_bytes, shared: self.executor.target().software }
    }

    /// What the device can do at best, measured now; nothing on the CPU. Takes about a second.
    pub fn ceilings(&mut self) -> Result<Vec<Ceiling>, Error> {
        Ok(self.executor.ceilings()?)
    }

    /// What runs plans, for those of other shapes than the engine's own.
    pub(super) fn executor(&mut self) -> &mut dyn Executor {
        &mut *self.executor
    }

    /// Four bytes of a buffer, to be read where the end of a submission is to be waited for.
    pub(super) fn probe(&self) -> Slice {
        Slice { buffer: self.buffers.targets, offset: 0, bytes: 4 }
    }

    /// Takes the time of every op from here on, or no longer. A submission that is timed is waited for, and slower.
    pub fn time_ops(&mut self, on: bool) {
        self.timed = on;
    }

    /// Submissions that were timed since this was last asked, oldest first.
    pub fn take_timings(&mut self) -> Vec<Timed> {
        std::mem::take(&mut self.timings)
    }

    /// Takes the time of every submission from here on, or no longer, without waiting for any.
    pub fn time_passes(&mut self, on: bool) {
        self.executor.time_passes(on);
    }

    /// Submissions whose times arrived since this was last asked.
    pub fn pass_spans(&mut self) -> Vec<PassSpan> {
        self.executor.pass_spans()
    }

    /// Hands a plan over, timed or not. `length` are the tokens that its longest sequence then holds.
    pub(super) fn submit(&mut self, ready: &Ready, reads: &[Operand], length: u32) -> Result<Ticket, Error> {
        if !self.timed {
            return Ok(self.executor.submit(ready.id, reads)?);
        }
        let started = Instant::now();
        let (ticket, timing) = self.executor.submit_timed(ready.id, reads)?;
        let wall = started.elapsed().as_secs_f64();
        self.timings.push(Timed { plan: ready.plan.clone(), timing, length, wall });
        Ok(ticket)
    }

    /// Starts an empty sequence; `None` when eight are open.
    pub fn open(&mut self) -> Option<SequenceId> {
        self.cache.open()
    }

    /// Ends a sequence.
    pub fn close(&mut self, sequence: SequenceId) {
        self.cache.close(sequence);
        self.batch.clear();
    }

    /// Tokens that a sequence holds.
    pub fn length(&self, sequence: SequenceId) -> u32 {
        self.cache.length(sequence)
    }

    /// Takes tokens back until `length` are left.
    pub fn rewind(&mut self, sequence: SequenceId, length: u32) {
        self.cache.rewind(sequence, length);
        self.batch.clear();
    }

    /// Sets how a sequence's tokens are chosen. `history` are the tokens that penalties look at: those of the prompt, and those
    /// that were generated.
    pub fn set_sampling(
        &mut self,
        sequence: SequenceId,
        settings: Settings,
        history: Option<(&[u32], &[u32])>,
    ) -> Result<(), Error> {
        self.settings[sequence.0 as usize] = settings;
        self.executor.write(self.buffers.settings.buffer, 0, bytemuck::cast_slice(&self.settings));
        let Some((prompt, generated)) = history else { return Ok(()) };
        let vocab = self.model.config().vocab;
        if self.buffers.count_tokens(&mut *self.executor, vocab)? {
            self.plans.clear(&mut *self.executor);
        }
        let mut counts = vec![0u32; vocab as usize];
        self.check(prompt)?;
        self.check(generated)?;
        for &token in prompt {
            counts[token as usize] |= 1 << 31;
        }
        for &token in generated {
            counts[token as usize] += 1;
        }
        let at = u64::from(sequence.0) * u64::from(vocab) * 4;
        self.executor.write(self.buffers.counts.buffer, at, bytemuck::cast_slice(&counts));
        Ok(())
    }

    pub(super) fn check(&self, tokens: &[u32]) -> Result<(), Error> {
        let vocab = self.model.config().vocab;
        match tokens.iter().find(|&&token| token >= vocab) {
            Some(&found) => Err(Error::UnknownToken { found, vocab }),
            None => Ok(()),
        }
    }

    /// Makes room for `tokens` more. Prepared plans would keep the memory of the buffers that a larger cache replaces, and have to
    /// be recorded anew for it: they go first.
    pub(super) fn reserve(&mut self, sequence: SequenceId, tokens: u32) -> Result<(), Error> {
        if self.cache.must_grow(sequence, tokens) {
            self.plans.clear(&mut *self.executor);
        }
        self.cache.reserve(&mut *self.executor, sequence, tokens)
    }

    pub(super) fn ready(&mut self, key: Key) -> Result<Ready, Error> {
        self.plans.get(&mut *self.executor, &*self.model, &self.cache, &self.buffers, key)
    }

    /// Writes a chunk's rows and finds its plan.
    fn chunk(&mut self, sequence: SequenceId, tokens: &[u32], outputs: Outputs) -> Result<Ready, Error> {
        let start = self.length(sequence);
        let count = tokens.len() as u32;
        self.reserve(sequence, count)?;
        let rows: Vec<[u32; 4]> =
            tokens.iter().zip(start..).map(|(&token, position)| [token, position, sequence.0, 0]).collect();
        self.executor.write(self.buffers.prefill_rows, 0, bytemuck::cast_slice(&rows));
        let splits = if count == 1 { splits(start + count) } else { 0 };
        self.ready(Key { rows: count, decode: false, splits, outputs })
    }

    /// Runs `tokens` and gives the logits behind those at `wanted` (ascending indices into `tokens`), each `[vocab]`.
    pub fn logits(&mut self, sequence: SequenceId, tokens: &[u32], wanted: &[usize]) -> Result<Vec<Vec<f32>>, Error> {
        self.check(tokens)?;
        let vocab = self.model.config().vocab as usize;
        let most = (LOGIT_BYTES / (vocab * 4)).max(1);
        let mut results = Vec::with_capacity(wanted.len());
        let (mut start, mut wanted) = (0, wanted);
        while start < tokens.len() {
            // A part ends where a chunk does, or where it leaves as many logits as it may.
            let mut end = tokens.len().min(start + self.chunk);
            let mut count = wanted.partition_point(|&at| at < end);
            if count > most {
                (count, end) = (most, wanted[most - 1] + 1);
            }
            let (taken, rest) = wanted.split_at(count);
            let picks: Vec<u32> = taken.iter().map(|&at| (at - start) as u32).collect();
            let part = &tokens[start..end];
            let outputs = if picks.is_empty() { Outputs::None } else { Outputs::Logits(picks.len() as u32) };
            let ready = self.chunk(sequence, part, outputs)?;
            self.executor.write(self.buffers.picks, 0, bytemuck::cast_slice(&picks));
            let reads: Vec<Operand> = if picks.is_empty() { Vec::new() } else { vec![ready.logits()] };
            let ticket = self.submit(&ready, &reads, self.length(sequence) + part.len() as u32)?;
            let bytes = self.executor.wait(ticket)?;
            self.cache.accept(sequence, part.len() as u32);
            let values: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
            results.extend(values.chunks_exact(vocab).map(<[f32]>::to_vec));
            (start, wanted) = (end, rest);
        }
        Ok(results)
    }

    /// Runs `tokens` in chunks and chooses the token after them, which becomes row `place` of the batch that decodes.
    ///
    /// With `logits`, the last row's logits come with the token.
    pub fn prefill(
        &mut self,
        sequence: SequenceId,
        tokens: &[u32],
        place: u32,
        sampling: Sampling,
        logits: bool,
    ) -> Result<Step, Error> {
        let chunks = self.prefill_chunks(sequence, tokens, &mut |_| ControlFlow::Continue(()))?;
        self.prefill_last(sequence, &tokens[chunks..], place, sampling, logits)
    }

    /// Runs all of `tokens` but the last chunk and gives how many that are; fewer where `on_chunk`, which is told how many have
    /// run, breaks off. One chunk runs while the next is written.
    pub fn prefill_chunks(
        &mut self,
        sequence: SequenceId,
        tokens: &[u32],
        on_chunk: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<usize, Error> {
        self.check(tokens)?;
        let Some(start) = tokens.len().checked_sub(1) else { return Err(Error::EmptyPrompt) };
        let last = start / self.chunk * self.chunk;
        let mut flying = None;
        let mut done = 0;
        for part in tokens[..last].chunks(self.chunk) {
            let ready = match self.chunk(sequence, part, Outputs::None) {
                Ok(ready) => ready,
                Err(error) => {
                    self.collect(flying)?;
                    return Err(error);
                }
            };
            let ticket = self.submit(&ready, &[], self.length(sequence) + part.len() as u32)?;
            self.cache.accept(sequence, part.len() as u32);
            done += part.len();
            let earlier = flying.replace(ticket);
            self.collect(earlier)?;
            if on_chunk(done).is_break() {
                break;
            }
        }
        self.collect(flying)?;
        Ok(done)
    }

    /// Waits for a submission without results.
    fn collect(&mut self, ticket: Option<Ticket>) -> Result<(), Error> {
        if let Some(ticket) = ticket {
            self.executor.wait(ticket)?;
        }
        Ok(())
    }

    /// Runs the last chunk of a prompt, at most a chunk, and chooses the token after it.
    pub fn prefill_last(
        &mut self,
        sequence: SequenceId,
        part: &[u32],
        place: u32,
        sampling: Sampling,
        logits: bool,
    ) -> Result<Step, Error> {
        self.check(part)?;
        let ready = self.chunk(sequence, part, Outputs::Sample(1, sampling))?;
        let position = self.length(sequence) + part.len() as u32 - 1;
        self.executor.write(self.buffers.picks, 0, bytemuck::bytes_of(&(part.len() as u32 - 1)));
        self.executor.write(self.buffers.targets, 0, bytemuck::bytes_of(&place));
        let row = [0, position, sequence.0, 0];
        self.executor.write(self.buffers.decode_rows, u64::from(place) * 16, bytemuck::cast_slice(&row));
        let step = self.launch(&ready, &[place], logits, position + 1)?;
        self.cache.accept(sequence, part.len() as u32);
        self.batch.truncate(place as usize);
        self.batch.push(sequence);
        Ok(step)
    }

    /// Decodes one token for each sequence of the batch, without waiting: the tokens to start from are on the device already.
    ///
    /// The sequences must stand in the order of the places they were prefilled to, and hold one more token each afterwards.
    pub fn step(&mut self, batch: &[SequenceId], sampling: Sampling, logits: bool) -> Result<Step, Error> {
        assert!(!batch.is_empty() && self.batch.starts_with(batch), "the rows of {batch:?} are not on the device");
        for &sequence in batch {
            self.reserve(sequence, 1)?;
        }
        let longest = batch.iter().map(|&sequence| self.length(sequence) + 1).max().unwrap_or(1);
        let width = batch.len() as u32;
        let outputs = Outputs::Sample(width, sampling);
        let ready = self.ready(Key { rows: width, decode: true, splits: splits(longest), outputs })?;
        let targets = &PLACES[..batch.len()];
        if width > 1 || self.batch.len() > 1 {
            self.executor.write(self.buffers.targets, 0, bytemuck::cast_slice(targets));
        }
        let step = self.launch(&ready, targets, logits, longest)?;
        for &sequence in batch {
            self.cache.accept(sequence, 1);
        }
        Ok(step)
    }

    /// Puts tokens that were chosen elsewhere into the batch: `(sequence, token)` per place, as if they had just been sampled.
    pub fn set_batch(&mut self, rows: &[(SequenceId, u32)]) -> Result<(), Error> {
        let tokens: Vec<u32> = rows.iter().map(|row| row.1).collect();
        self.check(&tokens)?;
        let words: Vec<[u32; 4]> = rows.iter().map(|&(s, token)| [token, self.length(s), s.0, 0]).collect();
        self.executor.write(self.buffers.decode_rows, 0, bytemuck::cast_slice(&words));
        self.executor.write(self.buffers.targets, 0, bytemuck::cast_slice(&PLACES));
        self.batch = rows.iter().map(|row| row.0).collect();
        Ok(())
    }

    fn launch(&mut self, ready: &Ready, places: &[u32], logits: bool, length: u32) -> Result<Step, Error> {
        let mut reads = std::mem::take(&mut self.reads);
        reads.clear();
        reads.extend(places.iter().map(|&place| {
            Operand::from(Slice { buffer: self.buffers.decode_rows, offset: u64::from(place) * 16, bytes: 4 })
        }));
        if logits {
            reads.push(ready.logits());
        }
        let ticket = self.submit(ready, &reads, length);
        self.reads = reads;
        let ticket = ticket?;
        Ok(Step { ticket, plan: ready.plan.clone() })
    }

    /// Waits for a step: its tokens, and its logits (`[rows, vocab]`) where they were asked for.
    pub fn finish(&mut self, step: Step) -> Result<(Vec<u32>, Vec<f32>), Error> {
        let bytes = self.executor.wait(step.ticket)?;
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(&bytes);
        let vocab = self.model.config().vocab as usize;
        let count = if words.len() > vocab { words.len() / (vocab + 1) } else { words.len() };
        let (tokens, logits) = words.split_at(count);
        Ok((tokens.to_vec(), logits.iter().map(|&bits| f32::from_bits(bits)).collect()))
    }

    /// Waits for a step of one sequence without logits: its token.
    pub fn finish_one(&mut self, step: Step) -> Result<u32, Error> {
        let mut answer = std::mem::take(&mut self.answer);
        let collected = self.executor.collect(step.ticket, &mut answer);
        let token = answer.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
        self.answer = answer;
        collected?;
        Ok(token.unwrap_or_else(|| panic!("a step gave no token")))
    }

    /// Makes every pipeline of a run like the one to come: a chunk and a step.
    pub fn prewarm(&mut self, sampling: Sampling) -> Result<(), Error> {
        let _prewarm = observe::phase("prewarm");
        let Some(sequence) = self.open() else { return Ok(()) };
        let count = (self.context() as usize).min(2);
        let step = self.prefill(sequence, &vec![0; count], 0, sampling, false)?;
        self.finish(step)?;
        if self.length(sequence) < self.context() {
            let step = self.step(&[sequence], sampling, false)?;
            self.finish(step)?;
        }
        if self.context() > SPLIT {
            // A batch whose keys are split, so that a text that grows past the first split meets no new pipeline.
            self.set_batch(&[(sequence, 0)])?;
            self.reserve(sequence, 1)?;
            let outputs = Outputs::Sample(1, sampling);
            let ready = self.ready(Key { rows: 1, decode: true, splits: 2, outputs })?;
            let step = self.launch(&ready, &[0], false, self.length(sequence) + 1)?;
            self.finish(step)?;
        }
        self.close(sequence);
        Ok(())
    }
}

impl Gauge for Engine {
    fn device_bytes(&self) -> u64 {
        self.memory().bytes()
    }
}

/// Refuses a cache that the device cannot read.
pub(crate) fn check_features(executor: &dyn Executor, kv: Element) -> Result<(), ExecuteError> {
    if kv == Element::F16 && !executor.target().f16 {
        let (what, device) = ("a cache of half precision".to_owned(), executor.device().name);
        return Err(ExecuteError::MissingFeature { feature: "f16", what, device });
    }
    Ok(())
}

/// Splits that cover `length` keys, by powers of two so that few plans serve all lengths.
pub(super) fn splits(length: u32) -> u32 {
    length.div_ceil(SPLIT).next_power_of_two()
}
