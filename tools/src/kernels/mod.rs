//! `tools kernels`: every kernel that a model runs, at the model's shapes, beside what the device does at best.
//!
//! Two kinds of time stand side by side. In place is what an op took in timed runs of the whole model. By itself is what it takes
//! over and over, with the weights that it has just read (warm) and with others each time (cold): those of all layers, and copies
//! until no cache holds them. Only ops with weights run by themselves: the others read what earlier ops of a step have left.

mod print;
mod rows;

use crate::common::{self, BackendChoice};
use crate::failure::Failure;
use crate::synth;
use clap::{Args, ValueEnum};
use ffai::generate::{Engine, OpenOptions, SamplingOptions, Timed, Weights, is_repeatable};
use ffai::graph::{Ceiling, Element, Method, Op, Rng};
use ffai::measure::{Peaks, median};
use ffai::weights::{self, Checkpoint};
use rows::{Phase, Row, groups, row};
use std::path::{Path, PathBuf};

/// Runs of an op that is by itself and warm, in one submission.
const WARM_CALLS: usize = 16;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The model whose kernels are measured
    #[arg(short, long, required_unless_present = "shape", conflicts_with = "shape")]
    model: Option<String>,
    /// A named shape of `tools synth` instead, with random weights: written to the system's folder for temporary files, and removed
    #[arg(long, value_name = "NAME")]
    shape: Option<String>,
    /// Layers of the shape: kernels are the same in all of them
    #[arg(long, value_name = "N", default_value = "2", requires = "shape", value_parser = clap::value_parser!(u64).range(1..))]
    layers: u64,
    /// The type of the shape's matrices
    #[arg(long, value_name = "NAME", default_value = "Q4_K_M", requires = "shape")]
    quantization: String,
    /// Tokens that the cache holds when a step or a chunk runs
    #[arg(short, long, value_name = "TOKENS", default_value = "128", value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    depth: u32,
    /// Tokens of a chunk of a prompt
    #[arg(short, long, value_name = "TOKENS", default_value = "512", value_parser = clap::value_parser!(u32).range(2..=1 << 16))]
    chunk: u32,
    /// Bytes of weights to go through before the first come again, in MiB; larger than any cache
    #[arg(long, value_name = "MIB", default_value = "256", value_parser = clap::value_parser!(u64).range(1..=1 << 16))]
    cold: u64,
    /// Timed runs of every kernel
    #[arg(short, long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=1000))]
    repetitions: u32,
    /// What runs the model; `cpu` is the slow reference, which has no best to stand beside
    #[arg(long, value_enum, value_name = "NAME", default_value = "gpu")]
    backend: BackendChoice,
    /// How the result is printed
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "md")]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table for people
    Md,
    /// A header and a line per kernel
    Csv,
    /// One object
    Json,
}

/// Everything that was measured.
struct Measured {
    model: String,
    device: String,
    depth: u32,
    chunk: u32,
    /// Bytes that cold weights had to be.
    cold_bytes: u64,
    method: Method,
    ceilings: Vec<Ceiling>,
    peaks: Option<Peaks>,
    rows: Vec<Row>,
}

impl Measured {
    /// Whether the host's clock took the times, launches included.
    fn by_host(&self) -> bool {
        self.method == Method::Submissions
    }
}

/// A file that goes away with its owner.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // Best effort: it lies where the system cleans up.
        let _ = std::fs::remove_file(&self.0);
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (name, path, _temporary) = match (&arguments.model, &arguments.shape) {
        (Some(model), _) => (model.clone(), weights::locate(model)?, None),
        (None, Some(shape)) => {
            let path = std::env::temp_dir().join(format!("tools-kernels-{}.gguf", std::process::id()));
            let temporary = Temporary(path.clone());
            synth::write_named(shape, arguments.layers, &arguments.quantization, &path)?;
            (format!("{shape}, {} of its layers, {}", arguments.layers, arguments.quantization), path, Some(temporary))
        }
        (None, None) => return Err(Failure::usage("expected --model MODEL or --shape NAME".to_owned())),
    };
    let mut engine = open(&path, arguments)?;
    let measured = measure(&mut engine, name, arguments)?;
    common::print(print::page(&measured, arguments.output)?)
}

/// The model, with room for a chunk behind the depth.
fn open(path: &Path, arguments: &Arguments) -> Result<Engine, Failure> {
    let checkpoint = Checkpoint::open(path)?;
    let needed = arguments.depth + arguments.chunk;
    let most = ffai::model::family(&checkpoint)?.config(&checkpoint)?.context;
    if needed > most {
        let message =
            format!("expected a depth and a chunk of at most the model's {most} tokens together, found {needed}");
        return Err(Failure::usage(message).with_hint("use a smaller --depth or --chunk".to_owned()));
    }
    let f16 = OpenOptions::default();
    let options = OpenOptions {
        backend: arguments.backend.into(),
        chunk: arguments.chunk as usize,
        context: Some(needed),
        forced: ffai::kernels::forced_by_environment().map_err(ffai::Error::from)?,
        ..f16
    };
    match ffai::generate::load(&checkpoint, &options, &mut |_, _| {}) {
        // A device without half precision still has kernels to measure.
        Err(ffai::Error::Device(ffai::graph::ExecuteError::MissingFeature { feature: "f16", .. })) => {
            let options = OpenOptions { kv: Element::F32, ..options };
            Ok(ffai::generate::load(&checkpoint, &options, &mut |_, _| {})?)
        }
        loaded => Ok(loaded?),
    }
}

