//! The page: figures and the table that they lead to.

use super::entries::{Entry, Sidecars};
use super::figures;
use crate::failure::Failure;
use jiff::Timestamp;
use minijinja::value::Serde;
use minijinja::{Environment, Value, context};
use serde::Serialize;

/// Its name ends in `.html`, by which all that is put into it is escaped.
const NAME: &str = "page.html";
const TEMPLATE: &str = include_str!("page.html");
const MIB: f64 = 1_048_576.0;

/// A row of the table.
#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    time: String,
    chip: &'a str,
    model: &'a str,
    method: &'a str,
    format: &'a str,
    /// Cells of numbers; what is unknown is empty.
    cells: Vec<String>,
    preview: &'a str,
}

/// A file that rows came from.
#[derive(Serialize)]
struct File<'a> {
    name: &'a str,
    chip: &'a str,
    os: &'a str,
    ram: String,
    created: &'a str,
}

const COLUMNS: [&str; 14] = [
    "Ctx",
    "Prompt",
    "Prefill tok/s",
    "Decode tok/s",
    "Steady tok/s",
    "± (runs)",
    "TTFT ms",
    "Gen",
    "Peak MiB",
    "Weights MiB",
    "KV MiB",
    "PPL",
    "KLD",
    "Scores",
];

/// The whole page. The same sidecars give the same bytes.
pub(super) fn page(sidecars: &Sidecars) -> Result<String, Failure> {
    let sections = figures::sections(&sidecars.entries)?;
    let rows: Vec<Row> = sidecars.entries.iter().rev().map(row).collect();
    let files = sidecars.files.iter().map(|(name, sidecar)| File {
        name,
        chip: &sidecar.chip,
        os: &sidecar.os_version,
        ram: format!("{:.2} GB", sidecar.system_ram_bytes as f64 / MIB / 1024.0),
        created: &sidecar.created_at,
    });
    let files: Vec<File> = files.collect();
    let of_page = context! {
        sections => Value::from(Serde(&sections)),
        columns => Value::from(Serde(COLUMNS)),
        rows => Value::from(Serde(&rows)),
        files => Value::from(Serde(&files)),
    };
    let mut environment = Environment::new();
    let rendered =
        environment.add_template(NAME, TEMPLATE).and_then(|()| environment.get_template(NAME)?.render(of_page));
    // The template is part of the program; data cannot break it.
    Ok(rendered.unwrap_or_else(|error| panic!("page.html: {error:#}")))
}

fn row(entry: &Entry) -> Row<'_> {
    let time = entry.time.and_then(|seconds| Timestamp::from_second(seconds).ok());
    Row {
        id: &entry.id,
        time: time.map_or_else(String::new, |time| time.strftime("%Y-%m-%d %H:%M:%S").to_string()),
        chip: &entry.chip,
        model: &entry.row.model,
        method: &entry.row.method,
        format: entry.format(),
        cells: cells(entry),
        preview: entry.row.output_preview.as_deref().unwrap_or(""),
    }
}

fn cells(entry: &Entry) -> Vec<String> {
    let row = &entry.row;
    let count = |count: u64| if count == 0 { String::new() } else { count.to_string() };
    let rate =
        |rate: Option<f64>| rate.filter(|rate| *rate != 0.0).map_or_else(String::new, |rate| format!("{rate:.2}"));
    let mebibytes = |bytes: u64| if bytes == 0 { String::new() } else { format!("{:.1}", bytes as f64 / MIB) };
    let with_error = |value: Option<f64>, error: Option<f64>, decimals: usize| match (value, error) {
        (Some(value), Some(error)) => format!("{value:.decimals$} ± {error:.decimals$}"),
        (Some(value), None) => format!("{value:.decimals$}"),
        (None, _) => String::new(),
    };
    let spread = ["steadyTokensPerSecond", "decodeTokensPerSecond", "prefillTokensPerSecond"];
    let spread = spread.iter().find_map(|field| row.spread.get(*field));
    let spread = spread
        .map_or_else(String::new, |spread| format!("{:.2} ({})", spread.standard_deviation, spread.samples.len()));
    let scores: Vec<String> = row.scores.iter().map(|(name, score)| format!("{name} {score:.3}")).collect();
    vec![
        count(row.context_size),
        count(row.prompt_tokens),
        rate(Some(row.prefill_tokens_per_second)),
        rate(Some(row.decode_tokens_per_second)),
        rate(row.steady_tokens_per_second),
        spread,
        rate(Some(row.time_to_first_token_ms)),
        count(row.generated_tokens),
        mebibytes(row.peak_gpu_bytes),
        mebibytes(row.weights_bytes),
        mebibytes(row.kv_cache_used_bytes),
        with_error(row.gen_perplexity, row.gen_perplexity_error, 3),
        with_error(row.gen_kl_divergence, row.gen_kl_divergence_error, 4),
        scores.join(", "),
    ]
}
