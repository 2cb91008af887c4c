//! Compiles each kernel once per set of constants.

use super::SourceHook;
use crate::graph::{Access, Kernel, Op};
use std::collections::HashMap;

pub(super) struct Pipelines {
    checked: bool,
    hook: Option<SourceHook>,
    layouts: HashMap<&'static str, wgpu::BindGroupLayout>,
    compiled: HashMap<Key, wgpu::ComputePipeline>,
}

/// A pipeline is its kernel's text with the constants and the format in front.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    kernel: &'static str,
    format: Option<&'static str>,
    prelude: String,
}

/// The WGSL that an op's pipeline is compiled from: constants, what the weight format defines, then the kernel.
pub fn source(op: &Op) -> String {
    let mut text = op.constants.wgsl();
    if let Some(format) = op.format {
        text.push_str(include_str!("../../wgsl/lib/block.wgsl"));
        text.extend(format.wgsl.iter().copied());
    }
    for piece in op.kernel.wgsl {
        text.push_str(piece);
    }
    text
}

impl Pipelines {
    pub(super) fn new(checked: bool) -> Self {
        Self { checked, hook: None, layouts: HashMap::new(), compiled: HashMap::new() }
    }

    pub(super) fn set_hook(&mut self, hook: SourceHook) {
        self.hook = Some(hook);
    }

    pub(super) fn get(&mut self, device: &wgpu::Device, op: &Op) -> (&wgpu::ComputePipeline, &wgpu::BindGroupLayout) {
        let kernel = op.kernel;
        let layout = self.layouts.entry(kernel.name).or_insert_with(|| layout(device, kernel));
        let key =
            Key { kernel: kernel.name, format: op.format.map(|format| format.name), prelude: op.constants.wgsl() };
        let pipeline = self.compiled.entry(key).or_insert_with(|| {
            let mut text = source(op);
            if let Some(hook) = &self.hook {
                text = hook(kernel.name, text);
            }
            compile(device, kernel, layout, &text, self.checked)
        });
        (pipeline, layout)
    }
}

fn layout(device: &wgpu::Device, kernel: &Kernel) -> wgpu::BindGroupLayout {
    let entries: Vec<wgpu::BindGroupLayoutEntry> = kernel
        .bindings
        .iter()
        .enumerate()
        .map(|(slot, binding)| wgpu::BindGroupLayoutEntry {
            binding: slot as u32,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Storage { read_only: binding.access == Access::Weight },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        })
        .collect();
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(kernel.name), entries: &entries })
}

fn compile(
    device: &wgpu::Device,
    kernel: &Kernel,
    layout: &wgpu::BindGroupLayout,
    text: &str,
    checked: bool,
) -> wgpu::ComputePipeline {
    let descriptor =
        wgpu::ShaderModuleDescriptor { label: Some(kernel.name), source: wgpu::ShaderSource::Wgsl(text.into()) };
    let module = if checked {
        device.create_shader_module(descriptor)
    } else {
        // SAFETY: every kernel's cases run with checks on in the parity tests, so its accesses stay inside its bindings and its
        // loops end.
        unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
    };
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(kernel.name),
        bind_group_layouts: &[Some(layout)],
        immediate_size: 0,
    });
    device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(kernel.name),
        layout: Some(&pipeline_layout),
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions {
            zero_initialize_workgroup_memory: checked,
            ..wgpu::PipelineCompilationOptions::default()
        },
        cache: None,
    })
}
