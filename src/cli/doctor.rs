//! `ffai doctor`: examines the GPU in front of it.

use super::device::{self, DeviceChoice};
use super::ending::Ending;
use super::engine_arguments::KernelSources;
use super::fetching::printable;
use super::output::Output;
use super::table::{Side, table};
use clap::Args;
use ffai::doctor::{self, Options, Parity, Report, Timing};
use ffai::gpu::AdapterChoice;
use ffai::graph::Ceiling;
use indicatif::ProgressBar;
use std::time::Duration;

/// What to examine.
#[derive(Args, Debug)]
#[command(after_help = NOTES)]
pub(crate) struct DoctorArguments {
    /// Choose an adapter by its number or a part of its name; `list` shows them
    #[arg(long, value_name = "list|INDEX|NAME", value_parser = DeviceChoice::parse)]
    device: Option<DeviceChoice>,
    /// What kernels are compiled from: `auto` examines WGSL and, where they run, the Metal sources
    #[arg(long, value_enum, value_name = "NAME", default_value = "auto", env = "FFAI_KERNELS")]
    kernels: KernelSources,
    /// Time the variants of kernels against each other and keep what wins for this device
    #[arg(long)]
    tune: bool,
    /// Run every case of every kernel, also on a software driver
    #[arg(long)]
    thorough: bool,
    /// Print one JSON object instead of tables, to attach to a report
    #[arg(long)]
    json: bool,
}

const NOTES: &str = "Needs no model. Exit status: 0 every kernel is right, 1 one is wrong or the device failed.";

pub(crate) fn run(arguments: &DoctorArguments, output: &mut Output) -> Result<(), Ending> {
    let adapter = match &arguments.device {
        Some(DeviceChoice::List) => return device::list(output),
        Some(DeviceChoice::Use(adapter)) => adapter.clone(),
        None => AdapterChoice::Best,
    };
    let options = Options {
        adapter,
        kernels: arguments.kernels.into(),
        tune: arguments.tune,
        thorough: arguments.thorough,
        planted: None,
    };
    // Drawn on standard error, and only where that is a terminal.
    let spinner = ProgressBar::new_spinner();
    spinner.enable_steady_tick(Duration::from_millis(120));
    let report = doctor::examine(&options, &mut |what| spinner.set_message(what.to_owned()));
    spinner.finish_and_clear();
    let report = report.map_err(ffai::Error::from)?;
    if arguments.tune {
        doctor::save(&doctor::place()?, &report.identity, &report.choices)?;
    }
    if arguments.json {
        let text = serde_json::to_string(&report)
            .map_err(|error| Ending::failed(format!("what was found cannot be written as JSON: {error}"), None))?;
        output.text(&(text + "\n"))?;
    } else {
        output.text(&view(&report))?;
    }
    if report.sound {
        return Ok(());
    }
    let wrong = report.parity.iter().filter(|parity| parity.failure.is_some()).count();
    let hint = "attach the output of `ffai doctor --json` to a report; until it is mended, `--kernels wgsl` or another \
                --device may run models right";
    Err(Ending::failed(
        format!("{wrong} kernel variants are wrong on {}", report.device.adapter),
        Some(hint.to_owned()),
    ))
}

/// The report for people.
fn view(report: &Report) -> String {
    let mut text = about(report);
    text += &checked(&report.parity);
    text += "\nAt best (measured)\n";
    text += &table("  ", [Side::Left, Side::Right, Side::Left, Side::Left], &ceilings(&report.ceilings));
    if let Some(known) = &report.known {
        let stated: Vec<String> = known.bandwidth.iter().map(f64::to_string).collect();
        text += &format!("  {}: the maker states {} GB/s of memory bandwidth\n", known.chip, stated.join(" or "));
    }
    if !report.timings.is_empty() {
        text += "\nVariants (weights warm)\n";
        text += &table("  ", TIMING_SIDES, &timings(&report.timings));
        let chosen: Vec<String> = report.choices.iter().map(|(key, variant)| format!("{key}: {variant}")).collect();
        let chosen =
            if chosen.is_empty() { "none: no variant beats the usual one".to_owned() } else { chosen.join(", ") };
        text += &format!("  kept for this device: {chosen}\n");
    }
    text += "\nVerdict\n";
    for finding in &report.findings {
        text += &format!("  {}\n", printable(finding));
    }
    let cases: usize = report.parity.iter().map(|parity| parity.cases).sum();
    text += &match report.sound {
        true => format!("  Every kernel is right on this device: {cases} cases in {:.1} s.\n", report.seconds),
        false => "  Kernels are wrong on this device: results of models are not to be trusted.\n".to_owned(),
    };
    text
}

