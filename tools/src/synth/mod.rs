//! `tools synth`: a checkpoint of a model's shape with random weights, so that speed at real sizes can be measured where no weights
//! can be had.

mod content;
mod gguf;
mod mlx;
mod output;
mod quantization;
mod shape;
mod shapes;
mod stream;
mod tensors;
mod vocabulary;

use crate::common;
use crate::failure::Failure;
use clap::{Args, ValueEnum};
use ffai::convert::Float;
use ffai::cpu::Cpu;
use ffai::generate::{OpenOptions, RehearsedModel};
use ffai::weights::Checkpoint;
use indicatif::HumanBytes;
use serde_json::{Map, Value};
use shape::Shape;
use std::path::{Path, PathBuf};

/// A `config.json` larger than this describes no model.
const CONFIG_BYTES: u64 = 4 << 20;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// A named shape, such as llama-1b; --list names all
    #[arg(long, value_name = "NAME", required_unless_present_any = ["config", "list"], conflicts_with = "config")]
    shape: Option<String>,
    /// The shape that a config.json of a supported family describes
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What to write: a file that llama.cpp reads too, or a folder as MLX has it
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "gguf")]
    format: Format,
    /// GGUF: the type of matrices, or a mixture; Q4_K_M unless said
    #[arg(long, value_name = "NAME")]
    quantization: Option<String>,
    /// MLX: bits of a weight: 2, 3, 4, 5, 6 or 8; without it plain numbers
    #[arg(long, value_name = "BITS")]
    bits: Option<u32>,
    /// MLX: weights that share a scale: 32, 64 or 128; 64 unless said
    #[arg(long, value_name = "WEIGHTS", requires = "bits")]
    group_size: Option<u32>,
    /// MLX: the type of scales and of what is not quantized; bf16 unless said
    #[arg(long, value_enum, value_name = "TYPE")]
    dtype: Option<FloatChoice>,
    /// Keeps only so many layers
    #[arg(long, value_name = "N")]
    layers: Option<u64>,
    /// Where the numbers come from: the same seed gives the same bytes
    #[arg(long, value_name = "SEED", default_value = "0")]
    seed: u64,
    /// The file, or the folder, to write
    #[arg(short, long, value_name = "PATH", required_unless_present_any = ["list"])]
    output: Option<PathBuf>,
    /// Name the shapes there are
    #[arg(long, exclusive = true)]
    list: bool,
    /// Replace what is there
    #[arg(long)]
    overwrite: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Gguf,
    Mlx,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FloatChoice {
    Bf16,
    F16,
    F32,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.list {
        return common::print(shapes::names().replace(", ", "\n") + "\n");
    }
    let Some(target) = &arguments.output else { return Err(Failure::usage("expected --output PATH".to_owned())) };
    let shape = arguments.shape()?;
    let Some(vocabulary) = vocabulary::vocabulary(shape.vocab) else {
        return Err(Failure::failed(format!("vocab_size: expected at least 257, found {}", shape.vocab)));
    };
    let (seed, overwrite) = (arguments.seed, arguments.overwrite);
    let bytes = match arguments.format {
        Format::Gguf => {
            let options = gguf::Options { quantization: arguments.quantization()?, seed, overwrite, check: &check };
            gguf::write(&shape, &vocabulary, target, &options)?
        }
        Format::Mlx => {
            let float = arguments.dtype.map_or(Float::Bf16, FloatChoice::float);
            let options = mlx::Options { affine: arguments.affine()?, float, seed, overwrite, check: &check };
            mlx::write(&shape, vocabulary, target, &options)?
        }
    };
    let parameters = tensors::parameters(&tensors::tensors(&shape, 1.0));
    let size = HumanBytes(bytes);
    common::print(format!(
        "{}: {} layers of {} ({parameters} parameters), {size}, seed {seed}\n",
        target.display(),
        shape.layers,
        shape.name
    ))
}

/// Writes a GGUF file of a named shape with `layers` of its layers, for tools that measure one.
pub(crate) fn write_named(name: &str, layers: u64, quantization: &str, target: &Path) -> Result<(), Failure> {
    let shape = Shape::read(name, named(name)?, None)?;
    let layers = layers.min(shape.layers);
    let shape = Shape::read(name, named(name)?, Some(layers))?;
    let Some(vocabulary) = vocabulary::vocabulary(shape.vocab) else {
        return Err(Failure::failed(format!("vocab_size: expected at least 257, found {}", shape.vocab)));
    };
    let options =
        gguf::Options { quantization: quantization_named(quantization)?, seed: 0, overwrite: false, check: &check };
    gguf::write(&shape, &vocabulary, target, &options).map(|_| ())
}

