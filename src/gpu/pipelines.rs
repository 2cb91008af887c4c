//! Compiles each kernel once per set of constants, from the source that was chosen for it.

use super::SourceHook;
use super::source::{self, Language};
use crate::graph::{Access, Binding, Choices, ExecuteError, Kernel, Op, VariantError, Why};
use std::collections::HashMap;

pub(super) struct Pipelines {
    checked: bool,
    preferred: Language,
    /// Who prefers it.
    why: Why,
    hook: Option<SourceHook>,
    layouts: HashMap<(&'static str, bool), wgpu::BindGroupLayout>,
    compiled: HashMap<Key, Pipeline>,
}

/// A kernel ready to run.
#[derive(Clone)]
pub(super) struct Pipeline {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
    /// Whether the slot behind the last binding wants the lengths of all others.
    pub(super) lengths: bool,
}

/// A pipeline is its kernel's text with the constants and the format in front.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    kernel: &'static str,
    format: Option<&'static str>,
    language: Language,
    prelude: String,
}

impl Pipelines {
    pub(super) fn new(checked: bool, preferred: Language, why: Why) -> Self {
        Self { checked, preferred, why, hook: None, layouts: HashMap::new(), compiled: HashMap::new() }
    }

    pub(super) fn set_hook(&mut self, hook: SourceHook) {
        self.hook = Some(hook);
    }

    /// What an op's pipeline is compiled from, and who chose that.
    ///
    /// # Errors
    /// A source was asked for of this very kernel, and does not take the op.
    pub(super) fn language(&self, op: &Op, choices: &Choices, device: &str) -> Result<(Language, Why), VariantError> {
        let overridden = source::overriding(op).is_some();
        let usual = match self.preferred {
            Language::Msl if !overridden => (Language::Wgsl, Why::Default),
            language => (language, self.why),
        };
        let chosen = choices.source(op.kernel, op.format.map(|format| format.name));
        Ok(match chosen.map(|(name, why)| (name == Language::Msl.name(), why)) {
            Some((true, Why::Forced)) if !overridden => {
                let format = op.format.map_or(String::new(), |format| format!(" with {}", format.name));
                let expected = format!("wgsl of {}{format}", op.label());
                return Err(VariantError::on(device, op.kernel.op(), &expected, Language::Msl.name()));
            }
            Some((true, Why::Forced)) => (Language::Msl, Why::Forced),
            Some((false, Why::Forced)) => (Language::Wgsl, Why::Forced),
            Some((false, why)) if usual.0 == Language::Msl => (Language::Wgsl, why),
            Some((true, why)) if usual.0 == Language::Msl => (Language::Msl, why),
            _ => usual,
        })
    }

    pub(super) fn get(&mut self, device: &wgpu::Device, op: &Op, language: Language) -> Result<Pipeline, ExecuteError> {
        let kernel = op.kernel;
        let format = op.format.map(|format| format.name);
        let key = Key { kernel: kernel.name, format, language, prelude: op.constants.wgsl() };
        if let Some(pipeline) = self.compiled.get(&key) {
            return Ok(pipeline.clone());
        }
        let lengths = language != Language::Wgsl;
        let layout = self
            .layouts
            .entry((kernel.name, lengths))
            .or_insert_with(|| layout(device, kernel.name, kernel.bindings, lengths))
            .clone();
        let mut text = source::text(op, language);
        if let Some(hook) = &self.hook {
            text = hook(kernel.name, text);
        }
        tracing::debug!(target: "ffai::kernels", "{} for {}: {} compiled", kernel.name, format.unwrap_or("f32"), language.name());
        let module = match language {
            Language::Wgsl => module(device, kernel, &text, self.checked),
            _ => source::passthrough(device, kernel.name, &text, language, source::threads(op))?,
        };
        let entry = language.entry(kernel.name);
        let pipeline = Pipeline { pipeline: pipeline(device, entry, &layout, &module, self.checked), layout, lengths };
        self.compiled.insert(key, pipeline.clone());
        Ok(pipeline)
    }
}

/// One slot per binding, and one more for their lengths where the shader is handed over as it is: wgpu tells these to its own shaders only.
pub(super) fn layout(device: &wgpu::Device, name: &str, bindings: &[Binding], lengths: bool) -> wgpu::BindGroupLayout {
    let read_only = bindings.iter().map(|binding| binding.access == Access::Weight).chain(lengths.then_some(true));
    let entries: Vec<wgpu::BindGroupLayoutEntry> = read_only
        .enumerate()
        .map(|(slot, read_only)| wgpu::BindGroupLayoutEntry {
            binding: slot as u32,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Storage { read_only },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        })
        .collect();
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(name), entries: &entries })
}

fn module(device: &wgpu::Device, kernel: &Kernel, text: &str, checked: bool) -> wgpu::ShaderModule {
    let descriptor =
        wgpu::ShaderModuleDescriptor { label: Some(kernel.name), source: wgpu::ShaderSource::Wgsl(text.into()) };
    if checked {
        device.create_shader_module(descriptor)
    } else {
        // SAFETY: every kernel's cases run with checks on in the parity tests, so its accesses stay inside its bindings and its
        // loops end.
        unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
    }
}

pub(super) fn pipeline(
    device: &wgpu::Device,
    entry: &str,
    layout: &wgpu::BindGroupLayout,
    module: &wgpu::ShaderModule,
    checked: bool,
) -> wgpu::ComputePipeline {
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(entry),
        bind_group_layouts: &[Some(layout)],
        immediate_size: 0,
    });
    device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(entry),
        layout: Some(&pipeline_layout),
        module,
        entry_point: Some(entry),
        compilation_options: wgpu::PipelineCompilationOptions {
            zero_initialize_workgroup_memory: checked,
            ..wgpu::PipelineCompilationOptions::default()
        },
        cache: None,
    })
}
