//! `ffai models`: what this build runs, and what is on this disk.

use super::ending::Ending;
use super::fetching::printable;
use super::output::Output;
use clap::Args;
use ffai::model;
use ffai::weights::hub::{Installed, Places, Source, State, installed};
use indicatif::HumanBytes;
use serde::Serialize;

/// How to print it.
#[derive(Args, Debug)]
#[command(after_help = NOTES)]
pub(crate) struct ModelsArguments {
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

const NOTES: &str = "Looks in the cache of the Hugging Face hub, in ffai's own, and, without writing there, in the folders of LM Studio and Ollama.
What stands under PATH is good for --model. Formats that ffai does not read are not listed.";

#[derive(Serialize)]
struct Json<'a> {
    families: &'a [&'static str],
    models: &'a [Installed],
}

pub(crate) fn run(arguments: &ModelsArguments, output: &mut Output) -> Result<(), Ending> {
    let families: Vec<&'static str> = model::FAMILIES.iter().map(|family| family.name).collect();
    let models = installed(&Places::from_environment());
    if arguments.json {
        let object = Json { families: &families, models: &models };
        let text = serde_json::to_string(&object).map_err(|error| {
            // Only a path that is no text can be the reason.
            Ending::failed(format!("the list cannot be written as JSON: {error}"), Some("leave out --json".to_owned()))
        })?;
        return output.text(&(text + "\n"));
    }
    output.text(&format!("families of this build: {}\n\n{}", families.join(", "), table(&models)))
}

fn table(models: &[Installed]) -> String {
    if models.is_empty() {
        return "no models on this disk; `ffai pull org/repo` fetches one\n".to_owned();
    }
    let rows: Vec<[String; 6]> = models.iter().map(row).collect();
    let head = ["MODEL", "SOURCE", "KIND", "SIZE", "STATE", "PATH"].map(str::to_owned);
    let mut widths = [0; 6];
    for row in rows.iter().chain([&head]) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(widths).enumerate().map(|(at, (cell, width))| match at {
            3 => format!("{cell:>width$}"),
            _ => format!("{cell:<width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    std::iter::once(&head).chain(&rows).map(line).collect()
}

/// Names come from files of others, and are escaped.
fn row(model: &Installed) -> [String; 6] {
    let revision = match (&model.revision, &model.commit) {
        (Some(revision), _) if revision == "main" => String::new(),
        (Some(revision), _) => format!("@{revision}"),
        (None, Some(commit)) => format!("@{commit:.7}"),
        (None, None) => String::new(),
    };
    // `org/repo@revision:file`, as the name is written elsewhere.
    let name = match (model.source, model.name.split_once(':')) {
        (Source::Hub, Some((repository, file))) => format!("{repository}{revision}:{file}"),
        _ => format!("{}{revision}", model.name),
    };
    let path = printable(&model.path.display().to_string());
    let (state, path) = match &model.state {
        State::Complete => ("complete", path),
        State::Partial => ("partial", path),
        State::Broken(problem) => ("broken", format!("{path} ({})", printable(problem))),
    };
    let kind = model.kind.map_or("-", |kind| kind.name()).to_owned();
    let size = HumanBytes(model.bytes).to_string();
    [printable(&name), model.source.name().to_owned(), kind, size, state.to_owned(), path]
}
