//! Memory: a bar per model, format, method and context, of their latest rows.

use super::{Axes, Figure, Key, Mark, chart, grouped};
use crate::failure::Failure;
use crate::report::entries::Entry;
use crate::report::legend::{Look, Shape};
use plotters::style::RGBColor;

const WEIGHTS: RGBColor = RGBColor(0, 114, 178);
const CACHE: RGBColor = RGBColor(230, 159, 0);
const REST: RGBColor = RGBColor(128, 128, 128);
const GIB: f64 = 1_073_741_824.0;
/// Pixels of a bar with its text.
const BAR: u32 = 44;
/// Bars of one figure.
const MOST: usize = 24;

pub(super) fn figures(entries: &[Entry]) -> Result<Vec<Figure>, Failure> {
    let measured = entries.iter().filter(|entry| entry.row.peak_gpu_bytes > 0);
    let mut figures = Vec::new();
    for (chip, rows) in grouped(measured, |entry| entry.chip.clone()) {
        let key = |entry: &Entry| (entry.label(), entry.row.method.clone(), entry.row.context_size);
        let latest: Vec<&Entry> =
            grouped(rows.into_iter(), key).iter().filter_map(|(_, rows)| rows.last().copied()).collect();
        for (index, rows) in latest.chunks(MOST).enumerate() {
            let part = if latest.len() > MOST { format!(", part {}", index + 1) } else { String::new() };
            figures.push(figure(format!("{chip}: peak of GPU memory{part}"), rows)?);
        }
    }
    Ok(figures)
}

fn figure(heading: String, rows: &[&Entry]) -> Result<Figure, Failure> {
    let gib = |bytes: u64| bytes as f64 / GIB;
    let most = rows.iter().map(|entry| gib(entry.row.peak_gpu_bytes)).fold(0.0, f64::max);
    let mut marks = Vec::new();
    for (index, entry) in rows.iter().enumerate() {
        let (base, row) = ((rows.len() - index) as f64 - 1.0, &entry.row);
        // What is more than the peak was counted otherwise, and would leave the figure.
        let weights = gib(row.weights_bytes.min(row.peak_gpu_bytes));
        let cache = gib(row.weights_bytes.saturating_add(row.kv_cache_used_bytes).min(row.peak_gpu_bytes));
        let peak = gib(row.peak_gpu_bytes);
        for (from, to, colour) in [(0.0, weights, WEIGHTS), (weights, cache, CACHE), (cache, peak, REST)] {
            marks.push(Mark::Rectangle { from: (from, base + 0.12), to: (to, base + 0.5), colour });
        }
        let text = format!("{} {} at {}: {} GiB", entry.label(), row.method, row.context_size, chart::short(peak));
        marks.push(Mark::Text { at: (most * 0.005, base + 0.74), text: text.clone(), colour: None, centred: false });
        let look = Look { colour: REST, shape: Shape::Diamond };
        marks.push(Mark::Point { at: (peak, base + 0.31), look, anchor: entry.id.clone(), about: text });
    }
    let axes = Axes {
        size: (700, 70 + BAR * rows.len() as u32),
        x: 0.0..most * 1.05,
        y: 0.0..rows.len() as f64,
        x_name: "GiB",
        y_name: "",
        x_text: &chart::short,
        y_text: &|_| String::new(),
        ticks: (6, 0),
    };
    let svg = chart::draw(&axes, &marks, &heading)?;
    let anchor = rows.last().map_or("", |entry| entry.id.as_str());
    let key = |text, colour| Key::new(text, Look { colour, shape: Shape::Square }, anchor);
    let legend = vec![key("weights", WEIGHTS), key("keys and values in use", CACHE), key("the rest", REST)];
    Ok(Figure { heading, caption: "The latest row of each; a diamond leads to it.".to_owned(), svg, legend })
}
