//! `tools bench`: how fast prompts are read and tokens generated, at depths, in batches, by format of the cache and by variant of
//! kernels, with the names and columns of llama.cpp's `llama-bench`.

mod against;
mod measure;
mod print;
mod row;
mod settings;

use crate::common::{self, BackendChoice};
use crate::failure::Failure;
use clap::Args;
use ffai::cache::MAX_SEQUENCES;
use ffai::weights::{self, Checkpoint};
use measure::Test;
use print::{Format, Printer};
use row::{Row, Subject};
use settings::{KvType, Variants, settings};
use std::path::PathBuf;

/// Most tokens of a test: positions are exact up to here.
const MOST_TOKENS: i64 = 1 << 24;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Models, joined by commas or one by one
    #[arg(short, long = "model", value_name = "MODEL", value_delimiter = ',', required = true)]
    models: Vec<String>,
    /// Prompts to read, in tokens; 0 reads none
    #[arg(short = 'p', long, value_name = "LIST", value_delimiter = ',', default_value = "512", value_parser = clap::value_parser!(u32).range(0..=MOST_TOKENS))]
    n_prompt: Vec<u32>,
    /// Tokens to generate; 0 generates none
    #[arg(short = 'n', long, value_name = "LIST", value_delimiter = ',', default_value = "128", value_parser = clap::value_parser!(u32).range(0..=MOST_TOKENS))]
    n_gen: Vec<u32>,
    /// A prompt and what is generated behind it, timed together; may be given several times
    #[arg(long, value_name = "PP,TG", value_parser = pair)]
    pg: Vec<(u32, u32)>,
    /// Tokens that the cache holds already when the time starts
    #[arg(short = 'd', long, value_name = "LIST", value_delimiter = ',', default_value = "0", value_parser = clap::value_parser!(u32).range(0..=MOST_TOKENS))]
    n_depth: Vec<u32>,
    /// Sequences that decode at once, 1 to 8
    #[arg(short = 'b', long, value_name = "LIST", value_delimiter = ',', default_value = "1", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_SEQUENCES)))]
    batch: Vec<u32>,
    /// What keys and values are stored as
    #[arg(
        long = "ctk",
        visible_alias = "cache-type-k",
        value_enum,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "f16"
    )]
    cache_types: Vec<KvType>,
    /// Variants of a kernel to go through, such as softmax=online,two-pass; may be given several times
    #[arg(long = "variant", value_name = "KERNEL=LIST")]
    variants: Vec<Variants>,
    /// Tokens of a prompt that run at once
    #[arg(long = "ubatch", visible_alias = "ubatch-size", value_name = "TOKENS", default_value = "512", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    chunk: u32,
    /// What runs the model; `cpu` is the slow reference
    #[arg(long, value_enum, value_name = "NAME", default_value = "gpu")]
    backend: BackendChoice,
    /// Repetitions of every test; pairs of runs with --against
    #[arg(short, long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    repetitions: u32,
    /// Count the first repetition too
    #[arg(long)]
    no_warmup: bool,
    /// How rows are printed
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "md")]
    output: Format,
    /// Another build of this program: both run in turn, and each test is called faster, slower, same or can't tell; status 1 where
    /// one is slower
    #[arg(long, value_name = "BINARY")]
    against: Option<PathBuf>,
    /// By how much two runs of one build may differ, in percent; with --against
    #[arg(long, value_name = "PERCENT", default_value = "2", requires = "against", value_parser = crate::compare::percent)]
    noise: f64,
}

/// A model to run, checked as far as it can be without loading it.
struct Model {
    checkpoint: Checkpoint,
    subject: Subject,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let tests = arguments.tests()?;
    if let Some(other) = &arguments.against {
        return against::run(arguments, other);
    }
    let settings = settings(&arguments.cache_types, arguments.chunk as usize, &arguments.variants)?;
    let needed = tests.iter().map(Test::context).max().unwrap_or(0);
    let models: Vec<Model> = arguments.models.iter().map(|name| model(name, needed)).collect::<Result<_, _>>()?;
    let mut printer = Printer::new(arguments.output, &arguments.shown());
    let mut last = None;
    for Model { checkpoint, subject } in &models {
        for setting in &settings {
            let options = setting.options(arguments.backend.into(), needed);
            let mut engine = ffai::generate::load(checkpoint, &options, &mut |_, _| {})?;
            for &test in &tests {
                let times = test.run(&mut engine, !arguments.no_warmup, arguments.repetitions)?;
                let row = Row::new(subject, setting, test, &engine, &times);
                common::print(printer.row(&row)?)?;
                last = Some(row);
            }
        }
    }
    common::print(printer.end(last.as_ref()))
}

/// Opens a model and refuses one whose context is shorter than `needed` tokens.
fn model(name: &str, needed: u32) -> Result<Model, Failure> {
    let checkpoint = Checkpoint::open(&weights::locate(name)?)?;
    let config = ffai::model::family(&checkpoint)?.config(&checkpoint)?;
    if needed > config.context {
        let message = format!(
            "{name}: expected tests of at most the model's {} tokens, depth included, found {needed}",
            config.context
        );
        return Err(Failure::usage(message).with_hint("use a smaller -p, -n or -d".to_owned()));
    }
    let subject = Subject::of(name, &checkpoint)?;
    Ok(Model { checkpoint, subject })
}

impl Arguments {
    /// Every test: prompts before generation, as llama-bench orders them. Only generation knows several sequences.
    fn tests(&self) -> Result<Vec<Test>, Failure> {
        let mut tests = Vec::new();
        for &depth in &self.n_depth {
            let prompts = self.n_prompt.iter().filter(|&&prompt| prompt > 0);
            tests.extend(prompts.map(|&prompt| Test { prompt, generated: 0, depth, width: 1 }));
            for &width in &self.batch {
                let generated = self.n_gen.iter().filter(|&&generated| generated > 0);
                tests.extend(generated.map(|&generated| Test { prompt: 0, generated, depth, width }));
                tests.extend(self.pg.iter().map(|&(prompt, generated)| Test { prompt, generated, depth, width }));
            }
        }
        if tests.is_empty() {
            return Err(Failure::usage("there is nothing to measure: expected -p or -n above 0".to_owned()));
        }
        if let Some(test) = tests.iter().find(|test| i64::from(test.context()) > MOST_TOKENS) {
            let message = format!("{}: expected at most {MOST_TOKENS} tokens, depth included", test.name());
            return Err(Failure::usage(message));
        }
        Ok(tests)
    }

    /// Columns beside the usual ones: what differs from row to row, or from what is usual.
    fn shown(&self) -> Vec<&'static str> {
        let mut shown = Vec::new();
        if self.cache_types != [KvType::F16] {
            shown.push("type_k");
        }
        if !self.variants.is_empty() {
            shown.push("variant");
        }
        shown
    }
}

fn pair(text: &str) -> Result<(u32, u32), String> {
    let parts =
        text.split_once(',').and_then(|(prompt, generated)| Some((prompt.parse().ok()?, generated.parse().ok()?)));
    let good = |&(prompt, generated): &(u32, u32)| prompt > 0 && generated > 0;
    parts.filter(good).ok_or_else(|| format!("expected two numbers above 0 such as 512,128, found `{text}`"))
}
