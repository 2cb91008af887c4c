//! How much device memory may be used.

/// A budget where the device's memory is the system's: what the system calls available. Unknown for a card of its own, whose
/// driver reports exhaustion by itself.
pub(super) fn budget(info: &wgpu::AdapterInfo) -> Option<u64> {
    match info.device_type {
        wgpu::DeviceType::Cpu | wgpu::DeviceType::IntegratedGpu => available(),
        _ => None,
    }
}

#[cfg(target_os = "linux")]
fn available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(not(target_os = "linux"))]
fn available() -> Option<u64> {
    None
}
