//! Rows of `tools bench`, in the fields that llama-bench has, so that rows of llama-bench are read too.

use super::{Column, Quantity, Row, Series, rows};
use crate::compare::field::Field;
use crate::failure::Failure;

/// Fields under which rows are measured; those that differ within a file are part of a row's name.
const CONDITIONS: &[&str] = &[
    "backends",
    "flash_attn",
    "gpu_info",
    "kernels",
    "main_gpu",
    "model_type",
    "n_batch",
    "n_cpu_moe",
    "n_gpu_layers",
    "n_threads",
    "n_ubatch",
    "split_mode",
    "type_k",
    "type_v",
    "variant",
    "weight_format",
];

/// Whether this is a row of such a file.
pub(in crate::compare) fn is_row(value: &Field) -> Result<bool, Failure> {
    Ok(value.is_object() && value.get("n_prompt")?.is_some() && value.get("n_gen")?.is_some())
}

/// Reads the rows of one file.
pub(in crate::compare) fn read(file: &str, rows: &[Field]) -> Result<Series, Failure> {
    let all = rows.iter().map(row).collect::<Result<Vec<Row>, Failure>>()?;
    Ok(Series { file: file.to_owned(), kind: "rows of `tools bench`", rows: rows::joined(all) })
}

fn row(row: &Field) -> Result<Row, Failure> {
    let count = |key: &str| row.number(key).map(|count| count.unwrap_or(0.0));
    let model = row.text("model_filename")?.or(row.text("model_type")?).unwrap_or_default();
    let (prompt, generated, depth) = (count("n_prompt")?, count("n_gen")?, count("n_depth")?);
    let test = match (prompt > 0.0, generated > 0.0) {
        (true, true) => format!("pp{prompt}+tg{generated}"),
        (true, false) => format!("pp{prompt}"),
        (false, _) => format!("tg{generated}"),
    };
    // Ours: sequences that decode at once.
    let width = count("n_sequences")?;
    let width = if width > 1.0 { format!(" × {width}") } else { String::new() };
    let depth = if depth > 0.0 { format!(" @ d{depth}") } else { String::new() };
    // Folders may differ between machines; the file is the model.
    let model = model.trim_end_matches('/').rsplit('/').next().unwrap_or(&model);
    let mut facts = Vec::new();
    for &fact in CONDITIONS {
        facts.extend(row.get(fact)?.map(|value| (fact, value.shown())).filter(|(_, value)| !value.is_empty()));
    }
    let column = match samples(row, "samples_ts")? {
        Some(rates) => Column::of("speed", Quantity::TokensPerSecond, &rates, None),
        None => samples(row, "samples_ns")?.and_then(|times| Column::of("time", Quantity::Nanoseconds, &times, None)),
    };
    let Some(column) = column else { return Err(row.unexpected("a row with `samples_ts` or `samples_ns` above 0")) };
    Ok(Row { name: format!("{model} {test}{width}{depth}"), facts, columns: vec![column] })
}

/// A list of numbers; `None` where it is empty or missing.
fn samples(row: &Field, key: &str) -> Result<Option<Vec<f64>>, Failure> {
    let values = row.list(key)?.iter().map(Field::as_number).collect::<Result<Vec<f64>, Failure>>()?;
    Ok((!values.is_empty()).then_some(values))
}
