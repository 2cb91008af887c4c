//! `ffai convert`: a checkpoint as MLX reads it, quantized or not.

use super::convert_arguments::ConvertArguments;
use super::device::{self, DeviceChoice};
use super::ending::Ending;
use super::engine_arguments::BackendChoice;
use super::interrupt;
use super::output::Output;
use super::table::{Side, table};
use ffai::convert::{Conversion, FormatReport, convert};
use ffai::generate::{Backend, OpenOptions, executor};
use ffai::gpu::AdapterChoice;
use ffai::kernels::forced_by_environment;
use ffai::weights::{self, Checkpoint};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

pub(crate) fn run(arguments: &ConvertArguments) -> Result<(), Ending> {
    if arguments.device == Some(DeviceChoice::List) {
        return device::list(&mut Output::plain());
    }
    let options = arguments.options()?;
    let mut output = Output::new(arguments.json, arguments.quiet);
    interrupt::watch();
    let checkpoint = Checkpoint::open(&source(&arguments.source)?)?;
    let mut executor = executor(&open_options(arguments)?)?;
    output.note(&format!("converting {} to {}…", checkpoint.path().display(), arguments.out.display()))?;
    let bar = output.progress();
    interrupt::hold();
    let converted = convert(&checkpoint, &arguments.out, &options, &mut *executor, &mut |done, total| {
        bar.at(done, total);
        if interrupt::asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    bar.end();
    let conversion = match converted {
        Err(ffai::Error::Convert(ffai::convert::Error::Stopped)) => return Err(Ending::Interrupted),
        converted => converted?,
    };
    if arguments.json {
        // Strings and finite numbers: nothing here can fail to be JSON.
        return output.text(&(serde_json::to_string(&conversion).unwrap_or_default() + "\n"));
    }
    if arguments.quiet { Ok(()) } else { output.text(&shown(&conversion)) }
}

/// What a user calls a checkpoint: a folder of one as it is, else what [`weights::locate`] makes of it.
fn source(named: &str) -> Result<PathBuf, Ending> {
    let path = Path::new(named);
    if path.join("config.json").is_file() {
        return Ok(path.to_owned());
    }
    Ok(weights::locate(named)?)
}

fn open_options(arguments: &ConvertArguments) -> Result<OpenOptions, Ending> {
    let backend = match arguments.backend {
        BackendChoice::Auto | BackendChoice::Gpu => Backend::Gpu,
        BackendChoice::Cpu if arguments.device.is_some() => {
            let message = "--device chooses a GPU, and --backend cpu uses none".to_owned();
            return Err(Ending::usage(message, Some("leave one of them out".to_owned())));
        }
        BackendChoice::Cpu => Backend::Cpu,
    };
    let adapter = match &arguments.device {
        Some(DeviceChoice::Use(adapter)) => adapter.clone(),
        _ => AdapterChoice::Best,
    };
    let forced = forced_by_environment().map_err(ffai::Error::from)?;
    Ok(OpenOptions { backend, adapter, memory_budget: arguments.memory_budget, forced, ..OpenOptions::default() })
}

/// The conversion as a table, role by role, and what else is worth knowing.
fn shown(conversion: &Conversion) -> String {
    let mut rows = vec![["role", "tensors", "weights", "before", "after"].map(str::to_owned)];
    for role in &conversion.roles {
        for line in 0..role.before.len().max(role.after.len()) {
            let once = |text: String| if line == 0 { text } else { String::new() };
            rows.push([
                once(role.role.to_owned()),
                once(role.tensors.to_string()),
                once(count(role.weights)),
                role.before.get(line).map(format).unwrap_or_default(),
                role.after.get(line).map(format).unwrap_or_default(),
            ]);
        }
    }
    let tensors: u64 = conversion.roles.iter().map(|role| role.tensors).sum();
    rows.push([
        "all".to_owned(),
        tensors.to_string(),
        count(conversion.weights),
        bytes(conversion.bytes_before),
        format!("{} ({:.3} bits per weight)", bytes(conversion.bytes_after), conversion.bits_per_weight),
    ]);
    let sides = [Side::Left, Side::Right, Side::Right, Side::Left, Side::Left];
    let mut text = table("", sides, &rows);
    if let [first, others @ ..] = conversion.unquantized.as_slice() {
        let more = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
        let group = conversion.group_size.unwrap_or_default();
        text += &format!(
            "not quantized, because groups of {group} do not divide {} columns: {}{more}\n",
            first.cols, first.name
        );
    }
    if let [first, others @ ..] = conversion.left_out.as_slice() {
        let more = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
        text += &format!("left out, because the language model does not use it: {}{more}\n", first.escape_debug());
    }
    let files = conversion.files.len();
    let files = if files == 1 { "1 file".to_owned() } else { format!("{files} files") };
    let (out, seconds) = (conversion.out.display(), conversion.seconds);
    text + &format!("{out}: {files} of weights in {seconds:.1}s on {} ({})\n", conversion.device, conversion.backend)
}

/// `Q4_K 3.1 MB`
fn format(report: &FormatReport) -> String {
    format!("{} {}", report.format, bytes(report.bytes))
}

/// As statistics have it: MB = 1048576, from 1024 on GB.
fn bytes(bytes: u64) -> String {
    const MB: f64 = 1_048_576.0;
    let mb = bytes as f64 / MB;
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KB", bytes as f64 / 1024.0),
        _ if mb < 1024.0 => format!("{mb:.1} MB"),
        _ => format!("{:.2} GB", mb / 1024.0),
    }
}

/// `134.5M`
fn count(count: u64) -> String {
    match count {
        0..1_000 => count.to_string(),
        1_000..1_000_000 => format!("{:.1}K", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1}M", count as f64 / 1e6),
        _ => format!("{:.2}B", count as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        assert_eq!([0, 2048, 5 << 20, 3 << 30].map(bytes), ["0 B", "2.0 KB", "5.0 MB", "3.00 GB"]);
        assert_eq!([576, 28_311_552, 8_030_261_248].map(count), ["576", "28.3M", "8.03B"]);
    }
}
