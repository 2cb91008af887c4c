//! What changed, as a page.

use super::calls::{CallChange, count, signed};
use super::comparison::Comparison;
use super::counters::Change;
use super::noise::Interval;
use super::profile::Profile;
use super::times::{Finding, TimeChange, percent};
use super::verdict::Verdict;

/// Rows of memory that are named.
const SHOWN_ROWS: usize = 8;
/// Decimals of a time: enough to tell microseconds apart.
const DECIMALS: usize = 3;

/// The page: warnings, sections of what changed, the total and the verdict.
pub(super) fn page(comparison: &Comparison) -> String {
    let mut page = header("before", comparison.before) + &header("after", comparison.after);
    for warning in &comparison.warnings {
        page += &format!("warning: {warning}\n");
    }
    let counters = rows(&comparison.counters, count, signed);
    page += &section("counters per step", &aligned(counters));
    let shown = &comparison.memory[..comparison.memory.len().min(SHOWN_ROWS)];
    let mut memory = aligned(rows(shown, size, signed_size));
    if comparison.memory.len() > SHOWN_ROWS {
        memory.push(format!("and {} more rows, all of them with --json", comparison.memory.len() - SHOWN_ROWS));
    }
    page += &section("memory", &memory);
    let lines = |changes: &[CallChange], unit| changes.iter().map(|change| calls(change, unit)).collect::<Vec<_>>();
    page += &section("calls", &lines(&comparison.calls, "calls per token"));
    page += &section("calls in the prefill", &lines(&comparison.prefill_calls, "calls"));
    let changed = |op: &&TimeChange| matches!(op.finding, Finding::Slower | Finding::Faster);
    let mut times: Vec<&TimeChange> = comparison.ops.iter().filter(changed).collect();
    times.extend(&comparison.total);
    let far = |prefill: &&TimeChange| prefill.loss_percent().abs() > comparison.limits.threshold_percent;
    times.extend(comparison.prefill.as_ref().filter(far));
    let heading = format!("ms per token, median of {}", tokens(comparison));
    page += &section(&heading, &time_lines(&times));
    page + &rest(comparison) + &verdict(comparison) + "\n"
}

fn header(side: &str, profile: &Profile) -> String {
    let about = [&profile.model, &profile.device, &profile.backend, &profile.method];
    let about: Vec<&str> = about.into_iter().flatten().map(String::as_str).collect();
    let about = if about.is_empty() { String::new() } else { format!(" ({})", about.join(", ")) };
    format!("{side:>6}: {}{about}\n", profile.file)
}

pub(super) fn section(heading: &str, lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    format!("{heading}\n  {}\n", lines.join("\n  "))
}

/// Names end in one column, so that a line without its indent is one that can be searched for.
pub(super) fn aligned(rows: Vec<(String, String)>) -> Vec<String> {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    rows.into_iter().map(|(name, rest)| format!("{name:>width$} {rest}")).collect()
}

pub(super) fn rows(changes: &[Change], value: fn(f64) -> String, signed: fn(f64) -> String) -> Vec<(String, String)> {
    let row = |change: &Change| {
        let difference = signed(change.difference());
        (change.name.clone(), format!("{} → {} ({difference})", value(change.before), value(change.after)))
    };
    changes.iter().map(row).collect()
}

pub(super) fn size(bytes: f64) -> String {
    let mib = bytes / 1_048_576.0;
    if mib < 1024.0 { format!("{mib:.1} MiB") } else { format!("{:.2} GiB", mib / 1024.0) }
}

pub(super) fn signed_size(bytes: f64) -> String {
    let sign = if bytes < 0.0 { '−' } else { '+' };
    format!("{sign}{}", size(bytes.abs()))
}

fn calls(change: &CallChange, unit: &str) -> String {
    let kind = match (change.before, change.after) {
        (0.0, _) => " (new)",
        (_, 0.0) => " (gone)",
        _ => "",
    };
    let (before, after) = (count(change.before), count(change.after));
    format!("{}: {before} → {after} {unit}{kind}, {}", change.op, change.places())
}

fn time_lines(times: &[&TimeChange]) -> Vec<String> {
    let ms = |ms: f64| format!("{ms:.DECIMALS$}");
    let cells = |time: &&TimeChange| {
        let bounds = |ratio: Interval| {
            let [low, high] = [ratio.low, ratio.high].map(|bound| signed_percent(percent(bound)));
            format!("{low} … {high}")
        };
        let change = signed_percent(time.loss_percent());
        let bounds = time.ratio.map_or_else(String::new, bounds);
        [time.name.clone(), ms(time.before_ms), ms(time.after_ms), change, bounds]
    };
    let cells: Vec<[String; 5]> = times.iter().map(cells).collect();
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(width);
    let line = |([name, before, after, change, bounds], time): (&[String; 5], &&TimeChange)| {
        let found = match time.ratio {
            Some(_) => format!("[{bounds:>e$}]  {}", time.finding.name()),
            None => "too few measurements to tell".to_owned(),
        };
        format!("{name:>a$} {before:>b$} → {after:>c$}  {change:>d$}  {found}")
    };
    cells.iter().zip(times).map(line).collect()
}

pub(super) fn signed_percent(percent: f64) -> String {
    let sign = if percent < 0.0 { '−' } else { '+' };
    format!("{sign}{:.1} %", percent.abs())
}

fn tokens(comparison: &Comparison) -> String {
    match comparison.tokens {
        (before, _) if comparison.paired => format!("{} at the same positions", plural(before, "token")),
        (before, after) => format!("{before} and {after} tokens"),
    }
}

/// Ops without a line of their own.
fn rest(comparison: &Comparison) -> String {
    let same = match comparison.found(Finding::Same) {
        0 => String::new(),
        same => format!("{} within ±{} %. ", plural(same, "op"), comparison.limits.noise_percent),
    };
    let unclear = match comparison.found(Finding::Unclear) {
        0 => String::new(),
        unclear => format!("{} can't be told from noise: more tokens tell more. ", plural(unclear, "op")),
    };
    let rest = same + &unclear;
    if rest.is_empty() { rest } else { format!("{}\n", rest.trim_end()) }
}

/// The last line.
fn verdict(comparison: &Comparison) -> String {
    let verdict = comparison.verdict();
    let slowed = comparison.found(Finding::Slower);
    let slowed_ops = format!("{} slowed beyond the noise", plural(slowed, "op"));
    let mut reasons = match verdict {
        Verdict::Worse => comparison.reasons(),
        Verdict::Slower if slowed == 0 => vec!["the total slowed within the threshold".to_owned()],
        Verdict::Slower => vec![slowed_ops],
        Verdict::Better if slowed > 0 => vec![format!("the total is faster, though {slowed_ops}")],
        Verdict::Same | Verdict::Better | Verdict::Unclear => Vec::new(),
    };
    let doubt = |loss| format!("the total differs by {}, which noise explains as well", signed_percent(loss));
    reasons.extend(comparison.doubtful_loss_percent().map(doubt));
    if reasons.is_empty() { verdict.name().to_owned() } else { format!("{}: {}", verdict.name(), reasons.join(", ")) }
}

pub(super) fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
