//! `ffai inspect --kernels`: the option, and the table that it asks for.

use super::table::{Side, table};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use ffai::graph::Why;
use ffai::inspect::{Chosen, KernelRow};
use std::sync::OnceLock;

/// Whether the table is wanted. Stands in front of the options that hold `--kernels`, because these take it out of what was parsed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KernelTable {
    pub(crate) wanted: bool,
}

/// What `--kernels` is without a value: what it would be without the option.
fn unsaid() -> &'static str {
    static UNSAID: OnceLock<String> = OnceLock::new();
    UNSAID.get_or_init(|| std::env::var("FFAI_KERNELS").unwrap_or_else(|_| "auto".to_owned()))
}

/// Makes of `--kernels`, of which every other command wants a value, an option that may stand without one.
pub(crate) fn optional(kernels: Arg) -> Arg {
    kernels
        .num_args(0..=1)
        .default_missing_value(unsaid())
        .help("Show what runs the model, kernel by kernel; with a value, what would run with these sources")
}

impl Args for KernelTable {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}

impl FromArgMatches for KernelTable {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self { wanted: matches.value_source("kernels") == Some(ValueSource::CommandLine) })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The kernels of a model's plans, for people.
pub(crate) fn view(rows: &[KernelRow]) -> String {
    let head = ["KERNEL", "WEIGHTS", "VARIANT", "WHY", "ALSO", "IN A CHUNK", "IN A STEP"].map(str::to_owned);
    let cells = |row: &KernelRow| {
        let times = |count: usize| if count == 0 { String::new() } else { format!("{count}×") };
        [
            row.kernel.to_owned(),
            row.format.unwrap_or_default().to_owned(),
            parts(row).map(|part| part.name).collect::<Vec<_>>().join(", "),
            why(row),
            row.others.join(", "),
            times(row.chunk),
            times(row.step),
        ]
    };
    let rows: Vec<[String; 7]> = std::iter::once(head).chain(rows.iter().map(cells)).collect();
    let sides = [Side::Left, Side::Left, Side::Left, Side::Left, Side::Left, Side::Right, Side::Right];
    table("  ", sides, &rows)
}

fn parts(row: &KernelRow) -> impl Iterator<Item = Chosen> {
    row.algorithm.into_iter().chain([row.source])
}

/// One word where all parts were chosen by the same, else a word for each.
fn why(row: &KernelRow) -> String {
    let word = |why: Why| match why {
        Why::Default => "default",
        Why::Tuned => "tuned",
        Why::Forced => "forced",
    };
    if parts(row).all(|part| part.why == row.source.why) {
        return word(row.source.why).to_owned();
    }
    parts(row).map(|part| word(part.why)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_chosen_by_different_hands_is_said_apart() {
        let row = |algorithm, source| {
            let algorithm = Some(Chosen { name: "online", why: algorithm });
            let source = Chosen { name: "wgsl", why: source };
            KernelRow { kernel: "attend", format: None, algorithm, source, others: Vec::new(), chunk: 1, step: 0 }
        };
        assert_eq!(why(&row(Why::Forced, Why::Default)), "forced, default");
        assert_eq!(why(&row(Why::Tuned, Why::Tuned)), "tuned");
    }
}
