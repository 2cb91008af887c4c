//! The text that a kernel is compiled from: WGSL, or a source that the driver gets as it is.

use crate::graph::{ExecuteError, Metal, Op, Value};

/// What a pipeline is compiled from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    /// WGSL, through wgpu's own compiler.
    Wgsl,
    /// An override for Metal, as it is.
    Msl,
    /// What naga makes of the WGSL, handed over as an override is.
    Spirv,
}

impl Language {
    /// As `--kernels` spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wgsl => "wgsl",
            Self::Msl => "msl",
            Self::Spirv => "spirv",
        }
    }

    /// What the entry point of `kernel` is called. Metal keeps `main` for itself.
    pub(super) const fn entry(self, kernel: &'static str) -> &'static str {
        match self {
            Self::Msl => kernel,
            Self::Wgsl | Self::Spirv => "main",
        }
    }
}

/// The WGSL of an op: constants, what the weight format defines, then the kernel.
pub fn wgsl(op: &Op) -> String {
    let mut text = op.constants.wgsl();
    if let Some(format) = op.format {
        text.push_str(include_str!("../../wgsl/lib/block.wgsl"));
        text.extend(format.wgsl.iter().copied());
    }
    text.extend(op.kernel.wgsl.iter().copied());
    text
}

/// The override of an op for Metal, in the same order; `None` where there is none or it does not take the op. Its entry point has the
/// kernel's name, and the slot behind the last binding holds the length of each binding in bytes, as u32.
pub fn metal(op: &Op) -> Option<String> {
    let metal = overriding(op)?;
    let mut text = String::from(include_str!("../../msl/lib/begin.metal"));
    text.push_str(&op.constants.metal());
    if let Some(format) = op.format {
        text.push_str(include_str!("../../msl/lib/block.metal"));
        text.extend(format.metal.iter().copied());
    }
    text.extend(metal.pieces.iter().copied());
    Some(text)
}

/// The override that takes the op.
pub(super) fn overriding(op: &Op) -> Option<&'static Metal> {
    let metal = op.kernel.metal.as_ref()?;
    let reads = op.format.is_none_or(|format| !format.metal.is_empty());
    (reads && (metal.takes)(op)).then_some(metal)
}

pub(super) fn text(op: &Op, language: Language) -> String {
    match language {
        Language::Wgsl | Language::Spirv => wgsl(op),
        Language::Msl => metal(op).unwrap_or_else(|| panic!("{} has no override", op.kernel.name)),
    }
}

/// Threads of a workgroup. Kernels with an override take them from a constant, because Metal has to be told.
pub(super) fn threads(op: &Op) -> u32 {
    match op.constants.find("WORKGROUP") {
        Some(Value::U32(threads)) => threads,
        _ => 1,
    }
}

/// A module whose text the driver gets as it is. `threads` is the size of a workgroup, which Metal has to be told; SPIR-V says it itself.
pub(super) fn passthrough(
    device: &wgpu::Device,
    name: &'static str,
    text: &str,
    language: Language,
    threads: u32,
) -> Result<wgpu::ShaderModule, ExecuteError> {
    let entry = language.entry(name);
    let (msl, spirv) = match language {
        Language::Spirv => (None, Some(spirv(name, text)?.into())),
        _ => (Some(text.into()), None),
    };
    let descriptor = wgpu::ShaderModuleDescriptorPassthrough {
        label: Some(name),
        entry_points: vec![wgpu::PassthroughShaderEntryPoint { name: entry.into(), workgroup_size: (threads, 1, 1) }]
            .into(),
        msl,
        spirv,
        ..Default::default()
    };
    // SAFETY: overrides run the cases of their kernels in the emulator, which watches every access, and on the device in the parity
    // tests; SPIR-V comes from naga.
    Ok(unsafe { device.create_shader_module_passthrough(descriptor) })
}

fn spirv(name: &str, text: &str) -> Result<Vec<u32>, ExecuteError> {
    use naga::back::spv;
    use naga::valid::{Capabilities, ValidationFlags, Validator};

    let failed = |error: String| ExecuteError::Device(format!("kernel {name}: {error}"));
    let module = naga::front::wgsl::parse_str(text).map_err(|error| failed(error.emit_to_string(text)))?;
    let info = Validator::new(ValidationFlags::all(), Capabilities::all())
        .validate(&module)
        .map_err(|error| failed(error.emit_to_string(text)))?;
    let options = spv::Options {
        lang_version: (1, 3),
        // As for kernels that are trusted: none reads shared memory before it is written.
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        ..Default::default()
    };
    spv::write_vec(&module, &info, &options, None).map_err(|error| failed(error.to_string()))
}
