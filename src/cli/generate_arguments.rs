//! Options of `ffai generate`.

use super::ending::Ending;
use super::engine_arguments::EngineArguments;
use super::observing::ObservingArguments;
use super::sampling_arguments::SamplingArguments;
use super::tracers::TracerArguments;
use super::values;
use clap::Args;
use std::path::PathBuf;

/// What to generate from, how, and what to show.
#[derive(Args, Debug)]
pub(crate) struct GenerateArguments {
    /// The same as --model
    #[arg(value_name = "MODEL")]
    first: Option<String>,
    /// The same as --prompt
    #[arg(value_name = "PROMPT")]
    second: Option<String>,

    /// A file, a folder, or org/repo[@revision][:file-or-quantization] of the Hugging Face hub, fetched if it is not there
    /// [default: FFAI_MODEL, else the small model of tools/quickstart.sh]
    #[arg(short, long)]
    pub(crate) model: Option<String>,
    /// Text to continue; goes in as it is, without a chat template [default: standard input, where it is no terminal]
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) prompt: Option<String>,
    /// Read the prompt from a file, without its last newline; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "prompt")]
    pub(crate) prompt_file: Option<PathBuf>,
    /// Most tokens to generate
    #[arg(long, value_name = "N", default_value = "256", value_parser = values::tokens, allow_negative_numbers = true)]
    pub(crate) max_tokens: usize,
    #[command(flatten)]
    pub(crate) engine: EngineArguments,

    #[command(flatten)]
    pub(crate) sampling: SamplingArguments,
    /// Go on past end-of-text tokens
    #[arg(long, help_heading = "Sampling")]
    pub(crate) ignore_eos: bool,

    #[command(flatten)]
    pub(crate) observing: ObservingArguments,
    #[command(flatten)]
    pub(crate) tracers: TracerArguments,
    /// Show times and memory afterwards
    #[arg(long, help_heading = "Output")]
    pub(crate) stats: bool,
    /// Print one JSON object instead of text
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
    /// Print the generated text alone, whatever else is asked for
    #[arg(short, long, help_heading = "Output")]
    pub(crate) quiet: bool,
    /// Leave the model's thinking out; on a terminal a line stands for it
    #[arg(long, help_heading = "Output")]
    pub(crate) hide_thinking: bool,
    /// Show the prompt's token ids and the five most probable next tokens
    #[arg(short, long, help_heading = "Output")]
    pub(crate) verbose: bool,
    /// Print the text when it is complete
    #[arg(long, help_heading = "Output")]
    pub(crate) no_stream: bool,
}

impl GenerateArguments {
    /// Model and prompt, whether they came as options or as plain arguments. A single plain argument is the model, unless
    /// there is a --model already.
    pub(crate) fn plain(&self) -> Result<(Option<String>, Option<String>), Ending> {
        let mut plain = self.first.iter().chain(&self.second);
        let model = self.model.as_ref().or_else(|| plain.next());
        let prompt = match (self.prompt.as_ref(), &self.prompt_file) {
            (None, None) => plain.next(),
            (prompt, _) => prompt,
        };
        match plain.next() {
            Some(more) => Err(Ending::usage(
                format!("unexpected argument `{more}`: model and prompt are given already"),
                Some("put a prompt of several words in quotes".to_owned()),
            )),
            None => Ok((model.cloned(), prompt.cloned())),
        }
    }
}
