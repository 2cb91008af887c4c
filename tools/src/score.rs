//! `tools score`: how probable continuations are, in the sense of lm-evaluation-harness' `loglikelihood`, and whole texts in the sense
//! of its `loglikelihood_rolling`.

use crate::common::{self, Running};
use crate::failure::Failure;
use crate::json_lines::JsonLines;
use clap::Args;
use ffai::evaluate::{Likelihood, Query, likelihoods, rolling_likelihoods};
use ffai::generate::Engine;
use ffai::text::Tokenizer;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::cell::Cell;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// Lines that are read ahead: enough to fill batches, and few enough that answers come while a program waits for them.
const AHEAD: usize = 256;
const EXPECTED: &str = r#"{"context": TEXT, "continuation": TEXT} or {"text": TEXT}"#;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    running: Running,
    /// JSON lines: {"context": …, "continuation": …}, or {"text": …} for a whole text; without it standard input. An `id` is handed on
    #[arg(short, long)]
    file: Option<PathBuf>,
    /// Tokens that context and continuation may have together; of longer ones the end is scored
    #[arg(long, value_name = "TOKENS")]
    ctx: Option<u32>,
}

/// A line as it is given.
#[derive(Deserialize)]
struct Given {
    id: Option<Value>,
    context: Option<String>,
    continuation: Option<String>,
    text: Option<String>,
}

/// What is asked of the model.
enum Asked {
    Continuation(Query),
    Text(String),
}

struct Line {
    number: usize,
    id: Option<Value>,
    asked: Asked,
}

/// A line as it is answered.
#[derive(Serialize)]
struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Value>,
    #[serde(flatten)]
    likelihood: Likelihood,
}

/// Answers every line in order. A line that cannot be scored ends the run with its number, after the answers to those before it.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut lines = JsonLines::open(arguments.file.as_deref())?;
    let (mut engine, tokenizer) = arguments.running.open_for(arguments.ctx)?;
    let mut held = next(&mut lines)?;
    while let Some(first) = held.take() {
        // A block is of one kind. What is wrong behind it is told when it is answered.
        let whole = matches!(first.asked, Asked::Text(_));
        let mut block = vec![first];
        let behind = loop {
            match next(&mut lines) {
                Ok(Some(line)) if block.len() < AHEAD && matches!(line.asked, Asked::Text(_)) == whole => {
                    block.push(line)
                }
                other => break other,
            }
        };
        answer(&mut engine, &tokenizer, &lines, block)?;
        held = behind?;
    }
    Ok(())
}

fn next(lines: &mut JsonLines) -> Result<Option<Line>, Failure> {
    let Some((number, given)) = lines.next::<Given>(EXPECTED)? else { return Ok(None) };
    let asked = match (given.context, given.continuation, given.text) {
        (Some(_), Some(continuation), None) if continuation.is_empty() => {
            return Err(lines.wrong(number, "expected a continuation that is not empty, found an empty one"));
        }
        (Some(context), Some(continuation), None) => Asked::Continuation(Query { context, continuation }),
        (None, None, Some(text)) if !text.is_empty() => Asked::Text(text),
        (None, None, Some(_)) => {
            return Err(lines.wrong(number, "expected a text that is not empty, found an empty one"));
        }
        _ => return Err(lines.wrong(number, &format!("expected {EXPECTED}, found other fields"))),
    };
    Ok(Some(Line { number, id: given.id, asked }))
}

/// Scores lines of one kind and prints what was found.
fn answer(engine: &mut Engine, tokenizer: &Tokenizer, lines: &JsonLines, block: Vec<Line>) -> Result<(), Failure> {
    let (mut queries, mut texts) = (Vec::new(), Vec::new());
    let mut ids = Vec::new();
    for line in block {
        ids.push(line.id);
        match line.asked {
            Asked::Continuation(query) => queries.push((line.number, query)),
            Asked::Text(text) => texts.push((line.number, text)),
        }
    }
    let mut ids = ids.into_iter();
    let mut printed = Ok(());
    // Lines are made into tokens one by one: the last one that was asked for is the one that could not be.
    let last = Cell::new(0);
    let on_likelihood = &mut |_, likelihood: Likelihood| {
        let answer = Answer { id: ids.next().flatten(), likelihood };
        let text = serde_json::to_string(&answer).unwrap_or_else(|error| panic!("numbers are no JSON: {error}"));
        printed = common::print(text + "\n");
        if printed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let result = if texts.is_empty() {
        let mut queries = queries.into_iter().inspect(|(line, _)| last.set(*line)).map(|(_, query)| Ok(query));
        likelihoods(engine, tokenizer, &mut queries, on_likelihood)
    } else {
        let mut texts = texts.into_iter().inspect(|(line, _)| last.set(*line)).map(|(_, text)| Ok(text));
        rolling_likelihoods(engine, tokenizer, &mut texts, on_likelihood)
    };
    match result {
        Err(error @ (ffai::Error::EmptyContinuation | ffai::Error::PromptTooLong { .. })) => {
            Err(lines.wrong(last.get(), &error.to_string()))
        }
        Err(error) => Err(error.into()),
        Ok(()) => printed,
    }
}
