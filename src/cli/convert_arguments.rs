//! Options of `ffai convert`.

use super::device::DeviceChoice;
use super::ending::Ending;
use super::engine_arguments::BackendChoice;
use super::values;
use clap::{Args, ValueEnum};
use ffai::convert::{ConvertOptions, Float};
use std::path::PathBuf;

/// What to convert, where to, and how.
#[derive(Args, Debug)]
pub(crate) struct ConvertArguments {
    /// A GGUF file, or a folder with safetensors and a config.json
    pub(crate) source: String,
    /// The folder to make; a killed run leaves one beside it whose name begins with a dot
    #[arg(value_name = "OUT_DIR")]
    pub(crate) out: PathBuf,

    /// Bits per weight of matrices: 2, 3, 4, 5, 6 or 8 [default: none are quantized]
    #[arg(long, value_name = "B", value_parser = values::count::<u32>, allow_negative_numbers = true)]
    bits: Option<u32>,
    /// Weights that share a scale and a bias: 32, 64 or 128
    #[arg(long, value_name = "N", default_value = "64", value_parser = values::count::<u32>, allow_negative_numbers = true)]
    group_size: u32,
    /// Type of scales and of everything unquantized [default: the source's own; bf16 for GGUF files]
    #[arg(long, value_enum, value_name = "TYPE")]
    dtype: Option<DtypeChoice>,
    /// The same as --role embedding=B
    #[arg(long, value_name = "B", value_parser = values::bits, allow_negative_numbers = true)]
    embedding_bits: Option<values::Bits>,
    /// The same as --role head=B
    #[arg(long, value_name = "B", value_parser = values::bits, allow_negative_numbers = true)]
    head_bits: Option<values::Bits>,
    /// Other bits for one role, or `none`: embedding, head, attention (query, key, value, output), mlp (gate, up, down); may be
    /// given more than once
    #[arg(long, value_name = "ROLE=B", value_parser = values::role)]
    role: Vec<(String, values::Bits)>,
    /// Start a new file of weights before one grows beyond this
    #[arg(long, value_name = "SIZE", default_value = "5GB", value_parser = values::bytes)]
    shard_size: u64,
    /// Replace the model in OUT_DIR, once the new one is whole
    #[arg(long)]
    overwrite: bool,

    /// `auto` and `gpu` quantize on the best GPU, software drivers among them; `cpu` is the slow reference
    #[arg(long, value_enum, value_name = "NAME", default_value = "auto", help_heading = "Device")]
    pub(crate) backend: BackendChoice,
    /// Choose an adapter by its number or a part of its name; `list` shows them
    #[arg(long, value_name = "list|INDEX|NAME", value_parser = DeviceChoice::parse, help_heading = "Device")]
    pub(crate) device: Option<DeviceChoice>,
    /// Most device memory to use, such as 2GiB [default: what device and system suggest]
    #[arg(long, value_name = "SIZE", env = "FFAI_MEMORY_BUDGET", value_parser = values::bytes, help_heading = "Device")]
    pub(crate) memory_budget: Option<u64>,

    /// Print one JSON object instead of a table
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
    /// Print nothing when all went well
    #[arg(short, long, help_heading = "Output")]
    pub(crate) quiet: bool,
}

/// A type of plain numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DtypeChoice {
    Bf16,
    F16,
    F32,
}

impl ConvertArguments {
    /// How to convert; what does not fit the model is refused when it is known.
    pub(crate) fn options(&self) -> Result<ConvertOptions, Ending> {
        let dtype = self.dtype.map(|dtype| match dtype {
            DtypeChoice::Bf16 => Float::Bf16,
            DtypeChoice::F16 => Float::F16,
            DtypeChoice::F32 => Float::F32,
        });
        let short = [("embedding", self.embedding_bits), ("head", self.head_bits)];
        let short = short.into_iter().filter_map(|(role, bits)| Some((role.to_owned(), bits?)));
        let roles = self.role.iter().cloned().chain(short).map(|(role, bits)| (role, bits.0)).collect();
        let (bits, group, shard_bytes, overwrite) = (self.bits, self.group_size, self.shard_size, self.overwrite);
        Ok(ConvertOptions { bits, group, dtype, roles, shard_bytes, overwrite })
    }
}
