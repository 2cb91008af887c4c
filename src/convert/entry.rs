//! What becomes of one tensor: decided for all of them before anything is written.

use super::rows::Target;
use super::shards::Tensor;
use super::{ConvertOptions, Error, Float, recipe};
use crate::weights::{self, Checkpoint, ModelTensor, Stored, TensorNames};

/// A tensor of the source and what it becomes.
pub(super) struct Entry<'a> {
    pub(super) stored: Stored<'a>,
    pub(super) role: &'static str,
    /// Its name in the result.
    pub(super) name: String,
    /// Elements per row, and rows; a vector is one row.
    pub(super) cols: u64,
    pub(super) rows: u64,
    pub(super) target: Target,
    /// How its numbers change on the way.
    pub(super) change: Change,
    /// Should have been quantized, but groups do not divide its rows.
    pub(super) indivisible: bool,
    /// The tensors it is stored as: itself, or words, scales and biases.
    pub(super) tensors: Vec<Tensor>,
}

/// What converters to GGUF have done, and is to be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    None,
    /// The two elements of a rotated pair are neighbours: rows of each head of so many go back to where they were.
    Interleaved {
        /// Rows of a head.
        head: u32,
    },
    /// One was added to the gains of norms.
    OneAdded,
}

impl Change {
    /// Where row `row` of a head, or element of a vector, stands in the file.
    pub(super) fn place(self, row: u32) -> u32 {
        match self {
            Self::Interleaved { head } => {
                let (start, row) = (row / head * head, row % head);
                start + row % (head / 2) * 2 + row / (head / 2)
            }
            Self::None | Self::OneAdded => row,
        }
    }
}

/// What GGUF files of a family have changed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Changes {
    /// Rows per head where queries and keys are interleaved.
    pub(super) interleaved: Option<u32>,
    /// Whether one was added to gains.
    pub(super) one_added: bool,
}

impl Changes {
    fn of(self, name: &str) -> Change {
        let part = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        match self.interleaved {
            Some(head) if part.ends_with(".attn_q") || part.ends_with(".attn_k") => Change::Interleaved { head },
            _ if self.one_added && part.ends_with("norm") => Change::OneAdded,
            _ => Change::None,
        }
    }
}

/// Follows from hyperparameters, which say it in the result.
pub(super) const DERIVED: &str = "rope_freqs.weight";

/// Names of a source and of what is made of it.
pub(super) struct Naming {
    pub(super) source: TensorNames,
    pub(super) result: TensorNames,
}

/// One entry per tensor that the model is made of.
pub(super) fn entries<'a>(
    checkpoint: &'a Checkpoint,
    model: &[ModelTensor],
    naming: &Naming,
    changes: Changes,
    options: &ConvertOptions,
    dtype: Float,
) -> Result<Vec<Entry<'a>>, crate::Error> {
    let mut entries = Vec::new();
    for ModelTensor { name, dims } in model {
        if checkpoint.gguf().is_some() {
            if name == DERIVED {
                continue;
            }
            if !naming.result.translates(name) {
                let (what, file) = (format!("tensor `{name}`"), checkpoint.path().to_owned());
                return Err(Error::NoEquivalent { what, file }.into());
            }
        }
        let cols = dims.first().copied().unwrap_or(1);
        let stored = checkpoint.stored(&naming.source.native(name), cols)?;
        let rows = dims[1..].iter().product::<u64>();
        let bits = options.bits_of(name).filter(|_| dims.len() > 1 && name.ends_with(".weight"));
        let indivisible = bits.is_some() && !cols.is_multiple_of(u64::from(options.group));
        let target = match bits {
            Some(bits) if !indivisible => Target::Affine { bits, group: options.group },
            _ => Target::Plain,
        };
        let written = naming.result.native(name);
        let tensors = tensors(&written, dims, target, dtype);
        let entry = Entry {
            stored,
            role: recipe::role(name),
            name: written,
            cols,
            rows,
            target,
            change: changes.of(name),
            indivisible,
            tensors,
        };
        entry.check(checkpoint)?;
        entries.push(entry);
    }
    Ok(entries)
}

