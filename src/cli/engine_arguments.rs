//! Options that say what runs a model and how, for every command that runs one.

use super::device::DeviceChoice;
use super::ending::Ending;
use super::values;
use clap::{Args, ValueEnum};
use ffai::doctor;
use ffai::generate::{Backend, OpenOptions};
use ffai::gpu::{AdapterChoice, KernelChoice};
use ffai::graph::{Choices, Element};
use ffai::kernels::forced_by_environment;
use ffai::weights::hub;
use std::collections::BTreeMap;

/// What runs a model, and how.
#[derive(Args, Debug)]
pub(crate) struct EngineArguments {
    /// Most tokens of prompt and answer together; `auto` is the model's context, at most 32768 and what fits
    #[arg(long, value_name = "auto|N", default_value = "auto", value_parser = values::context, allow_negative_numbers = true)]
    pub(crate) ctx: values::Context,
    #[command(flatten)]
    pub(crate) on: DeviceArguments,
}

/// What runs a model, for commands that say otherwise how long its contexts are.
#[derive(Args, Debug)]
pub(crate) struct DeviceArguments {
    /// `auto` and `gpu` take the best GPU, software drivers among them; `cpu` is the slow reference
    #[arg(long, value_enum, value_name = "NAME", default_value = "auto", help_heading = "Device")]
    pub(crate) backend: BackendChoice,
    /// Choose an adapter by its number or a part of its name; `list` shows them
    #[arg(long, value_name = "list|INDEX|NAME", value_parser = DeviceChoice::parse, help_heading = "Device")]
    pub(crate) device: Option<DeviceChoice>,
    /// What keys and values are stored as
    #[arg(long, value_enum, value_name = "TYPE", default_value = "f16", help_heading = "Device")]
    pub(crate) kv_cache: KvCache,
    /// Most device memory to use, such as 2GiB [default: what device and system suggest]
    #[arg(long, value_name = "SIZE", env = "FFAI_MEMORY_BUDGET", value_parser = values::bytes, help_heading = "Device")]
    pub(crate) memory_budget: Option<u64>,
    /// Compile kernels with bounds checks
    #[arg(long, help_heading = "Device")]
    pub(crate) checked: bool,
    /// What kernels are compiled from: `auto` takes the Metal sources where they run, and WGSL for the rest
    #[arg(
        long,
        value_enum,
        value_name = "NAME",
        default_value = "auto",
        env = "FFAI_KERNELS",
        help_heading = "Device"
    )]
    pub(crate) kernels: KernelSources,
    /// Start at once and compile kernels as they are needed
    #[arg(long, help_heading = "Device")]
    pub(crate) no_prewarm: bool,
}

/// What runs the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BackendChoice {
    Auto,
    Gpu,
    Cpu,
}

/// Precision of keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KvCache {
    F16,
    F32,
}

/// What kernels are compiled from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KernelSources {
    Auto,
    Wgsl,
    Msl,
}

impl From<KernelSources> for KernelChoice {
    fn from(sources: KernelSources) -> Self {
        match sources {
            KernelSources::Auto => Self::Auto,
            KernelSources::Wgsl => Self::Wgsl,
            KernelSources::Msl => Self::Msl,
        }
    }
}

impl KvCache {
    pub(crate) fn element(self) -> Element {
        match self {
            Self::F16 => Element::F16,
            Self::F32 => Element::F32,
        }
    }
}

/// What `ffai doctor --tune` found on this machine.
fn tuned() -> Result<BTreeMap<String, Choices>, Ending> {
    // Without a home folder nothing can have been kept.
    Ok(match doctor::place() {
        Ok(file) => doctor::tuned(&file)?,
        Err(_) => BTreeMap::new(),
    })
}

impl EngineArguments {
    /// How to open the model; refuses what contradicts itself.
    pub(crate) fn options(&self) -> Result<OpenOptions, Ending> {
        Ok(OpenOptions { context: self.ctx.0, ..self.on.options()? })
    }
}

impl DeviceArguments {
    /// How to open the model, with a context that is chosen by itself; refuses what contradicts itself.
    pub(crate) fn options(&self) -> Result<OpenOptions, Ending> {
        let backend = match self.backend {
            BackendChoice::Auto | BackendChoice::Gpu => Backend::Gpu,
            BackendChoice::Cpu if self.device.is_some() => {
                let message = "--device chooses a GPU, and --backend cpu uses none".to_owned();
                return Err(Ending::usage(message, Some("leave one of them out".to_owned())));
            }
            BackendChoice::Cpu => Backend::Cpu,
        };
        let adapter = match &self.device {
            Some(DeviceChoice::Use(adapter)) => adapter.clone(),
            _ => AdapterChoice::Best,
        };
        Ok(OpenOptions {
            backend,
            adapter,
            checked: self.checked,
            kv: self.kv_cache.element(),
            memory_budget: self.memory_budget,
            kernels: self.kernels.into(),
            tuned: tuned()?,
            forced: forced_by_environment().map_err(ffai::Error::from)?,
            hub: hub::Settings::from_environment().ok().filter(|hub| !hub.offline),
            ..OpenOptions::default()
        })
    }
}
