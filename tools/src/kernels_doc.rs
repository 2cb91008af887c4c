//! `tools kernels-doc`: the page of kernels and weight formats, from their declarations.

use ffai::graph::{Access, Format, Kernel};
use ffai::kernels::{CATALOGUE, sources, ways};
use ffai::weights::format::FORMATS;
use std::fmt::Write as _;

const INTRODUCTION: &str = "\
# Kernels

Made by `cargo run -p tools -- kernels-doc > docs/kernels.md` from the declarations in `src/kernels/` and
`src/weights/format/`; do not edit. What each word of a declaration means, and how to add one, stands in
[adding-a-kernel.md](adding-a-kernel.md) and [adding-a-format.md](adding-a-format.md).

Bindings are in the order of their slots: `weight` is only read and never an activation, `in` is read, `out` is written
without being read, `in-out` is changed in place. Tolerances are the largest error against the CPU twin: NMSE is
Σ(got − want)² / Σ want², and the worst element is relative to the root mean square of the result. Metal: whether there is a
hand-written source in `msl/`, with its own NMSE where that differs; it runs with the formats that have Metal pieces, and where
it takes the op.

";

const VARIANTS: &str = "
## Variants

What can be chosen by `FFAI_KERNEL_<NAME>` and is timed apart ([kernel-variants.md](kernel-variants.md)): the algorithms of what several
kernels compute, each with its kernel, and what these can be compiled from. Kernels with neither run from WGSL alone.

| computes | algorithms | sources |
|---|---|---|
";

/// The whole page.
pub(crate) fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    // Writing into a String cannot fail.
    let _ = write!(
        page,
        "| kernel | what it does | bindings | NMSE | worst element | Metal |\n|---|---|---|--:|--:|---|\n"
    );
    for kernel in CATALOGUE {
        page.push_str(&kernel_row(kernel));
    }
    page.push_str(VARIANTS);
    for kernel in CATALOGUE.iter().filter(|kernel| kernel.name == kernel.op()) {
        page.push_str(&variant_row(kernel));
    }
    let _ = write!(
        page,
        "\n## Weight formats\n\n\
         A block is {} weights. On the device a matrix is a plane of quants and, for formats that have one, a plane of\n\
         scales; together they take as many bytes as the blocks of the file.\n\n\
         | format | bytes in the file per blocks | on the device, per block: quants + scales | bits per weight | Metal |\n|---|--:|--:|--:|---|\n",
        Format::BLOCK
    );
    for format in FORMATS.iter() {
        page.push_str(&format_row(format));
    }
    page
}

fn kernel_row(kernel: &Kernel) -> String {
    let access = |access| match access {
        Access::Weight => "weight",
        Access::Input => "in",
        Access::Output => "out",
        Access::Update => "in-out",
    };
    let bindings: Vec<String> =
        kernel.bindings.iter().map(|binding| format!("`{}` {}", binding.name, access(binding.access))).collect();
    let about = kernel.about.replace('|', "\\|");
    let number = |value: f64| if value == 0.0 { "0".to_owned() } else { format!("{value:e}") };
    let (nmse, worst) = (number(kernel.tolerance.nmse), number(kernel.tolerance.worst));
    let metal = match &kernel.metal {
        None => String::new(),
        Some(metal) if metal.tolerance.nmse == kernel.tolerance.nmse => "yes".to_owned(),
        Some(metal) => format!("yes, {}", number(metal.tolerance.nmse)),
    };
    format!("| `{}` | {about} | {} | {nmse} | {worst} | {metal} |\n", kernel.name, bindings.join(", "))
}

/// Nothing of a kernel without variants.
fn variant_row(kernel: &Kernel) -> String {
    let ways: Vec<&Kernel> = ways(kernel.op()).collect();
    if ways.len() == 1 && sources(kernel).len() == 1 {
        return String::new();
    }
    let algorithms = ways.iter().filter_map(|way| Some(format!("`{}` ({})", way.algorithm?.name, way.name)));
    let compiled = ways.iter().map(|way| {
        let of = way.algorithm.map_or(String::new(), |algorithm| format!(" of {}", algorithm.name));
        let names: Vec<String> = sources(way).iter().map(|source| format!("`{source}`")).collect();
        names.join(", ") + &of
    });
    let [algorithms, compiled] = [algorithms.collect::<Vec<_>>(), compiled.collect()].map(|parts| parts.join("; "));
    format!("| {} | {algorithms} | {compiled} |\n", kernel.op())
}

fn format_row(format: &Format) -> String {
    let file: usize = format.unit.bytes.iter().sum();
    let scales = format.scales.bytes as f64 / format.scales.blocks as f64;
    let bits = (format.quant_bytes as f64 + scales) * 8.0 / Format::BLOCK as f64;
    let (blocks, quants) = (format.unit.blocks, format.quant_bytes);
    let metal = if format.metal.is_empty() { "" } else { "yes" };
    format!("| `{}` | {file} per {blocks} | {quants} + {scales} | {bits} | {metal} |\n", format.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_and_format_has_a_row() {
        let page = page();
        for name in CATALOGUE.iter().map(|kernel| kernel.name).chain(FORMATS.iter().map(|format| format.name)) {
            assert_eq!(page.matches(&format!("\n| `{name}` |")).count(), 1, "{name}");
        }
    }
}
