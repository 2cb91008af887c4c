//! `tools perplexity`: how surprised a model is by a text.

use crate::common::{self, Running};
use crate::failure::Failure;
use crate::progress::Progress;
use crate::scored_text::{self, Cutting};
use clap::{Args, ValueEnum};
use ffai::evaluate::{ChunkSum, Method, NllSum, Part, Perplexity, PerplexityOptions, parts, perplexity};
use ffai::generate::Engine;
use ffai::text::{ThinkingStyle, Tokenizer};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// What is scored, and how.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    running: Running,
    /// The text, in UTF-8; what looks like a special token in it is plain text
    #[arg(short, long)]
    file: PathBuf,
    /// Which tokens are scored
    #[arg(long, value_enum, value_name = "HOW", default_value = "chunked")]
    scoring: Scoring,
    #[command(flatten)]
    cutting: Cutting,
    /// Keep what is done in this file after each chunk, and go on from there if it exists
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Scoring {
    /// The second half of each chunk, as llama.cpp does
    Chunked,
    /// Every token after the first
    Stride,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let method = match arguments.scoring {
        Scoring::Chunked => Method::Chunked,
        Scoring::Stride => Method::Stride,
    };
    scored_text::check(&arguments.file)?;
    let (mut engine, tokenizer) = arguments.running.open_for(arguments.cutting.context(method))?;
    let (tokens, options) = arguments.cutting.read(&arguments.file, method, &engine, &tokenizer)?;
    let count = options.count(tokens.len(), engine.context() as usize)?;
    let parts = parts_of(&engine, &tokenizer, &tokens);
    let kept = arguments.resume.as_deref().map(|file| (file, Kept::of(arguments, &options, &engine, &tokens)));
    let done = match &kept {
        Some((file, kept)) => kept.load(file)?,
        None => Perplexity::default(),
    };
    let progress = Progress::new(done.chunks.len(), count);
    let mut failure = None;
    let result = perplexity(&mut engine, &tokens, &parts, &options, done, &mut |so_far| {
        let message = so_far.total.all.perplexity().map_or(String::new(), |value| format!("perplexity {value:.4}"));
        progress.at(so_far.chunks.len(), message);
        if let Some((file, kept)) = &kept
            && let Err(error) = kept.save(file, so_far)
        {
            failure = Some(error);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    drop(progress);
    if let Some(failure) = failure {
        return Err(failure);
    }
    let text = if arguments.json { object(&result, &options) } else { page(&result, &options) };
    common::print(text)
}

/// What each token belongs to; nothing where the model does not think, or the text shows none of it.
fn parts_of(engine: &Engine, tokenizer: &Tokenizer, tokens: &[u32]) -> Vec<Part> {
    let style = ThinkingStyle::of(&engine.model().config().model_type, tokenizer);
    if style == ThinkingStyle::None {
        return Vec::new();
    }
    let parts = parts(tokenizer, &style, &[], tokens);
    if parts.contains(&Part::Thinking) { parts } else { Vec::new() }
}

/// The two parts of a text that holds both, by their names.
fn split(result: &Perplexity) -> Vec<(&'static str, NllSum)> {
    let parts = [("think", result.total.thinking), ("gen", result.total.answer)];
    parts.into_iter().filter(|_| result.total.thinking.tokens > 0).collect()
}

fn object(result: &Perplexity, options: &PerplexityOptions) -> String {
    let all = &result.total.all;
    let mut object = json!({
        "perplexity": all.perplexity(),
        "standard_error": all.standard_error(),
        "mean_nll": all.mean(),
        "scored_tokens": all.tokens,
        "chunks": result.running(),
        "scoring": options.method.name(),
        "context": options.context,
    });
    for (name, sum) in split(result) {
        object[format!("{name}_perplexity")] = json!(sum.perplexity());
        object[format!("{name}_standard_error")] = json!(sum.standard_error());
        object[format!("{name}_tokens")] = json!(sum.tokens);
    }
    format!("{object:#}\n")
}

fn page(result: &Perplexity, options: &PerplexityOptions) -> String {
    let chunks = result.running();
    let mut page =
        format!("{} scoring, {} tokens a chunk, {} chunks\n", options.method.name(), options.context, chunks.len());
    for (index, line) in chunks.chunks(8).enumerate() {
        let values = line.iter().zip(index * 8 + 1..).map(|(value, number)| format!("[{number}] {value:.4}"));
        page += &format!("{}\n", values.collect::<Vec<_>>().join("  "));
    }
    let whole = [("", result.total.all)].into_iter();
    for (name, sum) in whole.chain(split(result)) {
        let label = if name.is_empty() { "perplexity:".to_owned() } else { format!("{name} perplexity:") };
        let value = sum.perplexity().map_or("-".to_owned(), |value| format!("{value:.4}"));
        let error = sum.standard_error().map_or(String::new(), |error| format!(" ± {error:.4}"));
        page += &format!("{label:18} {value}{error}  ({} tokens)\n", sum.tokens);
    }
    page
}

/// What a file of `--resume` holds: what was scored, and how far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Kept {
    model: String,
    /// Bytes of weights.
    weights: u64,
    running: String,
    scoring: Method,
    context: usize,
    bos: Option<u32>,
    /// Of the tokens of all chunks: the same text.
    text: u64,
    chunks: Vec<ChunkSum>,
}

impl Kept {
    fn of(arguments: &Arguments, options: &PerplexityOptions, engine: &Engine, tokens: &[u32]) -> Self {
        Self {
            model: arguments.running.model().to_owned(),
            weights: engine.model().weight_bytes(),
            running: format!("{}, {}", arguments.running.spelled(), engine.device().name),
            scoring: options.method,
            context: options.context,
            bos: options.bos,
            text: fingerprint(tokens),
            chunks: Vec::new(),
        }
    }

    /// What is done already. A file that is not there is begun; one of another run is refused.
    fn load(&self, file: &Path) -> Result<Perplexity, Failure> {
        let bytes = match std::fs::read(file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Perplexity::default()),
            Err(source) => return Err(ffai::Error::File { path: file.to_owned(), source }.into()),
        };
        let refused = |what: String| {
            let message = format!("{}: {what}", file.display());
            Failure::failed(message)
                .with_hint("give --resume another file, or remove this one to begin anew".to_owned())
        };
        let kept: Self = serde_json::from_slice(&bytes)
            .map_err(|error| refused(format!("expected what an earlier run kept, found: {error}")))?;
        let same = Self { chunks: self.chunks.clone(), ..kept.clone() };
        if same != *self {
            return Err(refused(
                "expected what a run of this model, text and scoring kept, found another's".to_owned(),
            ));
        }
        let mut done = Perplexity::default();
        kept.chunks.into_iter().for_each(|chunk| done.add(chunk));
        Ok(done)
    }

    /// Whole or not at all: a run may be killed at any moment.
    fn save(&self, file: &Path, so_far: &Perplexity) -> Result<(), Failure> {
        let kept = Self { chunks: so_far.chunks.clone(), ..self.clone() };
        let fresh = file.with_extension("partial");
        let failed = |source| Failure::from(ffai::Error::File { path: file.to_owned(), source });
        let text = serde_json::to_string(&kept).map_err(|error| Failure::failed(error.to_string()))?;
        std::fs::write(&fresh, text + "\n").and_then(|()| std::fs::rename(&fresh, file)).map_err(failed)
    }
}

/// FNV-1a over the tokens: the same everywhere.
fn fingerprint(tokens: &[u32]) -> u64 {
    tokens
        .iter()
        .flat_map(|token| token.to_le_bytes())
        .fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}
