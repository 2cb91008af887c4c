//! Measures the subgroup size: what drivers report is a range, and on Metal a constant.

use crate::graph::ExecuteError;

const SOURCE: &str = "
@group(0) @binding(0) var<storage, read_write> size: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(subgroup_size) lanes: u32, @builtin(local_invocation_index) index: u32) {
    if index == 0u { size[0] = lanes; }
}";

pub(super) fn subgroup_size(device: &wgpu::Device, queue: &wgpu::Queue) -> Result<u32, ExecuteError> {
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("probe"),
        source: wgpu::ShaderSource::Wgsl(SOURCE.into()),
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some("probe"),
        layout: None,
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions::default(),
        cache: None,
    });
    let buffer = |usage| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("probe"),
            size: 4,
            usage,
            mapped_at_creation: false,
        })
    };
    let size = buffer(wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC);
    let staging = buffer(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
    let bindings = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("probe"),
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[wgpu::BindGroupEntry { binding: 0, resource: size.as_entire_binding() }],
    });
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &bindings, &[]);
        pass.dispatch_workgroups(1, 1, 1);
    }
    encoder.copy_buffer_to_buffer(&size, 0, &staging, 0, 4);
    queue.submit([encoder.finish()]);
    staging.slice(..).map_async(wgpu::MapMode::Read, |_| {});
    let failed = |error: String| ExecuteError::Device(format!("probe kernel: {error}"));
    device.poll(wgpu::PollType::wait_indefinitely()).map_err(|error| failed(error.to_string()))?;
    let view = staging.slice(..).get_mapped_range().map_err(|error| failed(error.to_string()))?;
    let lanes = bytemuck::pod_read_unaligned::<u32>(&view);
    if lanes.is_power_of_two() && (4..=128).contains(&lanes) {
        Ok(lanes)
    } else {
        Err(failed(format!("subgroups of {lanes} lanes; kernels need 4 to 128")))
    }
}
