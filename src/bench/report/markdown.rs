//! The page that people read.

use super::Sidecar;
use crate::measure::size;
use serde_json::Value;
use std::fmt::Write as _;

/// How a cell is written.
#[derive(Clone, Copy)]
enum Cell {
    Text,
    /// As [`Cell::Text`], empty where there is none.
    Sample,
    Count,
    /// With so many digits behind the point.
    Number(usize),
    Bytes,
}

const COLUMNS: [(&str, &str, Cell); 17] = [
    ("Model", "model", Cell::Text),
    ("Method", "method", Cell::Text),
    ("Quant", "quantization", Cell::Text),
    ("Ctx", "contextSize", Cell::Count),
    ("Prompt", "promptTokens", Cell::Count),
    ("Prefill tok/s", "prefillTokensPerSecond", Cell::Number(2)),
    ("Decode tok/s", "decodeTokensPerSecond", Cell::Number(2)),
    ("Steady tok/s", "steadyTokensPerSecond", Cell::Number(2)),
    ("TTFT (ms)", "timeToFirstTokenMs", Cell::Number(2)),
    ("Gen tokens", "generatedTokens", Cell::Count),
    ("Baseline GPU", "baselineGPUBytes", Cell::Bytes),
    ("Peak GPU", "peakGPUBytes", Cell::Bytes),
    ("KV used", "kvCacheUsedBytes", Cell::Bytes),
    ("Weights", "weightsBytes", Cell::Bytes),
    ("Gen PPL", "genPerplexity", Cell::Number(3)),
    ("Gen KLD", "genKLDivergence", Cell::Number(4)),
    ("Sample", "outputPreview", Cell::Sample),
];

/// The page of a sidecar: the same text for the same sidecar, byte for byte.
pub fn markdown(sidecar: &Sidecar) -> String {
    let mut page = format!(
        "# FFAI Bench — {}\n\n- System RAM: {}\n- OS: {}\n- Created: {}\n\n",
        sidecar.chip(),
        size(sidecar.system_ram_bytes()),
        line(sidecar.os_version()),
        line(sidecar.created_at()),
    );
    let titles = COLUMNS.map(|(title, ..)| title);
    let rules = COLUMNS.map(|(.., cell)| if matches!(cell, Cell::Text | Cell::Sample) { "---" } else { "--:" });
    // Writing into a String cannot fail.
    let _ = writeln!(page, "| {} |\n|{}|", titles.join(" | "), rules.join("|"));
    for row in sidecar.rows() {
        let cells = COLUMNS.map(|(_, field, cell)| cell.written(row.get(field)));
        let _ = writeln!(page, "| {} |", cells.join(" | "));
    }
    page
}

impl Cell {
    fn written(self, value: Option<&Value>) -> String {
        let missing = || "-".to_owned();
        match (self, value) {
            (Self::Text, Some(Value::String(text))) => escaped(text),
            (Self::Sample, Some(Value::String(text))) => escaped(text),
            (Self::Sample, _) => String::new(),
            (Self::Count, Some(value)) => value.as_u64().map_or_else(missing, |count| count.to_string()),
            (Self::Bytes, Some(value)) => value.as_u64().map_or_else(missing, size),
            (Self::Number(digits), Some(value)) => {
                value.as_f64().map_or_else(missing, |number| format!("{number:.digits$}"))
            }
            _ => missing(),
        }
    }
}

/// A text that cannot end its cell: not by a bar, nor by the end of a line.
fn escaped(text: &str) -> String {
    line(text).replace('|', "\\|")
}

/// A text on one line.
fn line(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}
