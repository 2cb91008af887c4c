//! What a device says of itself, for reports.

use super::Gpu;
use serde::Serialize;

/// Adapter, driver, features and the limits that matter here.
#[derive(Clone, Debug, Serialize)]
pub struct Facts {
    /// The adapter's name.
    pub adapter: String,
    /// `discrete`, `integrated`, `virtual`, `software` or `other`.
    pub kind: &'static str,
    /// `Metal` or `Vulkan`.
    pub backend: String,
    /// The driver and its version, where known.
    pub driver: String,
    /// PCI vendor and device, 0 where there are none.
    pub vendor: u32,
    /// PCI device.
    pub device: u32,
    /// Lanes of a subgroup, as a kernel counted them.
    pub subgroup: u32,
    /// What the device can, of what kernels or measures use.
    pub features: Vec<&'static str>,
    /// What it cannot, of the same.
    pub missing: Vec<&'static str>,
    /// Largest buffer in bytes.
    pub max_buffer_bytes: u64,
    /// Largest window of a binding in bytes.
    pub max_binding_bytes: u64,
    /// Memory that a workgroup may share, in bytes.
    pub workgroup_memory_bytes: u32,
    /// Most threads of a workgroup.
    pub workgroup_threads: u32,
    /// Most device memory that is used, in bytes, where a budget is known.
    pub memory_budget: Option<u64>,
    /// What kernels are compiled from.
    pub kernels: &'static str,
    /// Something to know of it.
    pub warning: Option<String>,
}

const FEATURES: [(wgpu::Features, &str); 6] = [
    (wgpu::Features::SUBGROUP, "subgroup operations"),
    (wgpu::Features::SHADER_F16, "f16"),
    (wgpu::Features::TIMESTAMP_QUERY, "timestamps of passes"),
    (wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES, "timestamps inside passes"),
    (wgpu::Features::PASSTHROUGH_SHADERS, "shaders as they are"),
    (wgpu::Features::MAPPABLE_PRIMARY_BUFFERS, "mapped device memory"),
];

impl Gpu {
    /// What the device says of itself.
    pub fn facts(&self) -> Facts {
        let limits = self.device.limits();
        let has = |&(feature, _): &(wgpu::Features, &str)| self.available.contains(feature);
        let (features, missing): (Vec<_>, Vec<_>) = FEATURES.iter().partition(|feature| has(feature));
        let names = |list: Vec<&(wgpu::Features, &'static str)>| list.into_iter().map(|feature| feature.1).collect();
        Facts {
            adapter: self.info.name.clone(),
            kind: super::adapter::kind(self.info.device_type),
            backend: format!("{:?}", self.info.backend),
            driver: format!("{} {}", self.info.driver, self.info.driver_info).trim().to_owned(),
            vendor: self.info.vendor,
            device: self.info.device,
            subgroup: self.target.subgroup,
            features: names(features),
            missing: names(missing),
            max_buffer_bytes: limits.max_buffer_size,
            max_binding_bytes: limits.max_storage_buffer_binding_size,
            workgroup_memory_bytes: limits.max_compute_workgroup_storage_size,
            workgroup_threads: limits.max_compute_invocations_per_workgroup,
            memory_budget: self.buffers.memory().budget,
            kernels: self.language.name(),
            warning: self.warning.clone(),
        }
    }
}
