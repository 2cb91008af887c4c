//! `multi-turn`: a conversation whose replies are fed back, on one sequence, so that only what is new runs.

use super::measured::{Rates, preview};
use super::runner::BenchRunner;
use super::{BenchOptions, BenchRow, Error, Method};
use crate::generate::{Generation, Request};
use crate::measure::{GenerationStats, median};
use crate::text::{Bos, ChatInput, ChatTemplate, EncodeOptions, Message, Special, Tokenizer};
use std::ops::ControlFlow;

const TURNS: [&str; 4] = [
    "I am planning a garden behind a small house. Which three vegetables would you plant first, and why?",
    "Which of them needs the most water?",
    "And in which month should I sow it?",
    "Now say all of that again in one sentence.",
];

/// One row; `scores` has the time to first token of each turn, and how much of its prompt was there already.
pub(super) fn run(runner: &mut BenchRunner<'_>, options: &BenchOptions) -> Result<BenchRow, Error> {
    const METHOD: Method = Method::MultiTurn;
    let template = runner.template(METHOD)?;
    let first = options.prompt.as_deref().filter(|prompt| !prompt.is_empty()).unwrap_or(TURNS[0]);
    let measured = runner.repeat(options, |runner| {
        let request = runner.request(METHOD, Vec::new(), options);
        converse(runner, &template, first, &request)
    })?;
    let mut row = runner.row(METHOD, options, measured.load);
    row.set_rates(&measured.runs.iter().map(|turns| rates(turns)).collect::<Vec<_>>());
    row.set_memory(measured.runs.iter().flatten().map(|turn| &turn.stats));
    for turn in 0..TURNS.len() {
        let stats: Vec<&GenerationStats> = measured.runs.iter().map(|turns| &turns[turn].stats).collect();
        let mut score = |name: &str, value: fn(&GenerationStats) -> f64| {
            let samples: Vec<f64> = stats.iter().map(|stats| value(stats)).collect();
            row.scores.extend(median(&samples).map(|median| (format!("turn{}{name}", turn + 1), median)));
        };
        score("TimeToFirstTokenMs", |stats| stats.time_to_first_token_seconds * 1e3);
        score("PromptTokens", |stats| stats.prompt_tokens as f64);
        score("KeptTokens", |stats| stats.cached_prompt_tokens as f64);
    }
    if let Some((first, last)) = measured.runs.first().and_then(|turns| Some((turns.first()?, turns.last()?))) {
        row.prompt_tokens = last.stats.prompt_tokens as u64;
        row.generated_tokens = measured.runs[0].iter().map(|turn| turn.stats.generated_tokens as u64).sum();
        row.output_preview = preview(&first.text);
    }
    Ok(row)
}

/// All turns on one sequence.
fn converse(
    runner: &mut BenchRunner<'_>,
    template: &ChatTemplate,
    first: &str,
    request: &Request,
) -> Result<Vec<Generation>, Error> {
    let tokenizer = runner.tokenizer;
    let mut session = runner.session();
    let (mut messages, mut turns) = (Vec::new(), Vec::new());
    for (index, words) in TURNS.into_iter().enumerate() {
        messages.push(Message::new("user", if index == 0 { first } else { words }));
        let request = Request { prompt: prompt(tokenizer, template, &messages)?, ..request.clone() };
        let generation = session.generate(&request, &mut |_| ControlFlow::Continue(()))?;
        let stats = &generation.stats;
        tracing::debug!(
            target: "ffai::bench",
            "turn {}: {} tokens, {} kept, first token after {:.3}s",
            index + 1, stats.prompt_tokens, stats.cached_prompt_tokens, stats.time_to_first_token_seconds
        );
        messages.push(reply(&generation));
        turns.push(generation);
    }
    Ok(turns)
}

fn prompt(tokenizer: &Tokenizer, template: &ChatTemplate, messages: &[Message]) -> Result<Vec<u32>, Error> {
    let text = template.render(&ChatInput::new(messages)).map_err(crate::Error::from)?;
    // The template writes out all control tokens, the one that begins a text among them.
    let options = EncodeOptions { special: Special::Parse, bos: Bos::Never };
    Ok(tokenizer.encode(&text, options).map_err(crate::Error::from)?)
}

/// A reply as templates take it: what was thought goes apart.
fn reply(generation: &Generation) -> Message {
    let message = Message::new("assistant", generation.answer());
    match generation.thinking() {
        Some(thinking) => message.with("reasoning_content", thinking),
        None => message,
    }
}

/// Of a whole conversation: tokens that ran by the time they took, and the time that its user waited for the first of them.
fn rates(turns: &[Generation]) -> Rates {
    let sum = |value: fn(&GenerationStats) -> f64| turns.iter().map(|turn| value(&turn.stats)).sum::<f64>();
    let rate = |count: f64, seconds: f64| if seconds > 0.0 { count / seconds } else { 0.0 };
    let ran = sum(|stats| (stats.prompt_tokens - stats.cached_prompt_tokens) as f64);
    let steady: Vec<f64> = turns.iter().filter_map(|turn| turn.stats.steady_tokens_per_second).collect();
    Rates {
        prefill: rate(ran, sum(|stats| stats.prefill_seconds)),
        decode: rate(sum(|stats| stats.generated_tokens as f64), sum(|stats| stats.decode_seconds)),
        steady: median(&steady),
        first_token_ms: turns.first().map_or(0.0, |turn| turn.stats.time_to_first_token_seconds * 1e3),
    }
}
