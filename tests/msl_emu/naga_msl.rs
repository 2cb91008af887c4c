//! The Metal source that naga writes for an op's WGSL, as wgpu would have it written.

use super::executor::MslSource;
use ffai::graph::{Access, Op};
use naga::back::msl;
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ValidationFlags, Validator};

/// Unchecked, as the engine compiles trusted kernels; the lengths of runtime-sized arrays in the slot behind the last binding.
pub(crate) fn source(op: &Op) -> Result<MslSource, String> {
    let wgsl = ffai::gpu::wgsl(op);
    let module = naga::front::wgsl::parse_str(&wgsl).map_err(|error| error.emit_to_string(&wgsl))?;
    let info = Validator::new(ValidationFlags::all(), Capabilities::all())
        .validate(&module)
        .map_err(|error| error.emit_to_string(&wgsl))?;
    let mut resources = msl::EntryPointResources::default();
    for (slot, binding) in (0..).zip(op.kernel.bindings) {
        let mutable = binding.access != Access::Weight;
        let target = msl::BindTarget { buffer: Some(slot), mutable, ..Default::default() };
        resources.resources.insert(naga::ResourceBinding { group: 0, binding: u32::from(slot) }, target);
    }
    resources.sizes_buffer = Some(op.kernel.bindings.len() as u8);
    let policy = BoundsCheckPolicy::Unchecked;
    let options = msl::Options {
        lang_version: (3, 1),
        per_entry_point_map: [("main".to_owned(), resources)].into(),
        bounds_check_policies: BoundsCheckPolicies { index: policy, buffer: policy, ..Default::default() },
        zero_initialize_workgroup_memory: false,
        force_loop_bounding: false,
        ..Default::default()
    };
    let stage = Some((naga::ShaderStage::Compute, "main".to_owned()));
    let pipeline = msl::PipelineOptions { entry_point: stage, ..Default::default() };
    let (text, written) =
        msl::write_string(&module, &info, &options, &pipeline).map_err(|error| format!("naga: {error}"))?;
    let entry = written.entry_point_names.into_iter().next().ok_or("naga wrote no entry point")?;
    let threads = module.entry_points.first().ok_or("no entry point")?.workgroup_size;
    let entry = entry.map_err(|error| format!("naga: {error}"))?;
    Ok(MslSource { text, entry, threads, lengths: endless(&module) })
}

/// Slots of arrays without a fixed length, in the order in which naga asks for their lengths.
fn endless(module: &naga::Module) -> Vec<usize> {
    let without_end = |kind: naga::Handle<naga::Type>| match &module.types[kind].inner {
        naga::TypeInner::Array { size, .. } => *size == naga::ArraySize::Dynamic,
        naga::TypeInner::Struct { members, .. } => members.last().is_some_and(|member| {
            matches!(module.types[member.ty].inner, naga::TypeInner::Array { size: naga::ArraySize::Dynamic, .. })
        }),
        _ => false,
    };
    let variables = module.global_variables.iter().map(|(_, variable)| variable);
    variables.filter(|v| without_end(v.ty)).filter_map(|v| Some(v.binding.as_ref()?.binding as usize)).collect()
}
