//! Many texts through the path of prompts, several in a batch.

use crate::Error;
use crate::cache::{MAX_SEQUENCES, SequenceId};
use crate::generate::{Engine, Scoring, Stretch, TokenScore};
use crate::observe;
use std::collections::{BTreeMap, VecDeque};
use std::ops::{ControlFlow, Range};

/// A text of which some tokens are scored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The text.
    pub tokens: Vec<u32>,
    /// Which of its tokens are scored, each given all before it; begins at 1 at least.
    pub scored: Range<usize>,
}

impl Job {
    /// Tokens that have to run: all before the last that is scored.
    fn inputs(&self) -> &[u32] {
        &self.tokens[..self.scored.end - 1]
    }

    /// How many of its tokens need not run where `held` lie in the cache: what is scored needs the logits of the token before it.
    fn kept(&self, held: &[u32]) -> usize {
        let common = held.iter().zip(self.inputs()).take_while(|(a, b)| a == b).count();
        common.min(self.scored.start - 1)
    }

    fn check(&self, context: usize) -> Result<(), Error> {
        let Job { tokens, scored } = self;
        assert!(
            0 < scored.start && scored.start < scored.end && scored.end <= tokens.len(),
            "tokens {scored:?} of {} cannot be scored",
            tokens.len()
        );
        match scored.end - 1 {
            needed if needed > context => Err(Error::PromptTooLong { found: needed, context }),
            _ => Ok(()),
        }
    }
}

/// Jobs that are looked at for the next batch.
const WINDOW: usize = 64;

/// Tokens in common with what runs right now for which a job waits: fewer are run again sooner.
const WORTH_WAITING: usize = 32;

/// Batches in flight: one runs while the next is written.
const AHEAD: usize = 2;

/// Scores jobs in any number, in batches of several sequences. `on_scores` hears of each job in order: its scores, one per scored
/// token; it may end the run.
///
/// A job that begins as one before it did, as the choices of a question do, does not run the common beginning again.
///
/// # Errors
/// The first of the jobs' own, of jobs longer than the engine's context, and of the device.
///
/// # Panics
/// If a job's range is empty or outside of its tokens.
pub fn score_all(
    engine: &mut Engine,
    jobs: &mut dyn Iterator<Item = Result<Job, Error>>,
    on_scores: &mut dyn FnMut(usize, Vec<TokenScore>) -> ControlFlow<()>,
) -> Result<(), Error> {
    let mut lanes = Vec::new();
    while let Some(sequence) = engine.open() {
        lanes.push(Lane { sequence, held: Vec::new(), work: None });
    }
    assert!(!lanes.is_empty(), "all of the engine's {MAX_SEQUENCES} sequences are in use");
    let mut run = Run { lanes, waiting: VecDeque::new(), taken: 0, done: BTreeMap::new(), flying: VecDeque::new() };
    let result = run.all(engine, jobs, on_scores);
    // After an error too: what still runs writes into sequences that are about to be given back.
    for (scoring, _) in run.flying {
        let settled = engine.finish_scores(scoring);
        if let (Ok(_), Err(error)) = (&result, settled) {
            tracing::debug!(target: "ffai::generate", "scores that nobody waits for: {error}");
        }
    }
    for lane in run.lanes {
        engine.close(lane.sequence);
    }
    result
}

/// One sequence and what it is busy with.
struct Lane {
    sequence: SequenceId,
    /// Tokens that the sequence holds, or will once all that was handed over has run.
    held: Vec<u32>,
    work: Option<Work>,
}

/// A job under way: `held` of its lane says how far.
struct Work {
    index: usize,
    job: Job,
}

/// Scores of one batch: how many belong to which job.
type Shares = Vec<(usize, usize)>;

struct Run {
    lanes: Vec<Lane>,
    waiting: VecDeque<Work>,
    /// Jobs taken so far.
    taken: usize,
    /// Scores of jobs that are not complete, or that others come before, and how many there will be.
    done: BTreeMap<usize, (usize, Vec<TokenScore>)>,
    flying: VecDeque<(Scoring, Shares)>,
}

