//! `tools logits`: what a model says at chosen positions, as a numpy file.

use crate::common::{self, Running};
use crate::failure::Failure;
use crate::npy;
use clap::Args;
use ffai::cache::SequenceId;
use ffai::generate::{Engine, SamplingOptions};
use ffai::text::{Bos, EncodeOptions, Special, Tokenizer};
use std::io;
use std::path::PathBuf;

/// Logits of one run that may stand in memory, in bytes, and tokens of one run.
const AT_ONCE: usize = 64 << 20;
const LONGEST: usize = 512;

/// Which tokens, which positions, and where to.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    running: Running,
    /// Token ids such as 1,2,3
    #[arg(long, allow_hyphen_values = true, required_unless_present = "file")]
    ids: Option<String>,
    /// A file: a JSON list of token ids, or else a text, encoded as the model wants it (special tokens are plain text)
    #[arg(long, conflicts_with = "ids")]
    file: Option<PathBuf>,
    /// Positions in ascending order, such as 0,31,127, or `all`. The logits at position p are for the token after it
    #[arg(long)]
    positions: String,
    /// Run token by token, as when decoding, instead of all at once
    #[arg(long)]
    stepwise: bool,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let given = arguments.ids.as_deref().map(common::ids).transpose();
    let given = given.map_err(|message| Failure::usage(format!("--ids: {message}")))?;
    let wanted = positions(&arguments.positions)?;
    let (mut engine, tokenizer) = arguments.running.open()?;
    let ids = match given {
        Some(ids) => ids,
        None => ids_of_file(&tokenizer, &common::text(arguments.file.as_deref())?)?,
    };
    let context = engine.context() as usize;
    common::check_ids(&ids, &engine, context)?;
    let wanted = wanted.unwrap_or_else(|| (0..ids.len()).collect());
    if let Some(last) = wanted.last().filter(|&&last| last >= ids.len()) {
        return Err(Failure::usage(format!("--positions: expected positions below {}, found {last}", ids.len())));
    }
    let vocab = engine.model().config().vocab as usize;
    let failed = |source: io::Error| Failure::from(ffai::Error::File { path: arguments.output.clone(), source });
    let mut writer = npy::Writer::create(&arguments.output, wanted.len(), vocab).map_err(failed)?;
    let sequence = engine.open().ok_or_else(|| Failure::failed("no sequence is free".to_owned()))?;
    // What is behind the last position need not run.
    let ids = &ids[..wanted.last().map_or(0, |last| last + 1)];
    let piece = if arguments.stepwise { 1 } else { (AT_ONCE / (vocab * 4)).clamp(1, LONGEST) };
    let mut wanted = wanted.into_iter().peekable();
    for (index, part) in ids.chunks(piece).enumerate() {
        let start = index * piece;
        let mut here = Vec::new();
        while let Some(position) = wanted.next_if(|&position| position < start + part.len()) {
            here.push(position - start);
        }
        let rows = if arguments.stepwise && start > 0 {
            vec![step(&mut engine, sequence, part[0])?]
        } else {
            engine.logits(sequence, part, &here)?
        };
        for row in rows.iter().take(here.len()) {
            writer.row(row).map_err(failed)?;
        }
    }
    writer.finish().map_err(failed)
}

/// One step of decoding from `token`: the logits behind it.
fn step(engine: &mut Engine, sequence: SequenceId, token: u32) -> Result<Vec<f32>, Failure> {
    engine.set_batch(&[(sequence, token)])?;
    let step = engine.step(&[sequence], SamplingOptions::greedy().parts(), true)?;
    Ok(engine.finish(step)?.1)
}

fn ids_of_file(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>, Failure> {
    // A text that begins with a bracket is still a text where the rest is no list of numbers.
    if let Ok(ids) = serde_json::from_str::<Vec<u32>>(text) {
        return Ok(ids);
    }
    Ok(tokenizer.encode(text, EncodeOptions { special: Special::Plain, bos: Bos::AsModel })?)
}

/// Positions in ascending order; `None` for all.
fn positions(text: &str) -> Result<Option<Vec<usize>>, Failure> {
    if text == "all" {
        return Ok(None);
    }
    let wrong = || {
        Failure::usage(format!("--positions: expected `all` or ascending positions such as 0,31,127, found `{text}`"))
    };
    let list: Result<Vec<usize>, _> = text.split(',').map(|part| part.trim().parse()).collect();
    let list = list.map_err(|_| wrong())?;
    if list.is_sorted_by(|a, b| a < b) { Ok(Some(list)) } else { Err(wrong()) }
}
