//! What can be said of shaders without running them: naga reads each, agrees with its declaration, and writes it for Metal and
//! Vulkan with the slots that wgpu would use.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

use ffai::graph::{Access, Cases, Choices, Op, Target, Value};
use ffai::kernels::CATALOGUE;
use ffai::weights::format::FORMATS;
use naga::back::{msl, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, StorageAccess};
use std::collections::BTreeSet;

/// A device as Metal describes it: what the software driver cannot show is at least compiled for.
fn apple() -> Target {
    Target {
        subgroup: 32,
        max_binding_bytes: 1 << 32,
        max_workgroups: 65_535,
        f16: true,
        software: false,
        choices: Choices::default(),
    }
}

/// Every distinct source of every kernel's cases, with the op it belongs to.
fn for_each_source(mut check: impl FnMut(&Op, &str)) {
    let mut seen = BTreeSet::new();
    for kernel in CATALOGUE {
        let mut cases = Cases::new(&apple(), &FORMATS, 1, true);
        (kernel.cases)(&mut cases);
        for case in &cases.cases {
            for op in case.plan.ops.iter().filter(|op| op.kernel.name == kernel.name) {
                let source = ffai::gpu::wgsl(op);
                // Shapes differ only in numbers; one source per kernel, format and set of switches is enough.
                let switches: Vec<String> =
                    source.lines().filter(|l| l.contains(": bool") || l.contains("alias")).map(str::to_owned).collect();
                if seen.insert((kernel.name, op.format.map(|f| f.name), switches)) {
                    check(op, &source);
                }
            }
        }
    }
    assert!(seen.len() > CATALOGUE.len());
}

fn validated(source: &str) -> (Module, ModuleInfo) {
    let module =
        naga::front::wgsl::parse_str(source).unwrap_or_else(|error| panic!("{}", error.emit_to_string(source)));
    let info = Validator::new(ValidationFlags::all(), Capabilities::all())
        .validate(&module)
        .unwrap_or_else(|error| panic!("{}", error.emit_to_string(source)));
    (module, info)
}

/// Name, slot and writability of each storage binding.
fn reflected(module: &Module) -> Vec<(u32, String, bool)> {
    let mut found: Vec<_> = module
        .global_variables
        .iter()
        .filter_map(|(_, variable)| {
            let AddressSpace::Storage { access } = variable.space else { return None };
            let binding = variable.binding.expect("a storage variable has a slot");
            assert_eq!(binding.group, 0);
            Some((binding.binding, variable.name.clone().unwrap(), access.contains(StorageAccess::STORE)))
        })
        .collect();
    found.sort();
    found
}

#[test]
fn bindings_agree_with_their_declaration() {
    for_each_source(|op, source| {
        let (module, _) = validated(source);
        let declared: Vec<_> = (0..)
            .zip(op.kernel.bindings)
            .map(|(slot, binding)| (slot, binding.name.to_owned(), binding.access != Access::Weight))
            .collect();
        assert_eq!(reflected(&module), declared, "{}", op.kernel.name);
    });
}

/// Every constant that an op function passes is used by its shader: one that is not is a parameter no test can feel.
#[test]
fn every_constant_is_used() {
    for_each_source(|op, source| {
        for (name, _) in op.constants.iter() {
            let uses = source.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| *word == name).count();
            assert!(uses > 1, "{}: constant {name} is declared and never used", op.kernel.name);
        }
    });
}

