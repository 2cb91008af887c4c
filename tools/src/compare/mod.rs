//! `tools compare`: what changed between two profiles or two sets of benchmarks, as a page for people or an object for programs, and as an exit status.

mod calls;
mod comparison;
mod counters;
mod field;
mod json;
mod kind;
mod memory;
pub(crate) mod noise;
mod pairing;
mod profile;
mod render;
mod series;
mod times;
mod verdict;

use crate::common;
use crate::failure::Failure;
use clap::Args;
use comparison::{Comparison, Limits};
use kind::Measured;
use profile::Profile;
use series::Series;
use std::path::PathBuf;

/// The exit status where something became worse.
const WORSE: u8 = 1;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// What was measured earlier: a profile (`ffai generate --profile --json`), a sidecar of `ffai bench`, rows of `tools bench` in
    /// json or jsonl, or a folder of criterion (`target/criterion`, or with `/NAME` behind it the baseline of that name)
    before: PathBuf,
    /// What was measured later
    after: PathBuf,
    /// By how much a token or a benchmark may take longer before that is a failure
    #[arg(long, value_name = "PERCENT", default_value = "5", value_parser = percent)]
    threshold: f64,
    /// By how much an op or a benchmark may differ between two runs of the same program
    #[arg(long, value_name = "PERCENT", default_value = "2", value_parser = percent)]
    noise: f64,
    /// By how much a perplexity may rise; a divergence by as many hundredths of a nat
    #[arg(long, value_name = "PERCENT", default_value = "0.5", value_parser = percent)]
    quality: f64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Prints what changed. Fails with status 1 where something became worse than it may: a counter, a time, memory, quality; with 2 where a
/// file cannot be read.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (text, is_worse) = match (kind::read(&arguments.before)?, kind::read(&arguments.after)?) {
        (Measured::Profile(before), Measured::Profile(after)) => profiles(&before, &after, arguments),
        (Measured::Series(before), Measured::Series(after)) if before.kind == after.kind => {
            rows(&before, &after, arguments)?
        }
        (before, after) => {
            let message = format!("expected two of a kind, found {}, then {}", before.kind(), after.kind());
            return Err(Failure::usage(message).with_hint("compare what the same command wrote".to_owned()));
        }
    };
    match common::print(text) {
        Err(failure) if failure.status != 0 => return Err(failure),
        // The verdict holds, whether or not all of it was read.
        Ok(()) | Err(_) => {}
    }
    if is_worse { Err(Failure::found(WORSE)) } else { Ok(()) }
}

fn profiles(before: &Profile, after: &Profile, arguments: &Arguments) -> (String, bool) {
    let limits = Limits { threshold_percent: arguments.threshold, noise_percent: arguments.noise };
    let comparison = Comparison::of(before, after, limits);
    let text = if arguments.json { json::object(&comparison) } else { render::page(&comparison) };
    (text, comparison.is_worse())
}

fn rows(before: &Series, after: &Series, arguments: &Arguments) -> Result<(String, bool), Failure> {
    let limits = series::Limits {
        threshold_percent: arguments.threshold,
        noise_percent: arguments.noise,
        quality_percent: arguments.quality,
    };
    let comparison = series::Comparison::of(before, after, limits)?;
    let text = if arguments.json { series::object(&comparison) } else { series::page(&comparison) };
    Ok((text, comparison.is_worse()))
}

/// A share that an option gives.
pub(crate) fn percent(text: &str) -> Result<f64, String> {
    let percent = text.parse().ok().filter(|percent: &f64| percent.is_finite() && *percent >= 0.0);
    percent.ok_or_else(|| format!("expected percent such as 5 or 2.5, found `{text}`"))
}
