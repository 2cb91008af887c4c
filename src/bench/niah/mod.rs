//! `niah`: whether a fact is found again wherever it stands in a long text.

mod haystack;
mod picture;
mod score;

pub use picture::heat_map;

use super::measured::{Rates, preview};
use super::runner::BenchRunner;
use super::{BenchOptions, BenchRow, Error, Method, NeedleScore};
use crate::generate::Generation;
use haystack::Haystack;

const METHOD: Method = Method::Niah;
const CONTEXTS: [u32; 3] = [512, 1024, 4096];
const DEPTHS: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// One row: rates at the longest context, memory of all, and a score for each needle of the first run.
pub(super) fn run(runner: &mut BenchRunner<'_>, options: &BenchOptions) -> Result<BenchRow, Error> {
    let contexts = runner.contexts(options, &CONTEXTS, options.tokens(METHOD))?;
    let depths = if options.depths.is_empty() { DEPTHS.to_vec() } else { options.depths.clone() };
    let mut haystacks = Vec::new();
    for &context in &contexts {
        for &depth in &depths {
            haystacks.push(Haystack::new(runner, context, depth)?);
        }
    }
    let measured = runner.repeat(options, |runner| {
        let mut found = Vec::with_capacity(haystacks.len());
        for haystack in &haystacks {
            let request = runner.request(METHOD, haystack.prompt.clone(), options);
            let generation = runner.alone(&request)?;
            let (context, depth) = (haystack.context, haystack.depth);
            tracing::debug!(target: "ffai::bench", "needle at {depth} of {context} tokens: {:?}", generation.text);
            found.push(generation);
        }
        Ok(found)
    })?;

    let longest = contexts.iter().copied().max().unwrap_or(0);
    let at_longest = |run: &[Generation]| {
        let pairs = haystacks.iter().zip(run).filter(|(haystack, _)| haystack.context == longest);
        pairs.map(|(_, generation)| generation.stats.clone()).collect::<Vec<_>>()
    };
    let stats: Vec<_> = measured.runs.iter().map(|run| at_longest(run)).collect();
    let mut row = runner.row(METHOD, options, measured.load);
    row.set_rates(&stats.iter().map(|stats| Rates::of_all(stats)).collect::<Vec<_>>());
    row.set_memory(measured.runs.iter().flatten().map(|generation| &generation.stats));
    row.context_size = u64::from(longest);
    let first = measured.runs.first().map_or(&[] as &[Generation], Vec::as_slice);
    row.prompt_tokens = stats.iter().flatten().map(|stats| stats.prompt_tokens as u64).max().unwrap_or(0);
    row.generated_tokens = first.iter().map(|generation| generation.stats.generated_tokens as u64).sum();
    row.output_preview = first.first().and_then(|generation| preview(&generation.text));
    for (haystack, generation) in haystacks.iter().zip(first) {
        let answer = generation.answer();
        row.needles.push(NeedleScore {
            context: u64::from(haystack.context),
            depth: haystack.depth,
            exact: f64::from(u8::from(score::exact(&haystack.secret, &answer))),
            fuzzy: score::fuzzy(&haystack.secret, &answer),
        });
    }
    let mean =
        |value: fn(&NeedleScore) -> f64| row.needles.iter().map(value).sum::<f64>() / row.needles.len().max(1) as f64;
    row.scores = [("exactMatch", mean(|needle| needle.exact)), ("fuzzyMatch", mean(|needle| needle.fuzzy))]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
    Ok(row)
}