#[test]
fn every_kernel_becomes_metal_source_with_wgpus_slots() {
    for_each_source(|op, source| {
        let (module, info) = validated(source);
        let mut resources = msl::EntryPointResources::default();
        for (slot, name, mutable) in reflected(&module) {
            let target = msl::BindTarget { buffer: Some(slot as u8), mutable, ..Default::default() };
            resources.resources.insert(naga::ResourceBinding { group: 0, binding: slot }, target);
            assert_eq!(op.kernel.bindings[slot as usize].name, name);
        }
        // wgpu reserves the slot behind the last binding for the lengths of runtime-sized arrays.
        resources.sizes_buffer = Some(op.kernel.bindings.len() as u8);
        for policy in [BoundsCheckPolicy::Restrict, BoundsCheckPolicy::Unchecked] {
            let checked = policy == BoundsCheckPolicy::Restrict;
            let options = msl::Options {
                lang_version: (3, 1),
                per_entry_point_map: [("main".to_owned(), resources.clone())].into(),
                bounds_check_policies: BoundsCheckPolicies { index: policy, buffer: policy, ..Default::default() },
                zero_initialize_workgroup_memory: checked,
                force_loop_bounding: checked,
                ..Default::default()
            };
            let entry = msl::PipelineOptions {
                entry_point: Some((naga::ShaderStage::Compute, "main".to_owned())),
                ..Default::default()
            };
            let (text, _) = msl::write_string(&module, &info, &options, &entry)
                .unwrap_or_else(|error| panic!("{}: {error}", op.kernel.name));
            let signature = text.split("kernel void").nth(1).unwrap().split('{').next().unwrap();
            for (slot, binding) in op.kernel.bindings.iter().enumerate() {
                let at = format!("[[buffer({slot})]]");
                let argument = signature.split(',').find(|argument| argument.contains(&at));
                // An argument that no switch of this source uses is left out.
                if let Some(argument) = argument {
                    let name = argument.split("[[").next().unwrap().trim().rsplit([' ', '&']).next().unwrap();
                    // naga numbers names that meet each other.
                    let plain = name.trim_end_matches(|c: char| c == '_' || c.is_ascii_digit());
                    assert_eq!(plain, binding.name, "{}: slot {slot}", op.kernel.name);
                }
            }
        }
    });
}

#[test]
fn every_kernel_becomes_spirv() {
    for_each_source(|op, source| {
        let (module, info) = validated(source);
        let options = spv::Options { lang_version: (1, 3), ..Default::default() };
        let words = spv::write_vec(&module, &info, &options, None)
            .unwrap_or_else(|error| panic!("{}: {error}", op.kernel.name));
        assert_eq!(words[0], 0x0723_0203);
    });
}

/// Parameters of an override's entry point: name and what it is bound to.
fn parameters(op: &Op, text: &str) -> Vec<(String, String)> {
    let start = format!("kernel void {}(", op.kernel.name);
    let signature = text.split(&start).nth(1).unwrap_or_else(|| panic!("no `{start}`"));
    let signature = signature.split("\n{").next().unwrap();
    let words = signature.split("]]").filter_map(|parameter| parameter.rsplit_once("[["));
    words
        .map(|(declared, bound)| {
            let name = declared.trim().rsplit([' ', '*', '&']).next().unwrap();
            (name.to_owned(), bound.trim().to_owned())
        })
        .collect()
}

/// An override stands where its twin stands: same slots, same constants, same workgroup.
#[test]
fn overrides_have_the_bindings_constants_and_workgroups_of_their_twins() {
    let mut seen = BTreeSet::new();
    for_each_source(|op, source| {
        let Some(text) = ffai::gpu::metal(op) else { return };
        let name = op.kernel.name;
        seen.insert(name);
        let slots: Vec<(String, String)> =
            parameters(op, &text).into_iter().filter(|(_, bound)| bound.starts_with("buffer(")).collect();
        let declared = op.kernel.bindings.iter().map(|binding| binding.name).chain(["lengths"]);
        for (slot, ((found, bound), declared)) in slots.iter().zip(declared).enumerate() {
            assert_eq!((found.as_str(), bound.as_str()), (declared, format!("buffer({slot})").as_str()), "{name}");
        }
        assert!(slots.len() >= op.kernel.bindings.len(), "{name}: {slots:?}");
        for (slot, binding) in op.kernel.bindings.iter().enumerate() {
            let pointer = format!("{} [[buffer({slot})]]", binding.name);
            let line = text.lines().find(|line| line.contains(&pointer)).unwrap_or_else(|| panic!("{name}: {pointer}"));
            let constant = line.trim_start().starts_with("device const ");
            assert_eq!(constant, !binding.access.writes(), "{name}: whether `{}` is written", binding.name);
        }
        for (constant, _) in op.constants.iter() {
            let uses = |text: &str| {
                text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| *word == constant).count()
            };
            assert!(uses(&text) > 1, "{name}: the override does not use {constant}");
        }
        let (module, _) = validated(source);
        let threads = op.constants.find("WORKGROUP");
        assert_eq!(threads, Some(Value::U32(module.entry_points[0].workgroup_size[0])), "{name}: threads");
        assert!(text.contains("[[max_total_threads_per_threadgroup(WORKGROUP)]]\nkernel void"), "{name}");
    });
    let with: BTreeSet<&str> = CATALOGUE.iter().filter(|kernel| kernel.metal.is_some()).map(|k| k.name).collect();
    assert_eq!(seen, with, "an override that takes no case");
}
