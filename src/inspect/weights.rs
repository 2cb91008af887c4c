//! Weights, counted.

use crate::weights::{Role, Weight};
use serde::Serialize;
use std::collections::BTreeMap;

/// Parameters by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Parameters {
    /// All that the checkpoint holds.
    pub total: u64,
    /// Without the embedding.
    pub without_embedding: u64,
}

/// The weights of one role that are stored in one way.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WeightRow {
    /// What they are for.
    pub role: Role,
    /// The name of their type or format, such as `Q4_1`.
    pub format: String,
    /// Whether this build has kernels for that.
    pub readable: bool,
    /// How many weights.
    pub weights: usize,
    /// Parameters in them.
    pub parameters: u64,
    /// Bytes in the file.
    pub bytes: u64,
    /// Part of all weights' bytes, from 0 to 1.
    pub share: f64,
}

/// Rows by role, the largest first within one, and their sums. Formats without a kernel are problems.
pub(super) fn count(inventory: &[Weight<'_>], problems: &mut Vec<String>) -> (Vec<WeightRow>, Parameters) {
    let all: u64 = inventory.iter().map(|weight| weight.bytes).sum();
    let mut rows: BTreeMap<(Role, &str), WeightRow> = BTreeMap::new();
    for weight in inventory {
        let row = rows.entry((weight.role, &weight.kind)).or_insert_with(|| WeightRow {
            role: weight.role,
            format: weight.kind.clone(),
            readable: weight.readable,
            weights: 0,
            parameters: 0,
            bytes: 0,
            share: 0.0,
        });
        row.weights += 1;
        row.bytes += weight.bytes;
        row.share = row.bytes as f64 / all.max(1) as f64;
        if weight.is_parameter() {
            row.parameters = row.parameters.saturating_add(weight.elements.unwrap_or_default());
        }
    }
    let mut rows: Vec<WeightRow> = rows.into_values().collect();
    rows.sort_by(|a, b| a.role.cmp(&b.role).then(b.bytes.cmp(&a.bytes)).then_with(|| a.format.cmp(&b.format)));
    let mut lacking: BTreeMap<&str, usize> = BTreeMap::new();
    // What a model that also sees has for that is not read.
    for row in rows.iter().filter(|row| !row.readable && row.role != Role::Other) {
        *lacking.entry(&row.format).or_default() += row.weights;
    }
    for (format, count) in lacking {
        problems.push(format!("no kernel for weight type {format}, which {count} weights have"));
    }
    let sum =
        |rows: &mut dyn Iterator<Item = &WeightRow>| rows.fold(0_u64, |sum, row| sum.saturating_add(row.parameters));
    let total = sum(&mut rows.iter());
    let embedding = sum(&mut rows.iter().filter(|row| row.role == Role::Embedding));
    (rows, Parameters { total, without_embedding: total - embedding })
}