fn measure(engine: &mut Engine, model: String, arguments: &Arguments) -> Result<Measured, Failure> {
    let mut ceilings = engine.ceilings()?;
    ceilings.extend(engine.matrix_product()?);
    let cold_bytes = arguments.cold << 20;
    let mut rows = Vec::new();
    let mut method = Method::Host;
    for (phase, runs) in [(Phase::Decode, decode(engine, arguments)?), (Phase::Prefill, prefill(engine, arguments)?)] {
        method = runs[0].timing.method;
        let ops = &runs[0].plan.ops;
        for group in groups(ops) {
            let mut row = row(phase, &group, &runs);
            let same: Vec<&Op> = group.places.iter().map(|&place| &ops[place]).collect();
            if is_repeatable(same[0]) {
                let submissions = arguments.repetitions as usize;
                let warm = engine.time_alone(&same, Weights::Warm { calls: WARM_CALLS }, submissions)?;
                let cold = engine.time_alone(&same, Weights::Cold { bytes: cold_bytes }, submissions)?;
                row.warm_us = alone_us(&warm);
                row.cold_us = alone_us(&cold);
                row.cold_bytes = Some(cold.weight_bytes);
            }
            rows.push(row);
        }
    }
    let device = engine.device();
    Ok(Measured {
        model,
        device: format!("{} ({}, {})", device.name, device.backend, device.driver),
        depth: arguments.depth,
        chunk: arguments.chunk,
        cold_bytes,
        method,
        peaks: Peaks::new(ceilings.clone()),
        ceilings,
        rows,
    })
}

/// By the device where it takes times of ops in one submission; else by the host, back to back, which is nearer to the truth than
/// a submission for each.
fn alone_us(alone: &ffai::generate::Alone) -> Option<f64> {
    let seconds = match alone.method {
        Method::Submissions => &alone.wall_seconds,
        Method::Timestamps | Method::CommandBuffers | Method::Host => &alone.device_seconds,
    };
    median(seconds).map(|seconds| seconds * 1e6)
}

/// Timed steps behind the depth. How the token is chosen is part of a step: by all that can be asked of the sampler but penalties.
fn decode(engine: &mut Engine, arguments: &Arguments) -> Result<Vec<Timed>, Failure> {
    let sampling = SamplingOptions { top_k: 40, top_p: 0.95, temperature: 0.8, ..SamplingOptions::default() };
    timed(engine, arguments, &sampling, &mut |engine, sequence, _| {
        engine.set_batch(&[(sequence, 1)])?;
        engine.step(&[sequence], sampling.parts(), false)
    })
}

/// Timed chunks of a prompt behind the depth.
fn prefill(engine: &mut Engine, arguments: &Arguments) -> Result<Vec<Timed>, Failure> {
    let greedy = SamplingOptions::greedy();
    timed(engine, arguments, &greedy, &mut |engine, sequence, tokens| {
        engine.prefill(sequence, &tokens[..arguments.chunk as usize], 0, greedy.parts(), false)
    })
}

/// What runs once, behind the depth.
type Once<'a> =
    dyn FnMut(&mut Engine, ffai::cache::SequenceId, &[u32]) -> Result<ffai::generate::Step, ffai::Error> + 'a;

/// Fills the cache to the depth and times so many runs of `once`, after one that warms up.
fn timed(
    engine: &mut Engine,
    arguments: &Arguments,
    sampling: &SamplingOptions,
    once: &mut Once<'_>,
) -> Result<Vec<Timed>, Failure> {
    let vocab = engine.model().config().vocab;
    let mut rng = Rng(0x5EED);
    let tokens: Vec<u32> = (0..arguments.depth.max(arguments.chunk)).map(|_| rng.below(vocab)).collect();
    let Some(sequence) = engine.open() else { panic!("a new engine has room for a sequence") };
    engine.set_sampling(sequence, sampling.settings(), None)?;
    let filled = engine.prefill(sequence, &tokens[..arguments.depth as usize], 0, sampling.parts(), false)?;
    engine.finish(filled)?;
    let mut runs = Vec::new();
    for run in 0..=arguments.repetitions {
        engine.time_ops(run > 0);
        let step = once(engine, sequence, &tokens);
        engine.time_ops(false);
        engine.finish(step?)?;
        runs.extend(engine.take_timings());
        engine.rewind(sequence, arguments.depth);
    }
    engine.close(sequence);
    Ok(runs)
}
