//! Options of `ffai chat`.

#[cfg(feature = "dashboard")]
use super::super::dash::ProfilingArguments;
use super::super::ending::Ending;
use super::super::engine_arguments::EngineArguments;
use super::super::observing::ObservingArguments;
use super::super::sampling_arguments::SamplingArguments;
use super::super::tracers::TracerArguments;
use super::super::values;
use clap::{Args, ValueEnum};

/// Whom to talk to, how, and what to show.
#[derive(Args, Debug)]
pub(crate) struct ChatArguments {
    /// The same as --model
    #[arg(value_name = "MODEL")]
    plain: Option<String>,

    /// A model with a chat template, named as for `ffai generate` [default: FFAI_MODEL, else the small model of tools/quickstart.sh]
    #[arg(short, long, conflicts_with = "plain")]
    model: Option<String>,
    /// What the model is told before the first message
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) system: Option<String>,
    /// Whether the model is to think before it answers, where its template has a switch for that
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto")]
    pub(crate) thinking: Thinking,
    /// Most tokens of one reply
    #[arg(long, value_name = "N", default_value = "4096", value_parser = values::tokens, allow_negative_numbers = true)]
    pub(crate) max_tokens: usize,
    #[command(flatten)]
    pub(crate) engine: EngineArguments,
    #[command(flatten)]
    pub(crate) sampling: SamplingArguments,

    /// Leave the model's thinking out; on a terminal a line stands for it
    #[arg(long, help_heading = "Output")]
    pub(crate) hide_thinking: bool,
    #[command(flatten)]
    pub(crate) observing: ObservingArguments,
    #[command(flatten)]
    pub(crate) tracers: TracerArguments,
    /// Talk in a dashboard, which shows where time and memory go
    #[cfg(feature = "dashboard")]
    #[arg(long, help_heading = "Insight")]
    pub(crate) dash: bool,
    #[cfg(feature = "dashboard")]
    #[command(flatten)]
    pub(crate) profiling: ProfilingArguments,
    /// Show times and memory after each reply
    #[arg(long, help_heading = "Output")]
    pub(crate) stats: bool,
    /// Print the replies alone
    #[arg(short, long, help_heading = "Output")]
    pub(crate) quiet: bool,
    /// Neither read nor write the file of lines that were typed before
    #[arg(long, help_heading = "Output")]
    pub(crate) no_history: bool,
}

/// Whether to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Thinking {
    On,
    Off,
    /// As the template has it
    Auto,
}

impl Thinking {
    pub(super) fn switch(self) -> Option<bool> {
        match self {
            Self::On => Some(true),
            Self::Off => Some(false),
            Self::Auto => None,
        }
    }
}

impl ChatArguments {
    /// The model that was named, whichever way.
    pub(super) fn model(&self) -> Option<String> {
        self.model.clone().or_else(|| self.plain.clone())
    }

    /// Refuses an empty system text, which some templates take for none and others write out.
    pub(super) fn system(&self) -> Result<Option<String>, Ending> {
        match &self.system {
            Some(text) if text.is_empty() => {
                Err(Ending::usage("--system: expected a text, found none".to_owned(), Some("leave it out".to_owned())))
            }
            system => Ok(system.clone()),
        }
    }
}
