//! Options that say how tokens are chosen, for every command that generates.

use super::ending::Ending;
use super::values;
use clap::Args;
use ffai::generate::{SamplingDefaults, SamplingOptions, Sourced};
use std::fmt::Display;

/// How tokens are chosen.
#[derive(Args, Clone, Debug)]
pub(crate) struct SamplingArguments {
    /// 0 takes the best token every time [default: as the model's authors say, else 0.6]
    #[arg(long, value_name = "X", value_parser = values::number, allow_negative_numbers = true, help_heading = "Sampling")]
    pub(crate) temperature: Option<f32>,
    /// Keep the N best tokens; 0 is off [default: as the model's authors say, else 0]
    #[arg(long, value_name = "N", value_parser = values::count::<u32>, allow_negative_numbers = true, help_heading = "Sampling")]
    pub(crate) top_k: Option<u32>,
    /// Keep the best tokens until their probability reaches X; 1 is off [default: as the model's authors say, else 1]
    #[arg(long, value_name = "X", value_parser = values::number, allow_negative_numbers = true, help_heading = "Sampling")]
    pub(crate) top_p: Option<f32>,
    /// Keep tokens at least X times as probable as the best; 0 is off [default: as the model's authors say, else 0]
    #[arg(long, value_name = "X", value_parser = values::number, allow_negative_numbers = true, help_heading = "Sampling")]
    pub(crate) min_p: Option<f32>,
    /// Divide scores of tokens seen before; 1 is off [default: as the model's authors say, else 1]
    #[arg(long, value_name = "X", value_parser = values::number, allow_negative_numbers = true, help_heading = "Sampling")]
    pub(crate) repetition_penalty: Option<f32>,
    /// Lower the scores of tokens generated before; 0 is off [default: 0]
    #[arg(long, value_name = "X", value_parser = values::number, allow_negative_numbers = true, help_heading = "Sampling")]
    pub(crate) presence_penalty: Option<f32>,
    /// Lower the scores of generated tokens with every occurrence; 0 is off [default: 0]
    #[arg(long, value_name = "X", value_parser = values::number, allow_negative_numbers = true, help_heading = "Sampling")]
    pub(crate) frequency_penalty: Option<f32>,
    /// Makes a run repeatable on the same device [default: from the clock; --verbose shows it]
    #[arg(long, value_name = "N", value_parser = values::count::<u64>, allow_negative_numbers = true, help_heading = "Sampling")]
    pub(crate) seed: Option<u64>,
    /// End the text before this string; may be given more than once
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, value_parser = values::stop, help_heading = "Sampling")]
    pub(crate) stop: Vec<String>,
}

impl SamplingArguments {
    /// How tokens are chosen where nothing that was given here says otherwise; refuses values outside their ranges.
    pub(crate) fn options(&self, otherwise: &SamplingOptions) -> Result<SamplingOptions, Ending> {
        let options = SamplingOptions {
            repetition_penalty: self.repetition_penalty.unwrap_or(otherwise.repetition_penalty),
            presence_penalty: self.presence_penalty.unwrap_or(otherwise.presence_penalty),
            frequency_penalty: self.frequency_penalty.unwrap_or(otherwise.frequency_penalty),
            temperature: self.temperature.unwrap_or(otherwise.temperature),
            top_k: self.top_k.unwrap_or(otherwise.top_k),
            top_p: self.top_p.unwrap_or(otherwise.top_p),
            min_p: self.min_p.unwrap_or(otherwise.min_p),
            seed: self.seed.unwrap_or_else(values::seed_from_clock),
        };
        options.check()?;
        Ok(options)
    }

    /// Each value that tells how tokens are chosen, and who says so.
    pub(crate) fn explained(&self, defaults: &SamplingDefaults) -> String {
        fn part<T: Display>(name: &str, given: Option<T>, default: &Sourced<T>) -> String {
            match given {
                Some(value) => format!("{name} {value} (the command line)"),
                None => format!("{name} {} ({})", default.value, default.source),
            }
        }
        let parts = [
            part("temperature", self.temperature, &defaults.temperature),
            part("top-k", self.top_k, &defaults.top_k),
            part("top-p", self.top_p, &defaults.top_p),
            part("min-p", self.min_p, &defaults.min_p),
            part("repetition penalty", self.repetition_penalty, &defaults.repetition_penalty),
        ];
        format!("sampling: {}", parts.join(", "))
    }
}