impl Arguments {
    fn shape(&self) -> Result<Shape, Failure> {
        match (&self.shape, &self.config) {
            (Some(name), _) => Shape::read(name, named(name)?, self.layers),
            (None, Some(file)) => Shape::read(&file.display().to_string(), configuration(file)?, self.layers),
            (None, None) => Err(Failure::usage("expected --shape NAME or --config FILE".to_owned())),
        }
    }

    /// How a GGUF file is stored, which options of MLX's do not go with.
    fn quantization(&self) -> Result<quantization::Quantization, Failure> {
        for (option, given) in [("--bits", self.bits.is_some()), ("--dtype", self.dtype.is_some())] {
            if given {
                let hint = "for a GGUF file give --quantization".to_owned();
                return Err(Failure::usage(format!("{option}: expected --format mlx beside it")).with_hint(hint));
            }
        }
        quantization_named(self.quantization.as_deref().unwrap_or("Q4_K_M"))
    }

    /// Bits and group of an MLX folder, which the option of GGUF's does not go with.
    fn affine(&self) -> Result<Option<(u32, u64)>, Failure> {
        if self.quantization.is_some() {
            let hint = "for an MLX folder give --bits and --group-size".to_owned();
            return Err(Failure::usage("--quantization: expected --format gguf beside it".to_owned()).with_hint(hint));
        }
        let Some(bits) = self.bits else { return Ok(None) };
        let group = self.group_size.unwrap_or(64);
        if !matches!(bits, 2..=6 | 8) {
            return Err(Failure::usage(format!("--bits: expected 2, 3, 4, 5, 6 or 8, found {bits}")));
        }
        if !matches!(group, 32 | 64 | 128) {
            return Err(Failure::usage(format!("--group-size: expected 32, 64 or 128, found {group}")));
        }
        Ok(Some((bits, u64::from(group))))
    }
}

impl FloatChoice {
    fn float(self) -> Float {
        match self {
            Self::Bf16 => Float::Bf16,
            Self::F16 => Float::F16,
            Self::F32 => Float::F32,
        }
    }
}

fn quantization_named(name: &str) -> Result<quantization::Quantization, Failure> {
    quantization::named(name).ok_or_else(|| {
        let found: String = name.escape_debug().take(60).collect();
        Failure::usage(format!("--quantization: expected one of {}, found `{found}`", quantization::names()))
    })
}

fn named(name: &str) -> Result<Map<String, Value>, Failure> {
    shapes::named(name).ok_or_else(|| {
        let found: String = name.escape_debug().take(60).collect();
        let hint = "describe another shape with --config config.json".to_owned();
        Failure::usage(format!("--shape: expected one of {}, found `{found}`", shapes::names())).with_hint(hint)
    })
}

/// The keys of a `config.json`.
fn configuration(file: &Path) -> Result<Map<String, Value>, Failure> {
    let failed = |what: String| Failure::failed(format!("{}: {what}", file.display()));
    let bytes = match std::fs::metadata(file) {
        Ok(about) if about.len() > CONFIG_BYTES => {
            return Err(failed(format!("expected at most {CONFIG_BYTES} bytes, found {}", about.len())));
        }
        // Reading a named pipe would wait for a writer.
        Ok(about) if !about.is_file() => return Err(failed("expected a file, found something else".to_owned())),
        Ok(_) => std::fs::read(file),
        Err(error) => Err(error),
    };
    let bytes = bytes.map_err(|source| Failure::from(ffai::Error::File { path: file.to_owned(), source }))?;
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(config)) => Ok(config),
        Ok(_) => Err(failed("expected a JSON object, found something else".to_owned())),
        Err(error) => Err(failed(format!("expected a JSON object, found: {error}"))),
    }
}

/// Whether this engine would load what was written.
fn check(path: &Path) -> Result<(), Failure> {
    RehearsedModel::new(&Checkpoint::open(path)?, &Cpu::new(None), &OpenOptions::default())?;
    Ok(())
}
