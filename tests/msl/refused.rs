//! What Metal's compiler refuses, or wgpu cannot bind, is refused here, and for that reason.

use crate::msl_emu::{available, check};
use rayon::prelude::*;
use std::fs;
use std::path::Path;

/// Every file of `bad/`, with a piece of what is said of it; those that begin with `ok_` are sound.
const REASONS: &[(&str, &str)] = &[
    ("as_type_size", "as_type: the types differ in size"),
    ("bad_attr", "attribute `thread_pos_in_grid`: unknown"),
    ("buffer_number", "buffers have numbers 0 to 30"),
    ("cast_drop_as", "converts between mismatching address spaces"),
    ("cast_wrong_as", "converts between mismatching address spaces"),
    ("const_write", "read-only variable is not assignable"),
    ("cstyle_vec", "a C-style cast to a vector: write int4(…)"),
    ("dev_to_constant", "no matching function for call to 'f'"),
    ("double_use", "Metal has no double"),
    ("dup_index", "`buffer(0)` is used twice"),
    ("exp_of_int", "no matching function for call to 'exp'"),
    ("fnptr", "pointers to functions are not allowed"),
    ("function_constant", "wgpu cannot set function constants"),
    ("goto", "Metal has no goto"),
    ("host_name", "instantiated templates are not supported"),
    ("if_constexpr", "`if constexpr` is C++17"),
    ("include_file", "#include of `common.h`"),
    ("lambda", "Metal 3 has no lambdas"),
    ("local_pointer", "no address space at the pointer or reference `p`"),
    ("matrix_from_constant", "no matching function for call to 'simdgroup_load'"),
    ("matrix_of_int", "simdgroup matrices hold float, half or bfloat"),
    ("memory_order", "undeclared identifier 'memory_order_seq_cst'"),
    ("minmix", "no matching function for call to 'min'"),
    ("mixed_pointers", "cannot initialize a variable of type"),
    ("no_attr", "`uint i` has no attribute"),
    ("pointer_cast", "a cast to a pointer without address space"),
    ("progscope_mut", "a variable at program scope must be `constant`"),
    ("recursion", "`f` calls itself"),
    ("simd_sum_of_64_bits", "no matching function for call to 'simd_sum'"),
    ("simd_sum_of_struct", "no matching function for call to 'simd_sum'"),
    ("static_local", "a static variable in a function"),
    ("struct_this", "cannot initialize object parameter"),
    ("swizzle", "vector component access exceeds type"),
    ("tg_from_dev", "cannot initialize a variable of type"),
    ("tg_in_helper", "non-kernel function variable cannot be declared in local address space"),
    ("threadgroup_argument", "wgpu binds no threadgroup memory to arguments"),
    ("threadgroup_atomic_float", "no matching function for call to 'atomic_fetch_add_explicit'"),
    ("threadgroup_initial_value", "a threadgroup variable has no initial value"),
    ("typo_fn", "undeclared identifier 'simd_sumx'"),
    ("uninitialized", "variable 'sum' is uninitialized"),
    ("unq_kernel_ptr", "no address space at the pointer or reference"),
    ("unq_param", "no address space at the pointer or reference"),
    ("vec_count", "vector constructor: wrong number of components"),
    ("vec_implicit", "cannot initialize a variable of type"),
    ("vla", "array size is not a constant expression"),
];

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/msl_emu/bad"))
}

#[test]
fn every_bad_source_is_refused_for_its_reason() {
    if !available() {
        return;
    }
    let mut files: Vec<_> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let names: Vec<String> = files.iter().map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    let listed: Vec<&str> = REASONS.iter().map(|(name, _)| *name).collect();
    let bad: Vec<&String> = names.iter().filter(|name| !name.starts_with("ok_")).collect();
    assert_eq!(bad, listed, "files of bad/, and REASONS");
    let wrong: Vec<String> = names
        .par_iter()
        .filter_map(|name| {
            let text = fs::read_to_string(folder().join(format!("{name}.metal"))).unwrap();
            let verdict = check(&format!("{name}.metal"), &text);
            match (REASONS.iter().find(|(known, _)| known == name), verdict) {
                (None, Ok(())) => None,
                (None, Err(error)) => Some(format!("{name} is sound, but: {error}")),
                (Some((_, reason)), Err(error)) if error.contains(reason) => None,
                (Some((_, reason)), verdict) => Some(format!("{name}: wanted `{reason}`, got {verdict:?}")),
            }
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_emulators_own_kernels_pass_the_check() {
    if !available() {
        return;
    }
    for entry in fs::read_dir(folder().join("../kernels")).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_name().unwrap().to_str().unwrap();
        check(name, &fs::read_to_string(&file).unwrap()).unwrap();
    }
}
