//! Speed against quality: a point per model and format, of its latest rows.

use super::{Axes, Figure, Key, Mark, chart, grouped};
use crate::failure::Failure;
use crate::report::entries::{Entry, sound};
use crate::report::legend::Legend;

/// The method whose decode rate stands for a model's.
const PLAIN: &str = "simple";

/// A value and its standard error.
type WithError = (f64, Option<f64>);

/// A measure of quality: its name, its value and its standard error.
struct Measure {
    name: &'static str,
    unit: &'static str,
    of: fn(&Entry) -> Option<WithError>,
}

const MEASURES: [Measure; 2] = [
    Measure {
        name: "perplexity",
        unit: "perplexity (lower is better)",
        of: |entry| Some((entry.row.gen_perplexity?, entry.row.gen_perplexity_error)),
    },
    Measure {
        name: "divergence from the reference",
        unit: "KL divergence in nats (lower is better)",
        of: |entry| Some((entry.row.gen_kl_divergence?, entry.row.gen_kl_divergence_error)),
    },
];

/// Perplexities over different texts say nothing about each other, so that each method has figures of its own.
pub(super) fn figures(entries: &[Entry], legend: &Legend) -> Result<Vec<Figure>, Failure> {
    let mut figures = Vec::new();
    for measure in &MEASURES {
        let measured = entries.iter().filter(|entry| value(entry, measure).is_some());
        for ((chip, method), rows) in grouped(measured, |entry| (entry.chip.clone(), entry.row.method.clone())) {
            let heading = format!("{chip}: {} by {method}", measure.name);
            figures.extend(figure(heading, measure, &rows, entries, legend)?);
        }
    }
    Ok(figures)
}

fn value(entry: &Entry, measure: &Measure) -> Option<WithError> {
    let (value, error) = (measure.of)(entry)?;
    let error = error.filter(|error| sound(*error));
    // A model's divergence from itself is 0 and has its place.
    (sound(value) || value == 0.0).then_some((value, error))
}

/// The latest speed of the same model: of the same row, where that decoded anything; else of the method that measures no more than
/// that; else of any.
fn speed(of: &Entry, entries: &[Entry]) -> Option<f64> {
    let same = |entry: &&Entry| entry.chip == of.chip && entry.label() == of.label();
    let latest = |plain: bool| {
        let rows = entries.iter().filter(same).filter(|entry| !plain || entry.row.method == PLAIN);
        rows.rev().find_map(Entry::decode)
    };
    of.decode().or_else(|| latest(true)).or_else(|| latest(false))
}

fn figure(
    heading: String,
    measure: &Measure,
    rows: &[&Entry],
    entries: &[Entry],
    legend: &Legend,
) -> Result<Option<Figure>, Failure> {
    let (mut marks, mut points, mut keys, mut all) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (label, rows) in grouped(rows.iter().copied(), Entry::label) {
        let latest = rows.iter().rev().find_map(|&entry| Some((entry, value(entry, measure)?, speed(entry, entries)?)));
        let Some((entry, (value, error), speed)) = latest else { continue };
        let look = legend.look(&label);
        let reach = error.unwrap_or(0.0);
        if reach > 0.0 {
            marks.push(Mark::Line { points: vec![(value - reach, speed), (value + reach, speed)], look });
        }
        let error = error.map_or_else(String::new, |error| format!(" ± {}", chart::short(error)));
        let about = format!("{label}: {} {}{error}, {} tok/s", measure.name, chart::short(value), chart::short(speed));
        points.push(Mark::Point { at: (value, speed), look, anchor: entry.id.clone(), about });
        keys.push(Key::new(&label, look, &entry.id));
        all.push((value - reach, value + reach, speed));
    }
    if all.is_empty() {
        return Ok(None);
    }
    marks.append(&mut points);
    let top = all.iter().map(|point| point.2).fold(0.0, f64::max);
    let axes = Axes {
        size: (700, 340),
        x: chart::around(all.iter().flat_map(|point| [point.0, point.1]), 0.08),
        y: 0.0..top * 1.08,
        x_name: measure.unit,
        y_name: "decoded tokens per second",
        x_text: &chart::short,
        y_text: &chart::short,
        ticks: (6, 6),
    };
    let svg = chart::draw(&axes, &marks, &heading)?;
    let caption =
        "The latest row of each model and format, with the latest decode rate of the same; upper left is best. \
                   Horizontal lines are standard errors."
            .to_owned();
    Ok(Some(Figure { heading, caption, svg, legend: keys }))
}
