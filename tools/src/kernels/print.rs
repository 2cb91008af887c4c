//! What was measured, as a table for people and as data.

use super::rows::Row;
use super::{Format, Measured};
use crate::failure::Failure;
use ffai::graph::Ceiling;
use serde_json::{Value, json};

/// Headings of the table, and whether numbers stand below.
const HEADINGS: [(&str, bool); 12] = [
    ("phase", false),
    ("kernel", false),
    ("format", false),
    ("shape", false),
    ("calls", true),
    ("in place µs", true),
    ("warm µs", true),
    ("cold µs", true),
    ("warm GB/s", true),
    ("GB/s", true),
    ("GFLOP/s", true),
    ("% of peak", true),
];

/// The whole output.
pub(super) fn page(measured: &Measured, format: Format) -> Result<String, Failure> {
    Ok(match format {
        Format::Md => table(measured),
        Format::Csv => csv(measured)?,
        Format::Json => format!("{:#}\n", object(measured)),
    })
}

fn table(measured: &Measured) -> String {
    let mut page = format!("{} on {}\n", measured.model, measured.device);
    page += &format!(
        "decode of 1 token and a prompt's chunk of {}, behind {} tokens; times: {}\n",
        measured.chunk,
        measured.depth,
        measured.method.about()
    );
    if let Some(empty) =
        measured.ceilings.iter().find(|ceiling| ceiling.what == "empty dispatch").filter(|_| measured.by_host())
    {
        page +=
            &format!("every time is the host's, with a launch in it: an empty dispatch takes {:.1} µs\n", empty.best);
    }
    page += "\nwhat the device does at best:\n";
    for Ceiling { what, best, median, runs, unit, .. } in &measured.ceilings {
        page += &format!("  {what:<20} {best:>9.2} {unit}   (median of {runs}: {median:.2})\n");
    }
    let cells: Vec<[String; 12]> = measured.rows.iter().map(|row| cells(row, measured)).collect();
    let width = |column: usize| {
        let cells = cells.iter().map(|row| row[column].chars().count());
        cells.chain([HEADINGS[column].0.chars().count()]).max().unwrap_or(0)
    };
    let widths: [usize; 12] = std::array::from_fn(width);
    let line = |cells: [&str; 12]| {
        let cell = |(column, text): (usize, &str)| match HEADINGS[column].1 {
            true => format!(" {text:>width$} |", width = widths[column]),
            false => format!(" {text:width$} |", width = widths[column]),
        };
        format!("|{}\n", cells.into_iter().enumerate().map(cell).collect::<String>())
    };
    page += "\n";
    page += &line(HEADINGS.map(|(name, _)| name));
    let rules: [String; 12] = std::array::from_fn(|column| match HEADINGS[column].1 {
        true => format!("{}:", "-".repeat(widths[column] - 1)),
        false => "-".repeat(widths[column]),
    });
    page += &line(rules.each_ref().map(String::as_str));
    cells.iter().for_each(|row| page += &line(row.each_ref().map(String::as_str)));
    page + &notes(measured)
}

fn notes(measured: &Measured) -> String {
    let mut notes =
        "\nGB/s, GFLOP/s and the share are those of cold weights; of kernels without weights, those in place.\n"
            .to_owned();
    let short = |row: &&Row| row.cold_bytes.is_some_and(|bytes| bytes < measured.cold_bytes);
    if measured.rows.iter().any(|row| short(&row)) {
        notes += &format!(
            "~ went through less than {} MiB of weights, which a cache may hold in part.\n",
            measured.cold_bytes >> 20
        );
    }
    notes
}

fn cells(row: &Row, measured: &Measured) -> [String; 12] {
    let number =
        |value: Option<f64>, decimals: usize| value.map_or("-".to_owned(), |value| format!("{value:.decimals$}"));
    let short = row.cold_bytes.is_some_and(|bytes| bytes < measured.cold_bytes);
    let cold = number(row.cold_us, 1);
    [
        row.phase.name().to_owned(),
        row.kernel.clone(),
        row.format.unwrap_or("-").to_owned(),
        row.shape.clone(),
        row.calls.to_string(),
        number(row.in_place_us, 1),
        number(row.warm_us, 1),
        if short { format!("~{cold}") } else { cold },
        number(row.warm_gb_per_s(), 2),
        number(row.gb_per_s(), 2),
        number(row.gflop_per_s(), 1),
        number(row.peak_share(measured.peaks.as_ref()).map(|share| share * 100.0), 0),
    ]
}

/// A row as data: what is not known is absent.
fn data(row: &Row, measured: &Measured) -> Value {
    let mut value = json!({
        "phase": row.phase.name(),
        "kernel": row.kernel,
        "shape": row.shape,
        "calls": row.calls,
        "weight_bytes": row.cost.weight_bytes,
        "kv_bytes": row.cost.kv_bytes,
        "activation_bytes": row.cost.activation_bytes,
        "flops": row.cost.flops,
    });
    if let Some(format) = row.format {
        value["format"] = format.into();
    }
    if let Some(bytes) = row.cold_bytes {
        value["cold_weight_bytes"] = bytes.into();
    }
    for (name, number) in [
        ("in_place_us", row.in_place_us),
        ("warm_us", row.warm_us),
        ("cold_us", row.cold_us),
        ("warm_gb_per_s", row.warm_gb_per_s()),
        ("gb_per_s", row.gb_per_s()),
        ("gflop_per_s", row.gflop_per_s()),
        ("peak_share", row.peak_share(measured.peaks.as_ref())),
    ] {
        if let Some(number) = number {
            value[name] = number.into();
        }
    }
    value
}

fn object(measured: &Measured) -> Value {
    let rows: Vec<Value> = measured.rows.iter().map(|row| data(row, measured)).collect();
    let ceilings = serde_json::to_value(&measured.ceilings).unwrap_or_default();
    json!({
        "model": measured.model,
        "device": measured.device,
        "method": measured.method.about(),
        "depth": measured.depth,
        "chunk": measured.chunk,
        "ceilings": ceilings,
        "rows": rows,
    })
}

/// Columns of every field that a row may have.
const FIELDS: [&str; 17] = [
    "phase",
    "kernel",
    "format",
    "shape",
    "calls",
    "weight_bytes",
    "kv_bytes",
    "activation_bytes",
    "flops",
    "cold_weight_bytes",
    "in_place_us",
    "warm_us",
    "cold_us",
    "warm_gb_per_s",
    "gb_per_s",
    "gflop_per_s",
    "peak_share",
];

fn csv(measured: &Measured) -> Result<String, Failure> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let failed = |error: String| Failure::failed(format!("cannot write csv: {error}"));
    writer.write_record(FIELDS).map_err(|error| failed(error.to_string()))?;
    for row in &measured.rows {
        let value = data(row, measured);
        let field = |name: &str| match value.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        writer.write_record(FIELDS.map(field)).map_err(|error| failed(error.to_string()))?;
    }
    let bytes = writer.into_inner().map_err(|error| failed(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| failed(error.to_string()))
}
