//! What a conversion did.

use serde::Serialize;
use std::path::PathBuf;

/// A finished conversion. Serialized, it is the object of `ffai convert --json`.
#[derive(Clone, Debug, Serialize)]
pub struct Conversion {
    /// What was converted.
    pub source: PathBuf,
    /// The folder that holds the result.
    pub out: PathBuf,
    /// The model's family.
    pub family: &'static str,
    /// Numbers in all weights.
    pub weights: u64,
    /// Bytes of all weights in the source.
    pub bytes_before: u64,
    /// Bytes of all weights in the result.
    pub bytes_after: u64,
    /// Bits of the result per weight, scales and biases and unquantized tensors counted in.
    pub bits_per_weight: f64,
    /// Weights that share a scale and a bias, where any are quantized.
    pub group_size: Option<u32>,
    /// What scales, biases and unquantized tensors are stored as.
    pub dtype: &'static str,
    /// By what tensors are for, in the order of the source.
    pub roles: Vec<RoleReport>,
    /// Matrices that should have been quantized and are not.
    pub unquantized: Vec<Unquantized>,
    /// Tensors of the source that the result lacks, because the language model does not use them.
    pub left_out: Vec<String>,
    /// The files of weights.
    pub files: Vec<FileReport>,
    /// What quantized: `gpu` or `cpu`.
    pub backend: &'static str,
    /// Its name.
    pub device: String,
    /// How long it took.
    pub seconds: f64,
}

/// Tensors of one role.
#[derive(Clone, Debug, Serialize)]
pub struct RoleReport {
    /// `embedding`, `head`, `attention`, `mlp`, `norms`, `biases` or `other`.
    pub role: &'static str,
    /// How many tensors.
    pub tensors: u64,
    /// Numbers in them.
    pub weights: u64,
    /// What they were stored as.
    pub before: Vec<FormatReport>,
    /// What they are stored as.
    pub after: Vec<FormatReport>,
}

/// Tensors that are stored alike.
#[derive(Clone, Debug, Serialize)]
pub struct FormatReport {
    /// The format, such as `Q4_K`, `BF16` or `4 bits`.
    pub format: String,
    /// How many tensors.
    pub tensors: u64,
    /// Bytes in the file.
    pub bytes: u64,
}

/// A matrix whose rows groups do not divide.
#[derive(Clone, Debug, Serialize)]
pub struct Unquantized {
    /// Its name in the result.
    pub name: String,
    /// Weights per row.
    pub cols: u64,
}

/// One file of weights.
#[derive(Clone, Debug, Serialize)]
pub struct FileReport {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
}

impl Conversion {
    /// Counts one tensor in.
    pub(super) fn count(&mut self, role: &'static str, weights: u64, before: (&str, u64), after: (&str, u64)) {
        self.weights += weights;
        self.bytes_before += before.1;
        self.bytes_after += after.1;
        let index = self.roles.iter().position(|known| known.role == role).unwrap_or_else(|| {
            self.roles.push(RoleReport { role, tensors: 0, weights: 0, before: Vec::new(), after: Vec::new() });
            self.roles.len() - 1
        });
        let report = &mut self.roles[index];
        report.tensors += 1;
        report.weights += weights;
        add(&mut report.before, before);
        add(&mut report.after, after);
    }
}

fn add(formats: &mut Vec<FormatReport>, (format, bytes): (&str, u64)) {
    match formats.iter_mut().find(|known| known.format == format) {
        Some(known) => {
            known.tensors += 1;
            known.bytes += bytes;
        }
        None => formats.push(FormatReport { format: format.to_owned(), tensors: 1, bytes }),
    }
}
