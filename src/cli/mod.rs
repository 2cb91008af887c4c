//! The command line: reads arguments, runs a subcommand, turns its ending into a message and an exit status.

mod arguments;
#[cfg(feature = "bench")]
mod bench;
#[cfg(feature = "bench")]
mod bench_arguments;
mod chat;
mod completions;
mod convert;
mod convert_arguments;
#[cfg(feature = "dashboard")]
mod dash;
mod device;
mod doctor;
mod ending;
mod engine_arguments;
mod fetching;
mod generate;
mod generate_arguments;
mod inspect;
mod inspection_view;
mod interrupt;
mod kernel_table;
mod man;
mod metrics;
mod models;
mod observing;
mod output;
mod prompt;
mod pull;
mod report;
mod sampling_arguments;
mod table;
mod thinking;
mod tracers;
mod values;

use arguments::{Arguments, Command};
use clap::Parser as _;
use ending::Ending;
use output::Output;
use std::io::Write as _;
use std::process::ExitCode;

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        // A backtrace is what whoever asks for one needs; others get a message like any other.
        let place = panic.location().map(|place| format!(" ({}:{})", place.file(), place.line())).unwrap_or_default();
        let what = panic.payload_as_str().unwrap_or("unknown");
        let _ = writeln!(std::io::stderr(), "error: ffai made a mistake: {what}{place}");
        let _ = writeln!(std::io::stderr(), "hint: please report this, with the command and the model that led to it");
        if std::env::var_os("RUST_BACKTRACE").is_some() {
            let _ = writeln!(std::io::stderr(), "{}", std::backtrace::Backtrace::force_capture());
        }
    }));
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help goes to stdout with status 0, mistakes to stderr with 2; a closed pipe is no reason to complain.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let ending = match std::panic::catch_unwind(|| run(arguments)) {
        Ok(Ok(())) => return ExitCode::SUCCESS,
        Ok(Err(ending)) => ending,
        Err(_) => return ExitCode::FAILURE,
    };
    ending.explain(&mut std::io::stderr());
    ExitCode::from(ending.status())
}

fn run(arguments: Arguments) -> Result<(), Ending> {
    match arguments.command {
        None => generate::run(arguments.generate),
        Some(Command::Generate(arguments)) => generate::run(*arguments),
        Some(Command::Chat(arguments)) => chat::run(*arguments),
        #[cfg(feature = "dashboard")]
        Some(Command::Dash(arguments)) => dash::run(*arguments),
        #[cfg(feature = "bench")]
        Some(Command::Bench(arguments)) => bench::run(*arguments),
        Some(Command::Pull(arguments)) => pull::run(&arguments, &mut Output::plain()),
        Some(Command::Inspect(arguments)) => inspect::run(&arguments, &mut Output::plain()),
        Some(Command::Doctor(arguments)) => doctor::run(&arguments, &mut Output::plain()),
        Some(Command::Models(arguments)) => models::run(&arguments, &mut Output::plain()),
        Some(Command::Convert(arguments)) => convert::run(&arguments),
        Some(Command::Completions(arguments)) => completions::run(&arguments, &mut Output::plain()),
        Some(Command::Man) => man::run(&mut Output::plain()),
    }
}
