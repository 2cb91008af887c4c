//! One test on an engine: how long a prompt, or some steps, take at a depth.

use crate::failure::Failure;
use ffai::cache::SequenceId;
use ffai::generate::{Engine, SamplingOptions, Step};
use ffai::graph::Rng;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Steps in flight, as a session keeps them.
const AHEAD: usize = 2;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) prompt: u32,
    pub(super) generated: u32,
    /// Tokens that each sequence holds already.
    pub(super) depth: u32,
    /// Sequences that decode at once. A prompt runs in each of them, one after the other.
    pub(super) width: u32,
}

impl Test {
    /// As llama-bench names it; sequences behind an `x`.
    pub(super) fn name(&self) -> String {
        let mut parts = Vec::new();
        if self.prompt > 0 {
            parts.push(format!("pp{}", self.prompt));
        }
        if self.generated > 0 {
            parts.push(format!("tg{}", self.generated));
        }
        let depth = if self.depth > 0 { format!(" @ d{}", self.depth) } else { String::new() };
        let width = if self.width > 1 { format!(" x{}", self.width) } else { String::new() };
        parts.join("+") + &width + &depth
    }

    /// Tokens that each sequence holds in the end.
    pub(super) fn context(&self) -> u32 {
        self.depth.saturating_add(self.prompt).saturating_add(self.generated)
    }

    /// Tokens that one repetition runs.
    pub(super) fn tokens(&self) -> u64 {
        u64::from(self.prompt + self.generated) * u64::from(self.width)
    }

    /// Runs the test `repetitions` times, after as many runs that do not count as `warm_up` says: the time of each.
    ///
    /// What fills the depth is not timed, and stays from one repetition to the next.
    pub(super) fn run(&self, engine: &mut Engine, warm_up: bool, repetitions: u32) -> Result<Vec<Duration>, Failure> {
        let sampling = SamplingOptions::greedy();
        let mut sequences = Vec::new();
        let result = self.filled(engine, &mut sequences, &sampling).and_then(|()| {
            let mut times = Vec::new();
            for run in 0..repetitions + u32::from(warm_up) {
                let time = self.once(engine, &sequences, &sampling)?;
                if run > 0 || !warm_up {
                    times.push(time);
                }
            }
            Ok(times)
        });
        sequences.into_iter().for_each(|sequence| engine.close(sequence));
        result
    }

    /// Opens the sequences and fills them to the depth.
    fn filled(
        &self,
        engine: &mut Engine,
        sequences: &mut Vec<SequenceId>,
        sampling: &SamplingOptions,
    ) -> Result<(), Failure> {
        for index in 0..self.width {
            let Some(sequence) = engine.open() else { panic!("no room for sequence {index} of {}", self.width) };
            sequences.push(sequence);
            engine.set_sampling(sequence, sampling.settings(), None)?;
            if self.depth > 0 {
                let tokens = tokens(engine, self.depth, u64::from(index));
                let step = engine.prefill(sequence, &tokens, 0, sampling.parts(), false)?;
                engine.finish(step)?;
            }
        }
        Ok(())
    }

    /// One repetition, from the depth and back to it.
    fn once(
        &self,
        engine: &mut Engine,
        sequences: &[SequenceId],
        sampling: &SamplingOptions,
    ) -> Result<Duration, Failure> {
        let prompts: Vec<Vec<u32>> =
            (0..).zip(sequences).map(|(index, _)| tokens(engine, self.prompt, 1000 + index)).collect();
        if self.prompt == 0 {
            // llama-bench begins with a token of its own choice, too.
            let rows: Vec<(SequenceId, u32)> = sequences.iter().map(|&sequence| (sequence, 1)).collect();
            engine.set_batch(&rows)?;
        }
        let begun = Instant::now();
        if self.prompt > 0 {
            for ((place, &sequence), prompt) in (0..).zip(sequences).zip(&prompts) {
                let step = engine.prefill(sequence, prompt, place, sampling.parts(), false)?;
                engine.finish(step)?;
            }
        }
        let mut flying: VecDeque<Step> = VecDeque::new();
        for _ in 0..self.generated {
            if flying.len() == AHEAD {
                settle(engine, flying.pop_front())?;
            }
            flying.push_back(engine.step(sequences, sampling.parts(), false)?);
        }
        while let Some(step) = flying.pop_front() {
            settle(engine, Some(step))?;
        }
        let time = begun.elapsed();
        sequences.iter().for_each(|&sequence| engine.rewind(sequence, self.depth));
        Ok(time)
    }
}

/// Waits for a step.
fn settle(engine: &mut Engine, step: Option<Step>) -> Result<(), Failure> {
    if let Some(step) = step {
        engine.finish(step)?;
    }
    Ok(())
}

/// Tokens that a model has: always the same.
fn tokens(engine: &Engine, count: u32, seed: u64) -> Vec<u32> {
    let vocab = engine.model().config().vocab;
    let mut rng = Rng(seed);
    (0..count).map(|_| rng.below(vocab)).collect()
}
