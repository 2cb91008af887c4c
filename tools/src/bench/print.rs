//! Rows as tables and as data, as llama-bench prints them.

use super::row::Row;
use crate::failure::Failure;
use clap::ValueEnum;
use serde_json::Value;

/// How rows are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A table for people
    Md,
    /// A header and a line per test
    Csv,
    /// One array of objects
    Json,
    /// An object per line, as soon as its test is done
    Jsonl,
    /// Statements that make a table and fill it
    Sql,
}

/// Columns of the table: heading, least width, whether numbers stand in it.
type Column = (&'static str, usize, bool);

/// Prints rows as they come.
pub(super) struct Printer {
    format: Format,
    columns: Vec<Column>,
    /// Rows so far.
    count: usize,
}

impl Printer {
    /// `shown` are fields that differ from row to row, and deserve a column in the table.
    pub(super) fn new(format: Format, shown: &[&'static str]) -> Self {
        let mut columns = vec![("model", 30, false), ("size", 10, true), ("params", 10, true), ("backend", 10, false)];
        columns.extend(shown.iter().map(|&name| (name, 10, false)));
        columns.extend([("test", 15, true), ("t/s", 20, true)]);
        Self { format, columns, count: 0 }
    }

    /// What goes before the next row, and the row.
    pub(super) fn row(&mut self, row: &Row) -> Result<String, Failure> {
        let first = self.count == 0;
        self.count += 1;
        Ok(match self.format {
            Format::Md => (if first { self.header() } else { String::new() }) + &self.line(row),
            Format::Csv => csv(row, first)?,
            Format::Json => {
                let text = format!("{:#}", row.object());
                let indented = text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n");
                format!("{}{indented}", if first { "[\n" } else { ",\n" })
            }
            Format::Jsonl => format!("{}\n", row.object()),
            Format::Sql => (if first { table(row) } else { String::new() }) + &insert(row),
        })
    }

    /// What goes behind the last row.
    pub(super) fn end(&self, last: Option<&Row>) -> String {
        match (self.format, last) {
            (Format::Json, None) => "[]\n".to_owned(),
            (Format::Json, Some(_)) => "\n]\n".to_owned(),
            (Format::Md, Some(row)) => {
                format!("\nbuild: {} ({})\n", row.text("build_commit"), row.number("build_number"))
            }
            _ => String::new(),
        }
    }

    fn header(&self) -> String {
        let names = self.columns.iter().map(|&(name, width, number)| format!(" {} |", cell(name, width, number)));
        let rules = self.columns.iter().map(|&(_, width, number)| match number {
            true => format!(" {}: |", "-".repeat(width - 1)),
            false => format!(" {} |", "-".repeat(width)),
        });
        format!("|{}\n|{}\n", names.collect::<String>(), rules.collect::<String>())
    }

    fn line(&self, row: &Row) -> String {
        let cells = self.columns.iter().map(|&(name, width, number)| {
            let text = match name {
                "model" => row.subject.kind.replace('|', "\\|"),
                "size" => size(row.subject.bytes),
                "params" => params(row.subject.parameters),
                "backend" => row.text("backends").to_owned(),
                "test" => row.test.name(),
                "t/s" => format!("{:.2} ± {:.2}", row.number("avg_ts"), row.number("stddev_ts")),
                other => row.text(other).to_owned(),
            };
            format!(" {} |", cell(&text, width, number))
        });
        format!("|{}\n", cells.collect::<String>())
    }
}

fn cell(text: &str, width: usize, number: bool) -> String {
    if number { format!("{text:>width$}") } else { format!("{text:width$}") }
}

fn size(bytes: u64) -> String {
    let mib = bytes as f64 / 1_048_576.0;
    if mib < 1024.0 { format!("{mib:.2} MiB") } else { format!("{:.2} GiB", mib / 1024.0) }
}

fn params(count: u64) -> String {
    let millions = count as f64 / 1e6;
    if millions < 1000.0 { format!("{millions:.2} M") } else { format!("{:.2} B", millions / 1000.0) }
}

/// A value as tables hold it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn csv(row: &Row, first: bool) -> Result<String, Failure> {
    let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
    let failed = |error: String| Failure::failed(format!("cannot write csv: {error}"));
    if first {
        writer.write_record(row.fields().keys()).map_err(|error| failed(error.to_string()))?;
    }
    writer.write_record(row.fields().values().map(plain)).map_err(|error| failed(error.to_string()))?;
    let bytes = writer.into_inner().map_err(|error| failed(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| failed(error.to_string()))
}

fn table(row: &Row) -> String {
    let columns: Vec<String> =
        row.fields().iter().map(|(name, value)| format!("  {name} {}", sql_type(value))).collect();
    format!("CREATE TABLE IF NOT EXISTS llama_bench (\n{}\n);\n\n", columns.join(",\n"))
}

fn sql_type(value: &Value) -> &'static str {
    match value {
        Value::Number(number) if number.is_f64() => "REAL",
        Value::Number(_) => "INTEGER",
        _ => "TEXT",
    }
}

fn insert(row: &Row) -> String {
    let names: Vec<&str> = row.fields().keys().map(String::as_str).collect();
    let values: Vec<String> =
        row.fields().values().map(|value| format!("'{}'", plain(value).replace('\'', "''"))).collect();
    format!("INSERT INTO llama_bench ({}) VALUES ({});\n", names.join(", "), values.join(", "))
}
