//! `tools compare`: what changed between two profiles, as a page for people or an object for programs, and as an exit status.

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
mod times;

use crate::common;
use crate::failure::Failure;
use clap::Args;
use comparison::{Comparison, Limits};
use kind::Measured;
use std::path::PathBuf;

/// The exit status where something became worse.
const WORSE: u8 = 1;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The earlier profile: what `ffai generate --profile --json` printed
    before: PathBuf,
    /// The later one
    after: PathBuf,
    /// By how much a token may take longer before that is a failure
    #[arg(long, value_name = "PERCENT", default_value = "5", value_parser = percent)]
    threshold: f64,
    /// By how much an op may differ between two runs of the same program
    #[arg(long, value_name = "PERCENT", default_value = "2", value_parser = percent)]
    noise: f64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Prints what changed. Fails with status 1 where a counter rose or the total lost more than the threshold, with 2 where a file
/// cannot be read.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (Measured::Profile(before), Measured::Profile(after)) =
        (kind::read(&arguments.before)?, kind::read(&arguments.after)?);
    let limits = Limits { threshold_percent: arguments.threshold, noise_percent: arguments.noise };
    let comparison = Comparison::of(&before, &after, limits);
    let text = if arguments.json { json::object(&comparison) } else { render::page(&comparison) };
    match common::print(text) {
        Err(failure) if failure.status != 0 => return Err(failure),
        // The verdict holds, whether or not all of it was read.
        Ok(()) | Err(_) => {}
    }
    if comparison.is_worse() { Err(Failure::found(WORSE)) } else { Ok(()) }
}

/// A share that an option gives.
pub(crate) fn percent(text: &str) -> Result<f64, String> {
    let percent = text.parse().ok().filter(|percent: &f64| percent.is_finite() && *percent >= 0.0);
    percent.ok_or_else(|| format!("expected percent such as 5 or 2.5, found `{text}`"))
}
