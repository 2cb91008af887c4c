//! Options of `ffai bench`.

use super::ending::Ending;
use super::engine_arguments::DeviceArguments;
use super::observing::ObservingArguments;
use super::sampling_arguments::SamplingArguments;
use super::tracers::TracerArguments;
use super::values;
use clap::Args;
use ffai::bench::{BenchOptions, Method};
use ffai::generate::SamplingOptions;
use std::path::PathBuf;

/// What to measure, on which model, and where to keep it.
#[derive(Args, Debug)]
#[command(after_help = notes())]
pub(crate) struct BenchArguments {
    /// The same as --model
    #[arg(value_name = "MODEL", conflicts_with = "model")]
    first: Option<String>,
    /// A file, a folder, or org/repo[@revision][:file-or-quantization] of the Hugging Face hub, fetched if it is not there
    #[arg(short, long, required_unless_present = "first")]
    model: Option<String>,
    /// What is measured; see below
    #[arg(long, value_name = "NAME", default_value = "simple")]
    pub(crate) method: String,
    /// Text to continue; of summarization the text that is read, of multi-turn what is said first
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) prompt: Option<String>,
    /// Most tokens to generate, per turn or question [default: 64; tool-calling: 256]
    #[arg(long, value_name = "N", value_parser = values::tokens, allow_negative_numbers = true)]
    pub(crate) max_tokens: Option<usize>,
    /// Lengths of contexts in tokens, such as 128,1024,4096 [default: the method's own, as far as they fit]; where a method has
    /// none, the most tokens of prompt and answer together
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = values::count::<u32>, allow_negative_numbers = true)]
    pub(crate) ctx: Vec<u32>,
    /// Runs that are measured; medians are over them
    #[arg(long, value_name = "N", default_value = "1", value_parser = values::count::<u32>, allow_negative_numbers = true)]
    pub(crate) runs: u32,
    /// Runs before them that are not counted
    #[arg(long, value_name = "N", default_value = "0", value_parser = values::count::<u32>, allow_negative_numbers = true)]
    pub(crate) warmup: u32,
    /// Where needles stand, in percent of the text [default: 0,25,50,75,100]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = values::number, allow_negative_numbers = true)]
    pub(crate) depths: Vec<f32>,
    /// Cases of tool calls: a JSON list in the form of ours, or JSONL in that of the Berkeley Function Calling Leaderboard (v3)
    #[arg(long, value_name = "FILE")]
    pub(crate) cases: Option<PathBuf>,
    /// The leaderboard's `possible_answer` file for --cases [default: no call is expected]
    #[arg(long, value_name = "FILE", requires = "cases")]
    pub(crate) answers: Option<PathBuf>,
    /// Compare with this model, over the same tokens: the divergence is what the difference in formats costs
    #[arg(long, value_name = "MODEL")]
    pub(crate) ref_model: Option<String>,
    /// The test part of WikiText-2, `wiki.test.raw`
    #[arg(long, value_name = "FILE")]
    pub(crate) wikitext2_corpus: Option<PathBuf>,
    /// Most tokens of the corpus that are scored
    #[arg(long, value_name = "N", default_value = "2048", value_parser = values::tokens, allow_negative_numbers = true)]
    pub(crate) wikitext2_max_tokens: usize,

    /// A label for the weights' format, such as 4bit
    #[arg(long, value_name = "LABEL", help_heading = "Output")]
    pub(crate) quantization: Option<String>,
    /// Folder of the day's report
    #[arg(long, value_name = "FOLDER", default_value = "./benchmarks", help_heading = "Output")]
    pub(crate) report_dir: PathBuf,
    /// Print the rows as one JSON list instead of text
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) on: DeviceArguments,
    #[command(flatten)]
    pub(crate) sampling: SamplingArguments,
    /// Go on past end-of-text tokens
    #[arg(long, help_heading = "Sampling")]
    pub(crate) ignore_eos: bool,
    #[command(flatten)]
    pub(crate) observing: ObservingArguments,
    #[command(flatten)]
    pub(crate) tracers: TracerArguments,
}

/// The table of methods.
fn notes() -> String {
    let line = |method: &Method| match method.needs() {
        None => format!("  {:<20} {}\n", method.name(), method.about()),
        Some(needs) => format!("  {:<20} {}: not there yet, needs {needs}\n", method.name(), method.about()),
    };
    let methods: String = Method::ALL.iter().map(line).collect();
    format!(
        "Methods:\n{methods}\nTokens are chosen greedily with seed 0 unless sampling options say otherwise, so that rows compare."
    )
}

impl BenchArguments {
    /// The model, however it was given.
    pub(crate) fn model(&self) -> &str {
        self.model.as_deref().or(self.first.as_deref()).unwrap_or_default()
    }

    /// How the method is run.
    pub(crate) fn options(&self) -> Result<BenchOptions, Ending> {
        let seeded = SamplingArguments { seed: Some(self.sampling.seed.unwrap_or(0)), ..self.sampling.clone() };
        Ok(BenchOptions {
            prompt: self.prompt.clone(),
            max_tokens: self.max_tokens,
            quantization: self.quantization.clone(),
            sampling: seeded.options(&SamplingOptions::greedy())?,
            stop: self.sampling.stop.clone(),
            ignore_eos: self.ignore_eos,
            contexts: self.ctx.clone(),
            runs: self.runs,
            warmup: self.warmup,
            depths: self.depths.iter().map(|percent| f64::from(*percent) / 100.0).collect(),
            cases: self.cases.clone(),
            answers: self.answers.clone(),
            corpus: self.wikitext2_corpus.clone(),
            corpus_tokens: self.wikitext2_max_tokens,
            reference: self.ref_model.is_some(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::arguments::{Arguments, Command};
    use super::*;
    use clap::Parser as _;

    fn options(line: &[&str]) -> BenchOptions {
        let line = ["ffai", "bench", "--model", "m"].iter().chain(line);
        match Arguments::try_parse_from(line).unwrap().command {
            Some(Command::Bench(arguments)) => arguments.options().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn sampling_is_greedy_with_seed_0_unless_options_say_otherwise() {
        assert_eq!(options(&[]), BenchOptions::default());
        let sampling = options(&["--temperature", "0.7", "--top-k", "5"]).sampling;
        assert_eq!((sampling.temperature, sampling.top_k, sampling.seed), (0.7, 5, 0));
        assert_eq!(options(&["--seed", "9"]).sampling, SamplingOptions { seed: 9, ..SamplingOptions::greedy() });
    }

    #[test]
    fn lists_are_split_at_commas() {
        let options = options(&["--ctx", "128,1024", "--depths", "0,12.5,100", "--ref-model", "r"]);
        assert_eq!((options.contexts, options.depths), (vec![128, 1024], vec![0.0, 0.125, 1.0]));
        assert!(options.reference);
    }
}
