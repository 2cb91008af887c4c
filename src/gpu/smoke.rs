//! Runs one small kernel the way overrides run, before any of them is trusted.

use super::pipelines::{layout, pipeline};
use super::source::{self, Language};
use crate::graph::{Access, Binding, ExecuteError};

const BINDINGS: [Binding; 2] =
    [Binding { name: "x", access: Access::Weight }, Binding { name: "y", access: Access::Output }];
const THREADS: usize = 64;

/// The text of the smoke kernel.
pub(super) fn text(language: Language) -> String {
    match language {
        Language::Msl => concat!(include_str!("../../msl/lib/begin.metal"), include_str!("../../msl/lib/smoke.metal")),
        Language::Wgsl | Language::Spirv => include_str!("../../wgsl/lib/smoke.wgsl"),
    }
    .to_owned()
}

/// Whether a shader that the driver gets as it is finds its slots, lengths, shared memory and subgroups; what is wrong if it does not.
pub(super) fn run(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    language: Language,
    text: &str,
    subgroup: u32,
) -> Result<(), String> {
    let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let got = dispatch(device, queue, language, text);
    if let Some(error) = pollster::block_on(scope.pop()) {
        return Err(error.to_string());
    }
    let got = got.map_err(|error| error.to_string())?;
    let input = input();
    for (index, &got) in got.iter().enumerate() {
        let (what, want) = match input.get(index) {
            Some(_) => ("y", 2.0 * input[THREADS - 1 - index] + THREADS as f32),
            None => ("lanes of a subgroup in y", subgroup as f32),
        };
        if got != want {
            return Err(format!("{what}[{index}]: expected {want}, found {got}"));
        }
    }
    Ok(())
}

/// Numbers without a pattern that a wrong slot or order could keep.
fn input() -> [f32; THREADS] {
    std::array::from_fn(|i| ((i * 37 + 11) % 101) as f32)
}

fn dispatch(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    language: Language,
    text: &str,
) -> Result<Vec<f32>, ExecuteError> {
    let layout = layout(device, "smoke", &BINDINGS, true);
    let module = source::passthrough(device, "smoke", text, language, THREADS as u32)?;
    let pipeline = pipeline(device, language.entry("smoke"), &layout, &module, false);
    let buffer = |size: usize, usage| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("smoke"),
            size: size as u64,
            usage: usage | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    };
    let (x_bytes, y_bytes) = (THREADS * 4, (THREADS + 1) * 4);
    let storage = wgpu::BufferUsages::STORAGE;
    let (x, y) = (buffer(x_bytes, storage), buffer(y_bytes, storage | wgpu::BufferUsages::COPY_SRC));
    let (lengths, staging) = (buffer(8, storage), buffer(y_bytes, wgpu::BufferUsages::MAP_READ));
    queue.write_buffer(&x, 0, bytemuck::cast_slice(&input()));
    queue.write_buffer(&y, 0, &vec![0xFF; y_bytes]);
    queue.write_buffer(&lengths, 0, bytemuck::cast_slice(&[x_bytes as u32, y_bytes as u32]));
    let entries = [&x, &y, &lengths].map(wgpu::Buffer::as_entire_binding);
    let entries: Vec<wgpu::BindGroupEntry<'_>> =
        (0..).zip(entries).map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource }).collect();
    let bindings = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("smoke"),
        layout: &layout,
        entries: &entries,
    });
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &bindings, &[]);
        pass.dispatch_workgroups(1, 1, 1);
    }
    encoder.copy_buffer_to_buffer(&y, 0, &staging, 0, y_bytes as u64);
    queue.submit([encoder.finish()]);
    staging.slice(..).map_async(wgpu::MapMode::Read, |_| {});
    let failed = |error: String| ExecuteError::Device(error);
    device.poll(wgpu::PollType::wait_indefinitely()).map_err(|error| failed(error.to_string()))?;
    let view = staging.slice(..).get_mapped_range().map_err(|error| failed(error.to_string()))?;
    Ok(bytemuck::pod_collect_to_vec(&view))
}

#[cfg(test)]
#[cfg(not(target_os = "macos"))]
mod tests {
    use super::super::adapter::open;
    use super::super::{GpuOptions, probe};
    use super::*;

    fn smoke(change: impl FnOnce(String) -> String) -> Result<(), String> {
        let opened = open(&GpuOptions::default()).unwrap();
        let subgroup = probe::subgroup_size(&opened.device, &opened.queue).unwrap();
        run(&opened.device, &opened.queue, Language::Spirv, &change(text(Language::Spirv)), subgroup)
    }

    #[test]
    fn the_smoke_kernel_runs_as_it_is() {
        smoke(|text| text).unwrap();
    }

    #[test]
    fn what_the_smoke_kernel_finds_wrong_is_named() {
        let error = smoke(|text| text.replace("turned[63u - thread]", "turned[thread]")).unwrap_err();
        assert!(error.starts_with("y[0]: expected "), "{error}");
        let error = smoke(|text| text.replace("arrayLength(&x)", "0u")).unwrap_err();
        assert!(error.starts_with("y[0]: expected "), "{error}");
        let error = smoke(|text| text.replace("subgroupAdd(1.0)", "2.0")).unwrap_err();
        assert!(error.starts_with("lanes of a subgroup in y[64]: expected "), "{error}");
        let error = smoke(|text| text.replace("let lanes", "lanes")).unwrap_err();
        assert!(error.contains("kernel smoke"), "{error}");
    }
}
