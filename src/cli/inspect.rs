//! `ffai inspect`: what a model is, and whether it fits.

use super::device::{self, DeviceChoice};
use super::ending::Ending;
use super::engine_arguments::EngineArguments;
use super::generate::choose;
use super::inspection_view::view;
use super::kernel_table::{KernelTable, optional};
use super::output::Output;
use clap::Args;
use ffai::inspect::inspect;
use ffai::weights::Checkpoint;

/// Which model, and what it is to run on.
#[derive(Args, Debug)]
#[command(after_help = NOTES, mut_arg("kernels", optional))]
pub(crate) struct InspectArguments {
    /// The same as --model
    #[arg(value_name = "MODEL", conflicts_with = "model")]
    first: Option<String>,
    /// A file, a folder, or org/repo[@revision][:file-or-quantization] of the Hugging Face hub, fetched if it is not there
    /// [default: FFAI_MODEL, else the small model of tools/quickstart.sh]
    #[arg(short, long)]
    model: Option<String>,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    table: KernelTable,
    #[command(flatten)]
    engine: EngineArguments,
}

const NOTES: &str = "Reads headers, not weights: nothing is put on the device. A model that cannot run here is shown as far as it is understood, with
the reason, and the exit status is 0 all the same.";

pub(crate) fn run(arguments: &InspectArguments, output: &mut Output) -> Result<(), Ending> {
    if arguments.engine.on.device == Some(DeviceChoice::List) {
        return device::list(output);
    }
    let options = arguments.engine.options()?;
    let named = arguments.model.clone().or_else(|| arguments.first.clone());
    let model = choose(named, arguments.engine.on.memory_budget, arguments.json)?;
    let mut inspection = inspect(&Checkpoint::open(&model.path)?, &options)?;
    if !arguments.table.wanted {
        inspection.kernels = None;
    }
    if !arguments.json {
        return output.text(&view(&inspection));
    }
    let text = serde_json::to_string(&inspection)
        .map_err(|error| Ending::failed(format!("what was found cannot be written as JSON: {error}"), None))?;
    output.text(&(text + "\n"))
}
