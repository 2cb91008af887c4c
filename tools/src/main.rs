//! `tools`: small programs that measure and check what `ffai` does, one file per subcommand.

mod bench;
mod choice;
mod common;
mod compare;
mod detokenize;
mod failure;
mod generate_ids;
mod json_lines;
mod kernels;
mod kernels_doc;
mod kld;
mod logits;
mod npy;
mod perplexity;
mod progress;
mod report;
mod score;
mod scored_text;
mod sidecar;
mod synth;
mod tokenize;

use clap::{Parser, Subcommand};
use std::io::Write as _;
use std::process::ExitCode;

/// Tools that measure and check what ffai does
#[derive(Debug, Parser)]
#[command(name = "tools", version, max_term_width = 120)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the token ids of a text as a JSON list
    Tokenize(tokenize::Arguments),
    /// Print the text of token ids
    Detokenize(detokenize::Arguments),
    /// Write logits as a numpy file: float32 [positions, vocab]
    Logits(logits::Arguments),
    /// Continue token ids greedily and print ids and top-2 gaps as JSON
    GenerateIds(generate_ids::Arguments),
    /// Score a text: how surprised is a model by it?
    Perplexity(perplexity::Arguments),
    /// Compare a model with a reference over a text: how far apart are their predictions?
    Kld(kld::Arguments),
    /// Measure how fast prompts are read and tokens generated, as llama-bench does
    Bench(bench::Arguments),
    /// Measure every kernel of a model at its shapes, beside what the device does at best
    Kernels(kernels::Arguments),
    /// Write a checkpoint of a named shape with random weights
    Synth(synth::Arguments),
    /// Score continuations of contexts: JSON lines in, JSON lines out, in order
    Score(score::Arguments),
    /// Answer multiple-choice questions by the most probable choice: accuracy with its error
    Choice(choice::Arguments),
    /// Show what changed between two profiles or two sets of benchmarks; status 1 where it became worse
    Compare(compare::Arguments),
    /// Write a folder of `ffai bench`'s sidecars as one HTML page
    Report(report::Arguments),
    /// Print the content of docs/kernels.md
    KernelsDoc,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match &arguments.command {
        Command::Tokenize(arguments) => tokenize::run(arguments),
        Command::Detokenize(arguments) => detokenize::run(arguments),
        Command::Logits(arguments) => logits::run(arguments),
        Command::GenerateIds(arguments) => generate_ids::run(arguments),
        Command::Perplexity(arguments) => perplexity::run(arguments),
        Command::Kld(arguments) => kld::run(arguments),
        Command::Bench(arguments) => bench::run(arguments),
        Command::Kernels(arguments) => kernels::run(arguments),
        Command::Synth(arguments) => synth::run(arguments),
        Command::Score(arguments) => score::run(arguments),
        Command::Choice(arguments) => choice::run(arguments),
        Command::Compare(arguments) => compare::run(arguments),
        Command::Report(arguments) => report::run(arguments),
        Command::KernelsDoc => common::print(kernels_doc::page()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody is left to tell when this fails; panicking would not help.
            let _ = failure.explain(&mut std::io::stderr().lock()).and_then(|()| std::io::stderr().flush());
            ExitCode::from(failure.status)
        }
    }
}
