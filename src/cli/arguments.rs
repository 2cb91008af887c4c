//! The table of commands. Parser, help, completions and man page come from it.

#[cfg(feature = "bench")]
use super::bench_arguments::BenchArguments;
use super::chat::ChatArguments;
use super::completions::CompletionsArguments;
use super::convert_arguments::ConvertArguments;
#[cfg(feature = "dashboard")]
use super::dash::DashArguments;
use super::doctor::DoctorArguments;
use super::generate_arguments::GenerateArguments;
use super::inspect::InspectArguments;
use super::models::ModelsArguments;
use super::pull::PullArguments;
use clap::{Parser, Subcommand};

/// Runs language models on the machine in front of you
#[derive(Debug, Parser)]
#[command(name = "ffai", version, args_conflicts_with_subcommands = true, args_override_self = true, max_term_width = 120, after_help = NOTES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) generate: GenerateArguments,
}

const NOTES: &str =
    "Without a subcommand it generates: `ffai --model M --prompt TEXT` and `ffai generate M TEXT` are the same call.
Exit status: 0 success, 1 the run failed, 2 the command line was wrong, 130 interrupted.";

/// What `ffai` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Continue a prompt (what happens without a subcommand, too)
    Generate(Box<GenerateArguments>),
    /// Talk to a model, turn after turn
    Chat(Box<ChatArguments>),
    /// Continue a prompt in a dashboard: the text as it comes, where time and memory go, throughput, logs
    #[cfg(feature = "dashboard")]
    Dash(Box<DashArguments>),
    /// Measure a model by methods that others run too, and keep the rows in a report
    #[cfg(feature = "bench")]
    Bench(Box<BenchArguments>),
    /// Fetch a model from the Hugging Face hub, or bring it up to date
    Pull(PullArguments),
    /// Tell what a model is, and whether it fits, without loading it
    Inspect(Box<InspectArguments>),
    /// List the families that this build runs, and the models on this disk
    Models(ModelsArguments),
    /// Convert a model to safetensors as MLX reads them, quantized or not
    Convert(Box<ConvertArguments>),
    /// Examine the GPU: whether it computes right, what it can do at best, and which kernels are fastest on it
    Doctor(DoctorArguments),
    /// Print a completion script for a shell
    Completions(CompletionsArguments),
    /// Print the manual page in roff
    Man,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn generate(line: &[&str]) -> GenerateArguments {
        let arguments = Arguments::try_parse_from(std::iter::once(&"ffai").chain(line)).unwrap();
        match arguments.command {
            None => arguments.generate,
            Some(Command::Generate(arguments)) => *arguments,
            Some(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_table_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn generate_is_the_default_subcommand() {
        let line = ["--model", "m", "--prompt", "p", "--stats", "--top-k", "5"];
        let bare = generate(&line);
        let named = generate(&[&["generate"], line.as_slice()].concat());
        assert_eq!(format!("{bare:?}"), format!("{named:?}"));
    }

    #[test]
    fn model_and_prompt_stand_as_plain_arguments() {
        for line in [
            &["m", "p"] as &[&str],
            &["generate", "m", "p"],
            &["-m", "m", "p"],
            &["-m", "m", "-p", "p"],
            &["m", "-p", "p"],
        ] {
            let (model, prompt) = generate(line).plain().unwrap();
            assert_eq!((model.as_deref(), prompt.as_deref()), (Some("m"), Some("p")), "{line:?}");
        }
        assert!(generate(&["-m", "m", "a", "b"]).plain().is_err());
        assert!(generate(&["a", "b", "-p", "c"]).plain().is_err());
    }

    #[test]
    fn values_may_start_with_a_hyphen() {
        assert_eq!(generate(&["-p", "- a list"]).prompt.as_deref(), Some("- a list"));
        assert_eq!(generate(&["--presence-penalty", "-1.5"]).sampling.presence_penalty, Some(-1.5));
    }
}
