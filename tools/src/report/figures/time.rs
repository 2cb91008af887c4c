//! Speed over time: a figure per chip, method and context, a line per model and format.

use super::{Axes, Figure, Key, Mark, chart, grouped};
use crate::failure::Failure;
use crate::report::entries::{Entry, sound};
use crate::report::legend::Legend;
use ffai::bench::Spread;
use jiff::Timestamp;
use std::ops::Range;

const DAY: f64 = 86_400.0;

/// A rate that is drawn, and the field that its spread stands under.
struct Rate {
    name: &'static str,
    of: fn(&Entry) -> Option<f64>,
    fields: [&'static str; 2],
}

const RATES: [Rate; 2] = [
    Rate { name: "decode", of: Entry::decode, fields: ["steadyTokensPerSecond", "decodeTokensPerSecond"] },
    Rate { name: "prefill", of: Entry::prefill, fields: ["prefillTokensPerSecond"; 2] },
];

pub(super) fn figures(entries: &[Entry], legend: &Legend) -> Result<Vec<Figure>, Failure> {
    let key = |entry: &Entry| (entry.chip.clone(), entry.row.method.clone(), entry.row.context_size);
    let timed = entries.iter().filter(|entry| entry.time.is_some());
    let mut figures = Vec::new();
    for ((chip, method, context), rows) in grouped(timed, key) {
        for rate in &RATES {
            let rows: Vec<&Entry> = rows.iter().copied().filter(|entry| (rate.of)(entry).is_some()).collect();
            if !rows.is_empty() {
                let heading = format!("{chip}: {} of {method} at {context}", rate.name);
                figures.push(figure(heading, rate, &rows, legend)?);
            }
        }
    }
    Ok(figures)
}

fn figure(heading: String, rate: &Rate, rows: &[&Entry], legend: &Legend) -> Result<Figure, Failure> {
    let seconds = |entry: &Entry| entry.time.unwrap_or(0) as f64;
    let highest =
        |entry: &&Entry| spread(entry, rate).map_or_else(|| (rate.of)(entry).unwrap_or(0.0), |spread| spread.end);
    let top = rows.iter().map(highest).fold(0.0, f64::max);
    let (mut marks, mut keys) = (Vec::new(), Vec::new());
    let mut points = Vec::new();
    for (label, rows) in grouped(rows.iter().copied(), Entry::label) {
        let look = legend.look(&label);
        let values: Vec<(f64, f64)> =
            rows.iter().map(|entry| (seconds(entry), (rate.of)(entry).unwrap_or(0.0))).collect();
        for (entry, &at) in rows.iter().zip(&values) {
            if let Some(spread) = spread(entry, rate) {
                marks.push(Mark::Line { points: vec![(at.0, spread.start), (at.0, spread.end)], look });
            }
            let about = format!("{label}: {} tok/s, {}", chart::short(at.1), instant(at.0, "%Y-%m-%d %H:%M"));
            points.push(Mark::Point { at, look, anchor: entry.id.clone(), about });
        }
        keys.extend(rows.last().map(|entry| Key::new(&label, look, &entry.id)));
        marks.push(Mark::Line { points: values, look });
    }
    marks.append(&mut points);
    let x = span(rows.iter().map(|entry| seconds(entry)));
    let detail = if x.end - x.start < 3.0 * DAY { "%m-%d %H:%M" } else { "%Y-%m-%d" };
    let axes = Axes {
        size: (700, 340),
        x,
        y: 0.0..top * 1.08,
        x_name: "",
        y_name: "tokens per second",
        x_text: &|x| instant(x, detail),
        y_text: &chart::short,
        ticks: (6, 6),
    };
    let svg = chart::draw(&axes, &marks, &heading)?;
    let caption =
        "Medians of the runs; vertical lines from the slowest run to the fastest, where that is known.".to_owned();
    Ok(Figure { heading, caption, svg, legend: keys })
}

/// From the slowest run to the fastest.
fn spread(entry: &Entry, rate: &Rate) -> Option<Range<f64>> {
    let spread: &Spread = rate.fields.iter().find_map(|field| entry.row.spread.get(*field))?;
    (sound(spread.minimum) && sound(spread.maximum) && spread.minimum < spread.maximum)
        .then_some(spread.minimum..spread.maximum)
}

/// Room beside the first and the last, and around a single one.
fn span(times: impl Iterator<Item = f64>) -> Range<f64> {
    let (first, last) =
        times.fold((f64::INFINITY, f64::NEG_INFINITY), |(first, last), time| (first.min(time), last.max(time)));
    let room = if last > first { (last - first) * 0.05 } else { DAY / 2.0 };
    first - room..last + room
}

fn instant(seconds: f64, format: &str) -> String {
    Timestamp::from_second(seconds as i64).map_or_else(|_| String::new(), |time| time.strftime(format).to_string())
}
