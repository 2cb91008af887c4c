//! Options of `ffai generate`.

use super::device::DeviceChoice;
use super::ending::Ending;
use super::values;
use clap::{Args, ValueEnum};
use ffai::generate::SamplingOptions;
use ffai::graph::Element;
use ffai::text::GenerationDefaults;
use std::path::{Path, PathBuf};

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
    /// Most tokens of prompt and answer together; `auto` is the model's context, at most 32768
    #[arg(long, value_name = "auto|N", default_value = "auto", value_parser = values::context, allow_negative_numbers = true)]
    pub(crate) ctx: values::Context,

    /// 0 takes the best token every time [default: the checkpoint's generation_config.json, else 0.6]
    #[arg(long, value_name = "X", value_parser = values::number, allow_negative_numbers = true, help_heading = "Sampling")]
    pub(crate) temperature: Option<f32>,
    /// Keep the N best tokens; 0 is off [default: the checkpoint's, else 0]
    #[arg(long, value_name = "N", value_parser = values::count::<u32>, allow_negative_numbers = true, help_heading = "Sampling")]
    pub(crate) top_k: Option<u32>,
    /// Keep the best tokens until their probability reaches X; 1 is off [default: the checkpoint's, else 1]
    #[arg(long, value_name = "X", value_parser = values::number, allow_negative_numbers = true, help_heading = "Sampling")]
    pub(crate) top_p: Option<f32>,
    /// Keep tokens at least X times as probable as the best; 0 is off [default: the checkpoint's, else 0]
    #[arg(long, value_name = "X", value_parser = values::number, allow_negative_numbers = true, help_heading = "Sampling")]
    pub(crate) min_p: Option<f32>,
    /// Divide scores of tokens seen before; 1 is off [default: the checkpoint's, else 1]
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
    /// Go on past end-of-text tokens
    #[arg(long, help_heading = "Sampling")]
    pub(crate) ignore_eos: bool,

    /// `auto` and `gpu` take the best GPU, software drivers among them; `cpu` is the slow reference
    #[arg(long, value_enum, value_name = "NAME", default_value = "auto", help_heading = "Device")]
    pub(crate) backend: BackendChoice,
    /// Choose an adapter by its number or a part of its name; `list` shows them
    #[arg(long, value_name = "list|INDEX|NAME", value_parser = DeviceChoice::parse, help_heading = "Device")]
    pub(crate) device: Option<DeviceChoice>,
    /// What keys and values are stored as
    #[arg(long, value_enum, value_name = "TYPE", default_value = "f16", help_heading = "Device")]
    pub(crate) kv_cache: KvCache,
    /// Most device memory to use, such as 2GiB [default: what device and system suggest]
    #[arg(long, value_name = "SIZE", env = "FFAI_MEMORY_BUDGET", value_parser = values::bytes, help_heading = "Device")]
    pub(crate) memory_budget: Option<u64>,
    /// Compile kernels with bounds checks
    #[arg(long, help_heading = "Device")]
    pub(crate) checked: bool,
    /// Start at once and compile kernels as they are needed
    #[arg(long, help_heading = "Device")]
    pub(crate) no_prewarm: bool,

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

/// What runs the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BackendChoice {
    Auto,
    Gpu,
    Cpu,
}

/// Precision of keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KvCache {
    F16,
    F32,
}

impl KvCache {
    pub(crate) fn element(self) -> Element {
        match self {
            Self::F16 => Element::F16,
            Self::F32 => Element::F32,
        }
    }
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

    /// How tokens of `model` are chosen: by the options, else as its authors do, else as any model's.
    pub(crate) fn sampling_of(&self, model: &Path) -> Result<SamplingOptions, Ending> {
        let defaults = GenerationDefaults::of_checkpoint(model).map_err(ffai::Error::from)?;
        self.sampling_over(SamplingOptions::default().with_defaults(&defaults))
    }

    /// How tokens are chosen where the model has no say; refuses values outside their ranges.
    pub(crate) fn sampling(&self) -> Result<SamplingOptions, Ending> {
        self.sampling_over(SamplingOptions::default())
    }

    fn sampling_over(&self, otherwise: SamplingOptions) -> Result<SamplingOptions, Ending> {
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
}
