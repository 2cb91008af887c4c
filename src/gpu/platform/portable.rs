//! Systems without Metal: what they tell by other ways, and `None` for the rest.

use super::signposts::Activity;
use super::{Chip, ClockSample, CommandBufferLog, DeviceMemory, Thermal};
use crate::graph::MappedPages;

/// Memory that the system calls available, in bytes: `MemAvailable` of Linux.
pub(in crate::gpu) fn available() -> Option<u64> {
    mem_available(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

pub(super) fn mem_available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.starts_with("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    kib.checked_mul(1024)
}

/// Vulkan through wgpu tells none of it.
pub(in crate::gpu) fn device_memory(_device: &wgpu::Device) -> Option<DeviceMemory> {
    None
}

/// The processor's name, of Linux.
pub fn chip() -> Chip {
    let name = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| model_name(&text));
    Chip { name, gpu_cores: None }
}

pub(super) fn model_name(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// No one word for it here.
pub fn thermal() -> Option<Thermal> {
    None
}

/// A device's clock is read by a timestamp here, not by a call.
pub(in crate::gpu) fn sample_clock(_device: &wgpu::Device) -> Option<ClockSample> {
    None
}

/// Drivers of Vulkan report a lost device by themselves and time no command buffers: `false`.
pub(in crate::gpu) fn watch(_queue: &wgpu::Queue, _log: &CommandBufferLog) -> bool {
    false
}

/// Weights are written to buffers that wgpu allocates, and stay where they are as long as these.
#[derive(Debug)]
pub(in crate::gpu) struct WeightMemory;

impl WeightMemory {
    pub(in crate::gpu) fn new(_device: &wgpu::Device, _queue: &wgpu::Queue) -> Self {
        Self
    }

    pub(in crate::gpu) fn page(&self) -> Option<u64> {
        None
    }

    pub(in crate::gpu) fn adopt(
        &self,
        _device: &wgpu::Device,
        _label: &str,
        _pages: &MappedPages,
    ) -> Option<(wgpu::Buffer, Resident)> {
        None
    }

    pub(in crate::gpu) fn allocate(
        &self,
        _device: &wgpu::Device,
        _descriptor: &wgpu::BufferDescriptor<'_>,
    ) -> Option<(wgpu::Buffer, Resident)> {
        None
    }

    pub(in crate::gpu) fn keep(&self) {}
}

/// Memory that is kept resident as long as this lives: there is none.
#[derive(Debug)]
pub(in crate::gpu) struct Resident;

/// A signpost's interval: nobody reads them here.
#[derive(Debug)]
pub(in crate::gpu) struct Interval;

impl Interval {
    /// Begins an interval that ends when it is dropped.
    pub(in crate::gpu) fn begin(_activity: Activity) -> Self {
        Self
    }
}

/// A signpost's event: nobody reads them here.
pub(in crate::gpu) fn mark_first_token() {}
