//! `ffai doctor`: whether this very device computes what it should, and how fast it is.

mod candidates;
mod chips;
mod parity;
mod stored;
mod tuning;

pub use candidates::{Candidate, candidates};
pub use chips::{Known, chips, known};
pub use parity::{compare, run, twin};
pub use stored::{Error, place, save, tuned};
pub use tuning::Timing;

use crate::gpu::{self, AdapterChoice, Chip, DeviceMemory, Facts, Gpu, GpuOptions, KernelChoice, Thermal};
use crate::graph::{Cases, Ceiling, Choices, ExecuteError, Executor};
use crate::kernels::CATALOGUE;
use crate::weights::format::FORMATS;
use serde::Serialize;
use std::time::Instant;

/// What to examine.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Which adapter.
    pub adapter: AdapterChoice,
    /// What kernels are compiled from.
    pub kernels: KernelChoice,
    /// Time the variants of kernels against each other.
    pub tune: bool,
    /// Every case of every kernel, however long it takes.
    pub thorough: bool,
    /// Changes sources before they are compiled: `(kernel, source) -> source`. Tests plant faults with it.
    pub planted: Option<fn(&str, String) -> String>,
}

/// How one variant of one kernel compares with its CPU twin.
#[derive(Clone, Debug, Serialize)]
pub struct Parity {
    /// The kernel.
    pub kernel: &'static str,
    /// What it was compiled from.
    pub variant: &'static str,
    /// Cases that ran.
    pub cases: usize,
    /// Cases that there are.
    pub of: usize,
    /// The largest NMSE found.
    pub largest_nmse: f64,
    /// The largest allowed.
    pub tolerance: f64,
    /// The first case that is wrong.
    pub failure: Option<String>,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// This build.
    pub version: &'static str,
    /// Operating system and processor that it was built for.
    pub system: String,
    /// What the device says of itself.
    pub device: Facts,
    /// The machine's chip.
    pub chip: Chip,
    /// The device's memory, where its driver tells.
    pub memory: Option<DeviceMemory>,
    /// How much the machine held back after the measures because it was hot, where the system tells.
    pub thermal: Option<Thermal>,
    /// What the maker says of it, where known.
    pub known: Option<Known>,
    /// Every variant of every kernel against its twin.
    pub parity: Vec<Parity>,
    /// What the device does at best.
    pub ceilings: Vec<Ceiling>,
    /// Variants timed against each other, where that was asked for.
    pub timings: Vec<Timing>,
    /// The variants that win.
    pub choices: Choices,
    /// Whether every kernel is right.
    pub sound: bool,
    /// What somebody should know, in full sentences.
    pub findings: Vec<String>,
    /// How long it took.
    pub seconds: f64,
    /// What choices on this device are kept under.
    #[serde(skip)]
    pub identity: String,
}

/// Cases per kernel on a software driver, whose compiler takes longer than the work.
const CASES: usize = 6;

