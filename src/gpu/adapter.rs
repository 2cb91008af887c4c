//! Finds adapters and opens one.

use super::GpuOptions;
use crate::graph::{Choices, ExecuteError, Target};

/// Which adapter to open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AdapterChoice {
    /// The best: discrete, then integrated, then virtual, then software.
    #[default]
    Best,
    /// By position in [`adapters`].
    Index(usize),
    /// The first whose name contains this, ignoring case.
    Named(String),
    /// No device: wgpu checks and encodes everything, copies buffers and runs no kernel, so that what is left is what the host does.
    Nothing,
}

/// One adapter, for a listing.
#[derive(Clone, Debug)]
pub struct AdapterLine {
    /// Position, as [`AdapterChoice::Index`] takes it.
    pub index: usize,
    /// The adapter's name.
    pub name: String,
    /// `Metal` or `Vulkan`.
    pub backend: String,
    /// `discrete`, `integrated`, `virtual`, `software` or `other`.
    pub kind: &'static str,
    /// The driver and its version.
    pub driver: String,
}

pub(super) struct Opened {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) info: wgpu::AdapterInfo,
    /// What the adapter can, asked for or not.
    pub(super) available: wgpu::Features,
    pub(super) target: Target,
}

fn enumerate() -> Vec<wgpu::Adapter> {
    let backends = wgpu::Backends::METAL | wgpu::Backends::VULKAN;
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends,
        flags: wgpu::InstanceFlags::empty().with_env(),
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let mut found = pollster::block_on(instance.enumerate_adapters(backends));
    found.sort_by_key(|adapter| rank(adapter.get_info().device_type));
    found
}

fn rank(kind: wgpu::DeviceType) -> u8 {
    match kind {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    }
}

pub(super) fn kind(kind: wgpu::DeviceType) -> &'static str {
    match kind {
        wgpu::DeviceType::DiscreteGpu => "discrete",
        wgpu::DeviceType::IntegratedGpu => "integrated",
        wgpu::DeviceType::VirtualGpu => "virtual",
        wgpu::DeviceType::Cpu => "software",
        wgpu::DeviceType::Other => "other",
    }
}

/// Every Metal and Vulkan adapter, best first.
pub fn adapters() -> Vec<AdapterLine> {
    let line = |(index, adapter): (usize, wgpu::Adapter)| {
        let info = adapter.get_info();
        AdapterLine {
            index,
            name: info.name,
            backend: format!("{:?}", info.backend),
            kind: kind(info.device_type),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
        }
    };
    enumerate().into_iter().enumerate().map(line).collect()
}

pub(super) fn open(options: &GpuOptions) -> Result<Opened, ExecuteError> {
    let adapter = choose(&options.adapter)?;
    let info = adapter.get_info();
    let features = adapter.features();
    let limits = adapter.limits();
    if !features.contains(wgpu::Features::SUBGROUP) {
        return Err(ExecuteError::MissingFeature {
            feature: "subgroup operations",
            what: "every matrix product".to_owned(),
            device: info.name,
        });
    }
    let wanted = wgpu::Features::SUBGROUP
        | wgpu::Features::SHADER_F16
        | wgpu::Features::TIMESTAMP_QUERY
        | wgpu::Features::PASSTHROUGH_SHADERS;
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
        label: Some("ffai"),
        required_features: features & wanted,
        required_limits: limits.clone(),
        memory_hints: wgpu::MemoryHints::Performance,
        ..wgpu::DeviceDescriptor::default()
    }))
    .map_err(|error| ExecuteError::Device(format!("{} could not be opened: {error}", info.name)))?;
    let target = Target {
        subgroup: info.subgroup_min_size,
        max_binding_bytes: limits.max_storage_buffer_binding_size,
        max_workgroups: limits.max_compute_workgroups_per_dimension,
        f16: features.contains(wgpu::Features::SHADER_F16),
        software: info.device_type == wgpu::DeviceType::Cpu,
        choices: Choices::default(),
    };
    Ok(Opened { device, queue, info, available: features, target })
}

/// wgpu's own backend that runs nothing.
fn nothing() -> Option<wgpu::Adapter> {
    let backends = wgpu::Backends::NOOP;
    let noop = wgpu::NoopBackendOptions { enable: true, ..wgpu::NoopBackendOptions::default() };
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends,
        backend_options: wgpu::BackendOptions { noop, ..wgpu::BackendOptions::default() },
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    pollster::block_on(instance.enumerate_adapters(backends)).into_iter().next()
}

fn choose(choice: &AdapterChoice) -> Result<wgpu::Adapter, ExecuteError> {
    if *choice == AdapterChoice::Nothing {
        return nothing().ok_or(ExecuteError::NoAdapter);
    }
    let mut found = enumerate();
    if found.is_empty() {
        return Err(ExecuteError::NoAdapter);
    }
    let index = match choice {
        AdapterChoice::Best | AdapterChoice::Nothing => Some(0),
        AdapterChoice::Index(index) => (*index < found.len()).then_some(*index),
        AdapterChoice::Named(name) => {
            let name = name.to_lowercase();
            found.iter().position(|adapter| adapter.get_info().name.to_lowercase().contains(&name))
        }
    };
    match index {
        Some(index) => Ok(found.swap_remove(index)),
        None => Err(ExecuteError::NoSuchAdapter {
            asked: match choice {
                AdapterChoice::Index(index) => index.to_string(),
                AdapterChoice::Named(name) => name.clone(),
                AdapterChoice::Best | AdapterChoice::Nothing => String::new(),
            },
            found: found.iter().map(|adapter| adapter.get_info().name).collect::<Vec<_>>().join(", "),
        }),
    }
}
