//! `ffai completions`: scripts for shells.

use super::arguments::Arguments;
use super::ending::Ending;
use super::output::Output;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

/// Which shell.
#[derive(Args, Debug)]
pub(crate) struct CompletionsArguments {
    /// The shell
    pub(crate) shell: Shell,
}

pub(crate) fn run(arguments: &CompletionsArguments, output: &mut Output) -> Result<(), Ending> {
    // Into memory first: the generator panics where a write fails.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "ffai", &mut script);
    output.text(&String::from_utf8_lossy(&script))
}
