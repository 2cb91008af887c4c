//! `tools kld`: how far a model's predictions are from a reference's.

mod histogram;
mod in_turn;
mod table;

use crate::common::{self, Running};
use crate::failure::Failure;
use crate::progress::Progress;
use crate::scored_text::{self, Cutting};
use clap::Args;
use ffai::evaluate::{
    Against, Divergence, Method, PerplexityOptions, SavedLogits, divergence, same_vocabulary, save_reference,
};
use ffai::generate::Engine;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// What is compared, over what.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The candidate; with --save-logits alone, the reference
    #[command(flatten)]
    running: Running,
    /// The reference, such as the model before it was quantized
    #[arg(long, value_name = "MODEL", conflicts_with = "ref_logits", required_unless_present_any = ["ref_logits", "save_logits"])]
    ref_model: Option<String>,
    /// What a reference said, as --save-logits or llama-perplexity's --kl-divergence-base wrote it
    #[arg(long, value_name = "FILE")]
    ref_logits: Option<PathBuf>,
    /// Write what the reference says, in steps of 16 bits, for candidates to come
    #[arg(long, value_name = "FILE", conflicts_with = "ref_logits")]
    save_logits: Option<PathBuf>,
    /// The text, in UTF-8; saved logits hold theirs
    #[arg(short, long, required_unless_present = "ref_logits")]
    file: Option<PathBuf>,
    #[command(flatten)]
    cutting: Cutting,
    /// Load one model at a time, as is done by itself where both do not fit
    #[arg(long)]
    in_turn: bool,
    /// Write a line per position (CSV)
    #[arg(long, value_name = "FILE")]
    per_position: Option<PathBuf>,
    /// Draw how the divergences are spread (SVG)
    #[arg(long, value_name = "FILE")]
    histogram: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What was compared.
struct Compared {
    tokens: Vec<u32>,
    options: PerplexityOptions,
    result: Divergence,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if let Some(file) = &arguments.file {
        scored_text::check(file)?;
    }
    let compared = match (&arguments.ref_model, &arguments.ref_logits) {
        (_, Some(saved)) => with_saved(arguments, saved)?,
        (Some(reference), None) => with_model(arguments, reference)?,
        (None, None) => return save(arguments, arguments.running.model()),
    };
    let Some(statistics) = compared.result.statistics() else {
        return Err(Failure::failed("nothing was compared".to_owned()));
    };
    if let Some(path) = &arguments.per_position {
        table::positions(path, &compared)?;
    }
    if let Some(path) = &arguments.histogram {
        histogram::draw(path, &compared.result)?;
    }
    common::print(if arguments.json { table::object(&statistics) } else { table::page(&statistics) })
}

/// The text, which has to be given.
fn file(arguments: &Arguments) -> Result<&Path, Failure> {
    arguments.file.as_deref().ok_or_else(|| Failure::usage("there is no text: give --file".to_owned()))
}

/// Writes what `model` says.
fn save(arguments: &Arguments, model: &str) -> Result<(), Failure> {
    let Some(path) = &arguments.save_logits else { return Ok(()) };
    let (mut engine, tokenizer) = arguments.running.open_model(model, arguments.cutting.context(Method::Chunked))?;
    let (tokens, options) = arguments.cutting.read(file(arguments)?, Method::Chunked, &engine, &tokenizer)?;
    let count = options.count(tokens.len(), engine.context() as usize)?;
    let progress = Progress::new(0, count);
    save_reference(&mut engine, &tokens, &options, path, &mut |done| progress.at(done, String::new()))?;
    Ok(())
}

fn with_saved(arguments: &Arguments, saved: &Path) -> Result<Compared, Failure> {
    let mut saved = SavedLogits::open(saved)?;
    let context = u32::try_from(saved.context()).unwrap_or(u32::MAX);
    let (mut candidate, tokenizer) = arguments.running.open_for(Some(context))?;
    let (reference, own) = (saved.vocab() as u64, u64::from(candidate.model().config().vocab));
    if reference != own {
        return Err(ffai::Error::Vocabularies { reference, candidate: own, what: String::new() }.into());
    }
    let options = PerplexityOptions {
        method: Method::Chunked,
        context: saved.context(),
        chunks: Some(saved.chunks().min(arguments.cutting.chunks().unwrap_or(usize::MAX))),
        bos: tokenizer.leading_bos(),
    };
    let tokens = saved.tokens().to_vec();
    if let Some(file) = &arguments.file {
        same_text(arguments, file, &candidate, &tokenizer, &options, &tokens)?;
    }
    let result = compare(Against::Saved(&mut saved), &mut candidate, &tokens, &options)?;
    Ok(Compared { tokens, options, result })
}

/// The text that was given beside saved logits has to be theirs.
fn same_text(
    arguments: &Arguments,
    file: &Path,
    candidate: &Engine,
    tokenizer: &ffai::text::Tokenizer,
    options: &PerplexityOptions,
    saved: &[u32],
) -> Result<(), Failure> {
    if arguments.cutting.ctx().is_some_and(|ctx| ctx as usize != options.context) {
        return Err(Failure::usage(format!("--ctx: the saved logits are of chunks of {} tokens", options.context)));
    }
    let wanted = options.chunks.unwrap_or(1) * options.context;
    let text = ffai::evaluate::corpus(file, tokenizer, Some(wanted))?.tokens;
    let differs = saved.iter().zip(&text).take(wanted).position(|(a, b)| a != b);
    match differs.or((text.len() < wanted).then_some(text.len())) {
        None => Ok(()),
        Some(at) => {
            let message =
                format!("{}: expected the text of the saved logits, which differs from token {at} on", file.display());
            let hint = format!(
                "leave --file out, or give the text they were made of with a tokenizer of {} tokens",
                candidate.model().config().vocab
            );
            Err(Failure::failed(message).with_hint(hint))
        }
    }
}

fn with_model(arguments: &Arguments, reference: &str) -> Result<Compared, Failure> {
    same_vocabulary(&common::tokenizer(reference)?, &common::tokenizer(arguments.running.model())?)?;
    if arguments.save_logits.is_some() {
        save(arguments, reference)?;
    }
    let context = arguments.cutting.context(Method::Chunked);
    let (mut other, tokenizer) = arguments.running.open_model(reference, context)?;
    let (tokens, options) = arguments.cutting.read(file(arguments)?, Method::Chunked, &other, &tokenizer)?;
    let fits = if arguments.in_turn { None } else { arguments.running.open_beside(&other, context)? };
    let result = match fits {
        Some((mut candidate, _)) => compare(Against::Engine(&mut other), &mut candidate, &tokens, &options)?,
        None => {
            drop(other);
            in_turn::compare(arguments, reference, &tokens, &options)?
        }
    };
    Ok(Compared { tokens, options, result })
}

fn compare(
    against: Against<'_>,
    candidate: &mut Engine,
    tokens: &[u32],
    options: &PerplexityOptions,
) -> Result<Divergence, Failure> {
    let progress = Progress::new(0, options.count(tokens.len(), candidate.context() as usize)?);
    let rows = options.job(tokens, 0).scored.len();
    Ok(divergence(against, candidate, tokens, options, &mut |so_far| {
        let sum: f64 = so_far.positions.iter().map(|position| position.kld).sum();
        let mean = sum / so_far.positions.len() as f64;
        progress.at(so_far.positions.len() / rows, format!("mean KLD {mean:.6}"));
        ControlFlow::Continue(())
    })?)
}
