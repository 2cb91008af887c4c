//! `tool-calling`: tools are rendered by the chat template; the calls in the replies are parsed, validated against the tools'
//! schemas, and scored against those that were expected.

mod bfcl;
mod cases;
mod extract;
mod judge;
mod python;

use super::measured::{Rates, preview};
use super::runner::BenchRunner;
use super::{BenchOptions, BenchRow, Error, Method};
use crate::generate::Generation;
use crate::text::{Bos, ChatInput, ChatTemplate, Controls, Segment, ThinkingSplit, ThinkingStyle};
use cases::Case;
use extract::extract;
use judge::{Tally, judge};

const METHOD: Method = Method::ToolCalling;

/// Refuses cases that cannot be run with any model.
pub(super) fn check(options: &BenchOptions) -> Result<(), Error> {
    cases::load(options).map(drop)
}

/// One row: rates over all cases, and in `scores` how the calls of the first run compare with what was expected.
pub(super) fn run(runner: &mut BenchRunner<'_>, options: &BenchOptions) -> Result<BenchRow, Error> {
    let template = runner.template(METHOD)?;
    if !template.features().tools {
        return Err(runner.lacks(METHOD, "has a chat template that tells the model of no tools"));
    }
    let cases = cases::load(options)?;
    let prompts = cases.iter().map(|case| prompt(runner, &template, case)).collect::<Result<Vec<_>, Error>>()?;
    let measured = runner.repeat(options, |runner| {
        let mut replies = Vec::with_capacity(cases.len());
        for ids in &prompts {
            let request = runner.request(METHOD, ids.clone(), options);
            replies.push(runner.alone(&request)?);
        }
        Ok(replies)
    })?;

    let style = runner.session().thinking_style().clone();
    let mut tally = Tally::default();
    let first = measured.runs.first().map_or(&[] as &[Generation], Vec::as_slice);
    for ((case, ids), reply) in cases.iter().zip(&prompts).zip(first) {
        let said = answer(runner, &style, ids, reply);
        let extracted = extract(&said, &case.tool_names());
        let verdict = judge(case, &extracted);
        tracing::debug!(target: "ffai::bench", "case {}: {said:?}: {extracted:?}, {verdict:?}", case.id);
        tally.add(case, &extracted, &verdict);
    }
    let mut row = runner.row(METHOD, options, measured.load);
    let stats = |run: &Vec<Generation>| run.iter().map(|reply| reply.stats.clone()).collect::<Vec<_>>();
    row.set_rates(&measured.runs.iter().map(|run| Rates::of_all(&stats(run))).collect::<Vec<_>>());
    row.set_memory(measured.runs.iter().flatten().map(|reply| &reply.stats));
    row.prompt_tokens = first.iter().map(|reply| reply.stats.prompt_tokens as u64).sum();
    row.generated_tokens = first.iter().map(|reply| reply.stats.generated_tokens as u64).sum();
    row.output_preview = first.first().and_then(|reply| preview(&reply.text));
    row.scores = tally.scores();
    Ok(row)
}

/// A case as a prompt.
fn prompt(runner: &BenchRunner<'_>, template: &ChatTemplate, case: &Case) -> Result<Vec<u32>, Error> {
    let input = ChatInput { tools: Some(&case.tools), ..ChatInput::new(&case.messages) };
    runner.encode(&template.render(&input).map_err(crate::Error::from)?, Bos::Never)
}

/// What was said without what was thought. Control tokens are written out: some models mark calls by them.
fn answer(runner: &BenchRunner<'_>, style: &ThinkingStyle, prompt: &[u32], reply: &Generation) -> String {
    let bytes = runner.tokenizer.decode(&reply.ids, Controls::Show);
    let mut split = ThinkingSplit::new(style, &style.last_turn(runner.tokenizer, prompt));
    let mut segments = split.text(&String::from_utf8_lossy(&bytes));
    segments.extend(split.finish());
    segments.iter().filter(|segment| matches!(segment, Segment::Answer(_))).map(Segment::text).collect()
}
