//! The `ffai` program: everything it does stands in [`cli`], one file per subcommand.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