fn about(report: &Report) -> String {
    let device = &report.device;
    let mebibytes = |bytes: u64| format!("{} MiB", bytes >> 20);
    let list = |names: &[&str]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let budget = device.memory_budget.map_or_else(|| "unknown".to_owned(), mebibytes);
    let chip = match (&report.chip.name, report.chip.gpu_cores) {
        (None, _) => "unknown".to_owned(),
        (Some(name), None) => printable(name),
        (Some(name), Some(cores)) => format!("{}, {cores} GPU cores", printable(name)),
    };
    let rows = [
        ["build", &format!("ffai {} for {}", report.version, report.system)],
        ["chip", &chip],
        ["adapter", &printable(&device.adapter)],
        ["kind", &format!("{}, {}", device.kind, device.backend)],
        ["driver", &printable(&device.driver)],
        ["kernels", device.kernels],
        ["subgroup", &format!("{} lanes", device.subgroup)],
        ["can", &list(&device.features)],
        ["cannot", &list(&device.missing)],
        ["buffers", &format!("{}, bound {}", mebibytes(device.max_buffer_bytes), mebibytes(device.max_binding_bytes))],
        ["workgroups", &format!("{} threads, {} bytes", device.workgroup_threads, device.workgroup_memory_bytes)],
        ["memory", &budget],
    ];
    let rows = rows.map(|row| row.map(str::to_owned));
    "Device\n".to_owned() + &table("  ", [Side::Left, Side::Left], &rows)
}

fn checked(parity: &[Parity]) -> String {
    let mut rows = vec![["kernel", "from", "cases", "largest NMSE", "at most", ""].map(str::to_owned)];
    rows.extend(parity.iter().map(|parity| {
        [
            parity.kernel.to_owned(),
            parity.variant.to_owned(),
            format!("{} of {}", parity.cases, parity.of),
            format!("{:.1e}", parity.largest_nmse),
            format!("{:.1e}", parity.tolerance),
            if parity.failure.is_some() { "WRONG" } else { "right" }.to_owned(),
        ]
    }));
    let sides = [Side::Left, Side::Left, Side::Right, Side::Right, Side::Right, Side::Left];
    "\nKernels against their CPU twins\n".to_owned() + &table("  ", sides, &rows)
}

fn ceilings(ceilings: &[Ceiling]) -> Vec<[String; 4]> {
    let row = |ceiling: &Ceiling| {
        let spread = format!("median {:.1}, worst {:.1} of {}", ceiling.median, ceiling.worst, ceiling.runs);
        [ceiling.what.to_owned(), format!("{:.1}", ceiling.best), ceiling.unit.to_owned(), spread]
    };
    ceilings.iter().map(row).collect()
}

const TIMING_SIDES: [Side; 8] =
    [Side::Left, Side::Left, Side::Right, Side::Left, Side::Right, Side::Right, Side::Right, Side::Left];

fn timings(timings: &[Timing]) -> Vec<[String; 8]> {
    let head = ["op", "format", "rows × cols × tokens, or what", "variant", "µs", "spread", "of the ceiling", ""];
    let row = |timing: &Timing| {
        [
            timing.op.to_owned(),
            timing.format.unwrap_or_default().to_owned(),
            timing.shape.clone(),
            timing.variant.clone(),
            format!("{:.1}", timing.median_us),
            format!("{:.1}–{:.1}", timing.best_us, timing.worst_us),
            timing.share_of_ceiling.map_or_else(String::new, |share| format!("{:.0} %", 100.0 * share)),
            if timing.wins { "wins" } else { "" }.to_owned(),
        ]
    };
    std::iter::once(head.map(str::to_owned)).chain(timings.iter().map(row)).collect()
}