impl Run {
    fn all(
        &mut self,
        engine: &mut Engine,
        jobs: &mut dyn Iterator<Item = Result<Job, Error>>,
        on_scores: &mut dyn FnMut(usize, Vec<TokenScore>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        loop {
            while self.waiting.len() < WINDOW
                && let Some(job) = jobs.next().transpose()?
            {
                job.check(engine.context() as usize)?;
                self.done.insert(self.taken, (job.scored.len(), Vec::with_capacity(job.scored.len())));
                self.waiting.push_back(Work { index: self.taken, job });
                self.taken += 1;
            }
            let submitted = self.submit(engine)?;
            if self.flying.len() >= AHEAD || !submitted {
                let Some((scoring, shares)) = self.flying.pop_front() else { return Ok(()) };
                let scores = engine.finish_scores(scoring)?;
                if self.arrived(scores, shares, on_scores).is_break() {
                    return Ok(());
                }
            }
        }
    }

    /// Fills a batch and hands it over; false where nothing is left to run.
    fn submit(&mut self, engine: &mut Engine) -> Result<bool, Error> {
        let (mut parts, shares) = self.batch(engine.batch_rows());
        if parts.is_empty() {
            return Ok(false);
        }
        let _batch = observe::span("score");
        for part in &mut parts {
            engine.rewind(part.sequence, part.kept);
        }
        let stretches: Vec<Stretch<'_>> = parts
            .iter()
            .map(|part| Stretch { sequence: part.sequence, tokens: &part.tokens, scored: &part.scored })
            .collect();
        self.flying.push_back((engine.score(&stretches)?, shares));
        Ok(true)
    }

    /// The next batch of at most `most` rows: what is under way goes on, then jobs begin in free lanes.
    fn batch(&mut self, most: usize) -> (Vec<Part>, Shares) {
        let (mut parts, mut shares) = (Vec::new(), Shares::new());
        let mut room = most;
        let mut busy = vec![false; self.lanes.len()];
        for (lane, busy) in self.lanes.iter_mut().zip(&mut busy) {
            if let Some(work) = lane.work.take() {
                lane.go_on(work, &mut room, &mut parts, &mut shares);
                *busy = true;
            }
        }
        let mut looked_at = 0;
        while room > 0 && looked_at < self.waiting.len() {
            match self.lane_for(&self.waiting[looked_at].job, &busy) {
                Choice::Lane(lane, kept) => {
                    let Some(work) = self.waiting.remove(looked_at) else { break };
                    busy[lane] = true;
                    self.lanes[lane].held.truncate(kept);
                    self.lanes[lane].go_on(work, &mut room, &mut parts, &mut shares);
                }
                Choice::Wait => looked_at += 1,
                Choice::Full => break,
            }
        }
        (parts, shares)
    }

    /// The free lane that holds most of a job's beginning, unless a busy one will hold much more of it.
    fn lane_for(&self, job: &Job, busy: &[bool]) -> Choice {
        let best = |wanted: bool| {
            let lanes = self.lanes.iter().zip(busy).enumerate().filter(|(_, (_, busy))| **busy == wanted);
            // The last of equal ones would be the most used one; the first keeps others' beginnings.
            lanes
                .map(|(index, (lane, _))| (job.kept(&lane.held), index))
                .max_by_key(|&(kept, index)| (kept, usize::MAX - index))
        };
        match (best(false), best(true)) {
            (None, _) => Choice::Full,
            (Some((kept, _)), Some((better, _))) if better >= kept + WORTH_WAITING => Choice::Wait,
            (Some((kept, index)), _) => Choice::Lane(index, kept),
        }
    }

    /// Scores have arrived: tells of every job that is complete and next.
    fn arrived(
        &mut self,
        scores: Vec<TokenScore>,
        shares: Shares,
        on_scores: &mut dyn FnMut(usize, Vec<TokenScore>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut scores = scores.into_iter();
        for (index, count) in shares {
            if let Some((_, done)) = self.done.get_mut(&index) {
                done.extend(scores.by_ref().take(count));
            }
        }
        while let Some(first) = self.done.first_entry()
            && first.get().0 == first.get().1.len()
        {
            let (index, (_, scores)) = first.remove_entry();
            on_scores(index, scores)?;
        }
        ControlFlow::Continue(())
    }
}

/// Where a job may begin.
enum Choice {
    /// In this lane, which holds so many of its tokens.
    Lane(usize, usize),
    /// In a later batch, where it need not run so much again.
    Wait,
    /// Nowhere now.
    Full,
}

/// A stretch of a batch.
struct Part {
    sequence: SequenceId,
    /// What of the sequence stays.
    kept: u32,
    tokens: Vec<u32>,
    scored: Vec<(u32, u32)>,
}

impl Lane {
    /// Puts as much of a job as there is room for into the batch, and keeps the rest.
    fn go_on(&mut self, work: Work, room: &mut usize, parts: &mut Vec<Part>, shares: &mut Shares) {
        let kept = self.held.len();
        let inputs = work.job.inputs();
        let tokens = inputs[kept..inputs.len().min(kept + *room)].to_vec();
        if tokens.is_empty() {
            self.work = Some(work);
            return;
        }
        let end = kept + tokens.len();
        // The token at `at` is scored by the logits behind the one before it.
        let scored = work.job.scored.clone().filter(|at| (kept..end).contains(&(at - 1)));
        let scored: Vec<(u32, u32)> = scored.map(|at| ((at - 1 - kept) as u32, work.job.tokens[at])).collect();
        self.held.extend_from_slice(&tokens);
        *room -= Engine::rows(tokens.len()).min(*room);
        shares.push((work.index, scored.len()));
        parts.push(Part { sequence: self.sequence, kept: kept as u32, tokens, scored });
        if end < inputs.len() {
            self.work = Some(work);
        }
    }
}
