//! How much device memory may be used.

use super::platform::{self, DeviceMemory};
use crate::graph::MemoryReport;

/// What Metal recommends; elsewhere, where the device's memory is the system's, what the system calls available. Unknown for a card
/// of its own, whose driver reports exhaustion by itself.
pub(super) fn budget(device: &wgpu::Device, info: &wgpu::AdapterInfo) -> Option<u64> {
    choose(info.device_type, platform::device_memory(device), platform::available)
}

/// Our own account, and beside it that of the driver (Metal) or of wgpu's allocator, where one is kept.
pub(super) fn report(device: &wgpu::Device, own: MemoryReport) -> MemoryReport {
    if let Some(memory) = platform::device_memory(device) {
        return MemoryReport { device: Some(memory.allocated), working_set: Some(memory.working_set), ..own };
    }
    // Counters, not the report of all allocations: this is asked for at every token.
    let bytes = device.get_internal_counters().hal.buffer_memory.read();
    MemoryReport { device: u64::try_from(bytes).ok().filter(|&bytes| bytes > 0), ..own }
}

fn choose(
    kind: wgpu::DeviceType,
    memory: Option<DeviceMemory>,
    available: impl FnOnce() -> Option<u64>,
) -> Option<u64> {
    match (memory, kind) {
        // Paravirtual devices may say 0, which is no recommendation.
        (Some(DeviceMemory { working_set, .. }), _) if working_set > 0 => Some(working_set),
        (_, wgpu::DeviceType::Cpu | wgpu::DeviceType::IntegratedGpu) => available(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wgpu::DeviceType;

    #[test]
    fn the_budget_is_what_metal_recommends_else_what_the_system_has() {
        let memory = |working_set| Some(DeviceMemory { allocated: 5, working_set, unified: true, max_buffer: 9 });
        let available = || Some(7);
        assert_eq!(choose(DeviceType::IntegratedGpu, memory(11), available), Some(11));
        assert_eq!(choose(DeviceType::DiscreteGpu, memory(11), available), Some(11));
        assert_eq!(choose(DeviceType::IntegratedGpu, memory(0), available), Some(7));
        assert_eq!(choose(DeviceType::Cpu, None, available), Some(7));
        assert_eq!(choose(DeviceType::DiscreteGpu, None, available), None);
    }
}