/// Examines a device. `progress` is told what is being done.
///
/// # Errors
/// Where the device cannot be opened, or fails otherwise than by wrong results.
pub fn examine(options: &Options, progress: &mut dyn FnMut(&str)) -> Result<Report, ExecuteError> {
    let begun = Instant::now();
    let open = |kernels| -> Result<Gpu, ExecuteError> {
        let adapter = options.adapter.clone();
        let mut gpu = Gpu::open(&GpuOptions { adapter, kernels, ..GpuOptions::default() })?;
        if let Some(planted) = options.planted {
            gpu.set_source_hook(Box::new(planted));
        }
        Ok(gpu)
    };
    let mut gpu = open(options.kernels)?;
    let device = gpu.facts();
    let mut parity = Vec::new();
    let native = device.kernels;
    if native != "wgsl" && options.kernels == KernelChoice::Auto {
        check(&mut open(KernelChoice::Wgsl)?, options.thorough, &mut parity, progress)?;
    }
    check(&mut gpu, options.thorough, &mut parity, progress)?;
    progress("ceilings");
    let ceilings = Executor::ceilings(&mut gpu)?;
    let (timings, choices) = match options.tune {
        true => tuning::compare(&mut gpu, &ceilings, &mut |format| progress(&format!("variants with {format}")))?,
        false => (Vec::new(), Choices::default()),
    };
    let known = known(&device.adapter).copied();
    let thermal = gpu::thermal();
    let findings = findings(&device, known.as_ref(), &parity, &ceilings, thermal);
    Ok(Report {
        version: env!("CARGO_PKG_VERSION"),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        sound: parity.iter().all(|parity| parity.failure.is_none()),
        identity: gpu.identity(),
        chip: gpu::chip(),
        memory: gpu.device_memory(),
        thermal,
        device,
        known,
        parity,
        ceilings,
        timings,
        choices,
        findings,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// Runs the kernels' cases; of overrides only those that exist.
fn check(
    gpu: &mut Gpu,
    thorough: bool,
    found: &mut Vec<Parity>,
    progress: &mut dyn FnMut(&str),
) -> Result<(), ExecuteError> {
    let variant = gpu.device().kernels;
    for kernel in CATALOGUE {
        let overridden = variant == "msl";
        if overridden && kernel.metal.is_none() {
            continue;
        }
        progress(&format!("{} ({variant})", kernel.name));
        let tolerance = kernel.metal.as_ref().filter(|_| overridden).map_or(kernel.tolerance, |metal| metal.tolerance);
        let mut cases = Cases::new(gpu.target(), &FORMATS, 0xD0C, false);
        (kernel.cases)(&mut cases);
        let of = cases.cases.len();
        let step = if gpu.target().software && !thorough { of.div_ceil(CASES).max(1) } else { 1 };
        let mut parity = Parity {
            kernel: kernel.name,
            variant,
            cases: 0,
            of,
            largest_nmse: 0.0,
            tolerance: tolerance.nmse,
            failure: None,
        };
        for case in cases.cases.iter().step_by(step) {
            parity.cases += 1;
            let want = twin(case)?;
            // A variant that does not compile is a wrong one, and no reason to stop looking.
            let result = run(gpu, case).map_err(|error| format!("{}: {error}", kernel.name));
            match result.and_then(|got| compare(kernel.name, case, &got, &want, tolerance)) {
                Ok(nmse) => parity.largest_nmse = parity.largest_nmse.max(nmse),
                Err(failure) => {
                    parity.failure.get_or_insert(failure);
                }
            }
        }
        found.push(parity);
    }
    Ok(())
}

fn findings(
    device: &Facts,
    known: Option<&Known>,
    parity: &[Parity],
    ceilings: &[Ceiling],
    thermal: Option<Thermal>,
) -> Vec<String> {
    let wrong = parity.iter().filter_map(|parity| {
        let failure = parity.failure.as_ref()?;
        Some(format!("The kernel `{}` ({}) is wrong on this device: {failure}.", parity.kernel, parity.variant))
    });
    let mut found: Vec<String> = wrong.collect();
    found.extend(device.warning.clone());
    let read = ceilings.iter().find(|ceiling| ceiling.what == "streaming read");
    if let (Some(read), Some(stated)) = (read, known.and_then(|known| known.bandwidth.first()))
        && read.best < 0.6 * stated
    {
        let share = 100.0 * read.best / stated;
        found.push(format!(
            "Streaming reads reach {:.0} GB/s of the {stated} GB/s that the maker states ({share:.0} %): something else uses the \
             memory, or the system saves power.",
            read.best
        ));
    }
    for missing in device.missing.iter().filter(|missing| **missing == "f16") {
        found.push(format!("The device has no {missing}: run models with `--kv-cache f32`."));
    }
    if device.kind == "software" {
        found.push(
            "This is a software driver: it computes on the CPU, and its speed says nothing of any GPU.".to_owned(),
        );
    }
    if thermal.is_some_and(|thermal| thermal >= Thermal::Serious) {
        found.push(
            "The machine is hot and holds back: what was measured is less than it can do when it is cool.".to_owned(),
        );
    }
    found
}
