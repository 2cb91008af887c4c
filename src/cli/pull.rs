//! `ffai pull`: fetches a model from the Hugging Face hub.

use super::ending::Ending;
use super::fetching::{Fetching, printable};
use super::output::Output;
use super::{interrupt, values};
use clap::Args;
use ffai::weights::hub::{self, Listing, Name, Pick, Settings};
use indicatif::HumanBytes;
use serde_json::json;

/// Which model, and which of its files.
#[derive(Args, Debug)]
#[command(after_help = NOTES)]
pub(crate) struct PullArguments {
    /// org/repo[@revision][:file-or-quantization]
    model: String,
    /// Take the GGUF file in this quantization, such as Q4_K_M [default: the largest that fits the memory]
    #[arg(long, value_name = "NAME")]
    quant: Option<String>,
    /// Show the models that the repository holds and which one would be taken; fetch nothing
    #[arg(long)]
    list: bool,
    /// Most memory that a file may need, such as 12GiB [default: three quarters of this machine's]
    #[arg(long, value_name = "SIZE", env = "FFAI_MEMORY_BUDGET", value_parser = values::bytes)]
    memory_budget: Option<u64>,
    /// Print one JSON object instead of a path or a table
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

const NOTES: &str = "Prints the path of the model, which is good for --model, as its name is. Interrupted, it goes on where it stopped.
Files lie in the cache that Hugging Face's own client uses: HF_HOME, HF_HUB_CACHE, HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE count.
From Xet storage, the client for it reports how the transfer went; HF_HUB_DISABLE_TELEMETRY=1 or DO_NOT_TRACK=1 turns that off.";

pub(crate) fn run(arguments: &PullArguments, output: &mut Output) -> Result<(), Ending> {
    let mut name = Name::parse(&arguments.model).map_err(ending)?;
    match (&arguments.quant, &name.pick) {
        (Some(_), Some(pick)) => {
            let message = format!("--quant and `:{}` both choose a file", pick.text());
            return Err(Ending::usage(message, Some("leave one of them out".to_owned())));
        }
        (Some(label), None) => name.pick = Some(Pick::Quantization(label.clone())),
        (None, _) => {}
    }
    let settings = Settings::from_environment().map_err(ending)?;
    let memory = arguments.memory_budget.unwrap_or_else(hub::memory);
    interrupt::watch();
    let mut fetching = Fetching::new(arguments.quiet);
    if arguments.list {
        let listing = hub::list(&name, &settings, &mut |progress| fetching.show(progress)).map_err(ending)?;
        return output.text(&table(&name, &listing, memory, arguments.json));
    }
    let pulled = hub::pull(&name, memory, &settings, &mut |progress| fetching.show(progress));
    fetching.end();
    let pulled = pulled.map_err(ending)?;
    if !arguments.quiet {
        output.aside(&match pulled.fetched {
            0 => format!("{name} was here already (commit {})", pulled.commit),
            bytes => format!("fetched {} (commit {})", HumanBytes(bytes), pulled.commit),
        });
    }
    if arguments.json {
        let object = json!({
            "model": name.to_string(), "path": pulled.path, "commit": pulled.commit, "fetched_bytes": pulled.fetched,
        });
        return output.text(&format!("{object}\n"));
    }
    output.text(&format!("{}\n", pulled.path.display()))
}

fn ending(error: hub::Error) -> Ending {
    let status = if matches!(error, hub::Error::Name { .. }) { 2 } else { 1 };
    Ending::Failed { status, message: error.to_string(), hint: error.hint() }
}

/// A model that the repository offers.
struct Offer {
    kind: &'static str,
    quantization: String,
    bytes: u64,
    files: Vec<String>,
    taken: bool,
}

/// What there is to choose from. Names come from strangers and are escaped.
fn table(name: &Name, listing: &Listing, memory: u64, json: bool) -> String {
    let offers = offers(name, listing, memory);
    if json {
        let offer = |offer: &Offer| {
            json!({
                "kind": offer.kind, "quantization": offer.quantization, "bytes": offer.bytes, "files": offer.files,
                "taken": offer.taken,
            })
        };
        let models: Vec<_> = offers.iter().map(offer).collect();
        let object = json!({
            "model": name.to_string(), "commit": listing.commit, "memory_budget": memory, "models": models,
        });
        return format!("{object}\n");
    }
    let mut lines = vec![format!("  {:<12} {:<14} {:>12}  {}", "KIND", "QUANTIZATION", "SIZE", "FILE")];
    for offer in &offers {
        let first = offer.files.first().map(|file| printable(file)).unwrap_or_default();
        let file = match (offer.kind, offer.files.len()) {
            ("gguf", 1) => first,
            ("gguf", parts) => format!("{first} and {} more", parts - 1),
            (_, files) => format!("{files} files"),
        };
        let mark = if offer.taken { '*' } else { ' ' };
        let quantization = printable(&offer.quantization);
        let size = HumanBytes(offer.bytes).to_string();
        lines.push(format!("{mark} {:<12} {quantization:<14} {size:>12}  {file}", offer.kind));
    }
    let budget = if memory == u64::MAX { "any memory".to_owned() } else { HumanBytes(memory).to_string() };
    lines.push(match offers.iter().any(|offer| offer.taken) {
        true => format!("* would be taken (of several GGUF files, the largest that fits {budget})"),
        false => format!("none would be taken: no file is meant, or none fits {budget}"),
    });
    lines.join("\n") + "\n"
}

fn offers(name: &Name, listing: &Listing, memory: u64) -> Vec<Offer> {
    let choice = hub::choose(name, &listing.files, memory).ok();
    let bytes = |files: &[String]| {
        listing
            .files
            .iter()
            .filter(|file| files.contains(&file.path))
            .map(|file| file.bytes)
            .fold(0, u64::saturating_add)
    };
    let mut offers = Vec::new();
    let mut whole = name.clone();
    whole.pick = None;
    if let Some(folder) = hub::choose(&whole, &listing.files, u64::MAX).ok().filter(|choice| choice.entry.is_none()) {
        let taken = choice.as_ref() == Some(&folder);
        let (kind, bytes) = (folder.kind.name(), bytes(&folder.files));
        offers.push(Offer { kind, quantization: String::new(), bytes, files: folder.files, taken });
    }
    for variant in hub::variants(&listing.files) {
        let taken = choice.as_ref().is_some_and(|choice| choice.entry.as_ref() == variant.parts.first());
        let hub::Variant { quantization, parts: files, bytes } = variant;
        offers.push(Offer { kind: hub::Kind::Gguf.name(), quantization, bytes, files, taken });
    }
    offers
}