fn tensors(name: &str, dims: &[u64], target: Target, dtype: Float) -> Vec<Tensor> {
    let shape: Vec<u64> = dims.iter().rev().copied().collect();
    let tensor = |name: String, dtype: &'static str, last: u64, size: u64| {
        let mut shape = shape.clone();
        if let Some(cols) = shape.last_mut() {
            *cols = last;
        }
        let bytes = shape.iter().product::<u64>() * size;
        Tensor { name, dtype, shape, bytes }
    };
    let cols = dims.first().copied().unwrap_or(1);
    match target {
        Target::Plain => vec![tensor(name.to_owned(), dtype.safetensors(), cols, dtype.bytes())],
        Target::Affine { bits, group } => {
            let layer = name.strip_suffix(".weight").unwrap_or(name);
            let groups = cols / u64::from(group);
            let pair = |part: &str| tensor(format!("{layer}.{part}"), dtype.safetensors(), groups, dtype.bytes());
            vec![tensor(name.to_owned(), "U32", cols * u64::from(bits) / 32, 4), pair("scales"), pair("biases")]
        }
    }
}

impl Entry<'_> {
    /// Numbers in it.
    pub(super) fn weights(&self) -> u64 {
        self.cols * self.rows
    }

    /// Bytes in the result.
    pub(super) fn bytes(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.bytes).sum()
    }

    /// What it is stored as in the result, for tables.
    pub(super) fn format(&self, dtype: Float) -> String {
        match self.target {
            Target::Plain => dtype.safetensors().to_owned(),
            Target::Affine { bits, .. } => format!("{bits} bits"),
        }
    }

    /// Whether the source holds it just as the result is to.
    pub(super) fn is_copied(&self, dtype: Float) -> bool {
        let wanted = match self.target {
            Target::Plain => dtype.name().to_owned(),
            Target::Affine { bits, group } => format!("mlx{bits}_g{group}_{}", dtype.name()),
        };
        self.change == Change::None && self.stored.format.is_some_and(|format| format.name == wanted)
    }

    /// Whether an executor has work with it.
    pub(super) fn is_computed(&self, dtype: Float) -> bool {
        let plain = self.stored.format.is_some_and(|format| Float::named(format.name).is_some());
        !self.is_copied(dtype) && (self.target != Target::Plain || !plain)
    }

    /// Refuses what there is no way for: a type without a kernel, and heads that do not divide rows.
    fn check(&self, checkpoint: &Checkpoint) -> Result<(), crate::Error> {
        let file = || checkpoint.path().to_owned();
        if self.stored.format.is_none() {
            let (name, kind) = (self.stored.names[0].to_owned(), self.stored.kind.clone());
            let expected = weights::format::known();
            return Err(weights::Error::UnsupportedType { name, kind, expected, file: file() }.into());
        }
        if let Change::Interleaved { head } = self.change {
            let rows = if self.rows == 1 { self.cols } else { self.rows };
            if head % 2 != 0 || !rows.is_multiple_of(u64::from(head)) {
                let what = format!("`{}` has {rows} rows, which heads of {head} do not divide", self.stored.names[0]);
                return Err(weights::Error::Model { file: file(), what }.into());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_heads_go_back_to_halves() {
        let change = Change::Interleaved { head: 6 };
        let places: Vec<u32> = (0..12).map(|row| change.place(row)).collect();
        assert_eq!(places, [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]);
    }

    #[test]
    fn only_what_a_converter_changed_is_changed_back() {
        let llama = Changes { interleaved: Some(4), one_added: false };
        assert_eq!(llama.of("blk.0.attn_q.weight"), Change::Interleaved { head: 4 });
        assert_eq!(llama.of("blk.0.attn_k.bias"), Change::Interleaved { head: 4 });
        assert_eq!(llama.of("blk.0.attn_v.weight"), Change::None);
        assert_eq!(llama.of("blk.0.attn_norm.weight"), Change::None);
        let gemma = Changes { interleaved: None, one_added: true };
        assert_eq!(gemma.of("blk.0.attn_q_norm.weight"), Change::OneAdded);
        assert_eq!(gemma.of("output_norm.weight"), Change::OneAdded);
        assert_eq!(gemma.of("blk.0.attn_q.weight"), Change::None);
    }
}
