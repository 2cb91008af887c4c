//! `tools choice`: how many multiple-choice questions a model answers, by the choice that it finds most probable.

mod accuracy;
mod questions;

use crate::common::{self, Running};
use crate::failure::Failure;
use crate::progress::Progress;
use accuracy::{Accuracy, Answered};
use clap::Args;
use ffai::evaluate::{Query, likelihoods};
use questions::{Question, read};
use serde_json::{Value, json};
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    running: Running,
    /// JSON lines: {"context" or "question": TEXT, "choices": [TEXT, …], "answer": INDEX or LETTER}
    #[arg(short, long)]
    file: PathBuf,
    /// What stands between a context and each choice
    #[arg(long, value_name = "TEXT", default_value = " ")]
    delimiter: String,
    /// Only so many questions from the beginning
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Tokens that a context and a choice may have together; of longer ones the end counts
    #[arg(long, value_name = "TOKENS")]
    ctx: Option<u32>,
    /// Write a JSON line per question to this file: what was chosen, and how probable each choice was
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let limit = arguments.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let questions = read(&arguments.file, limit)?;
    let answered = answer(arguments, &questions)?;
    if let Some(file) = &arguments.output {
        write(file, &questions, &answered)?;
    }
    let (plain, normalised) = (
        Accuracy::of(answered.iter().map(|answered| answered.chosen == answered.answer)),
        Accuracy::of(answered.iter().map(|answered| answered.chosen_normalised == answered.answer)),
    );
    if arguments.json {
        let object = json!({
            "acc": plain.share, "acc_stderr": plain.error, "acc_norm": normalised.share, "acc_norm_stderr": normalised.error,
            "questions": questions.len(),
        });
        return common::print(format!("{object}\n"));
    }
    let line = |name: &str, accuracy: &Accuracy| {
        let error = accuracy.error.map_or_else(String::new, |error| format!(" ± {error:.4}"));
        format!("{name:10}{:.4}{error}\n", accuracy.share)
    };
    common::print(format!("{}{}questions {}\n", line("acc", &plain), line("acc_norm", &normalised), questions.len()))
}

/// Every choice of every question, in order.
fn answer(arguments: &Arguments, questions: &[Question]) -> Result<Vec<Answered>, Failure> {
    let (mut engine, tokenizer) = arguments.running.open_for(arguments.ctx)?;
    let progress = Progress::of("questions", 0, questions.len());
    let mut queries = questions.iter().flat_map(|question| {
        question.choices.iter().map(|choice| {
            Ok(Query { context: question.context.clone(), continuation: format!("{}{choice}", arguments.delimiter) })
        })
    });
    let (mut answered, mut likelihoods_of_one) = (Vec::new(), Vec::new());
    let mut right = 0;
    likelihoods(&mut engine, &tokenizer, &mut queries, &mut |_, likelihood| {
        let question = &questions[answered.len()];
        likelihoods_of_one.push(likelihood);
        if likelihoods_of_one.len() == question.choices.len() {
            let one = Answered::of(question, std::mem::take(&mut likelihoods_of_one));
            right += usize::from(one.chosen == one.answer);
            answered.push(one);
            progress.at(answered.len(), format!("acc {:.4}", right as f64 / answered.len() as f64));
        }
        ControlFlow::Continue(())
    })?;
    Ok(answered)
}

fn write(file: &Path, questions: &[Question], answered: &[Answered]) -> Result<(), Failure> {
    let failed = |source| Failure::from(ffai::Error::File { path: file.to_owned(), source });
    let mut out = std::io::BufWriter::new(std::fs::File::create(file).map_err(failed)?);
    for (question, answered) in questions.iter().zip(answered) {
        let each = |value: &dyn Fn(&ffai::evaluate::Likelihood) -> Value| -> Vec<Value> {
            answered.likelihoods.iter().map(value).collect()
        };
        let line = json!({
            "line": question.line,
            "answer": answered.answer,
            "chosen": answered.chosen,
            "chosen_norm": answered.chosen_normalised,
            "acc": u8::from(answered.chosen == answered.answer),
            "acc_norm": u8::from(answered.chosen_normalised == answered.answer),
            "logprobs": each(&|likelihood| json!(likelihood.logprob)),
            "tokens": each(&|likelihood| json!(likelihood.tokens)),
        });
        writeln!(out, "{line}").map_err(failed)?;
    }
    out.flush().map_err(failed)
}
