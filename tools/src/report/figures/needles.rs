//! Needles in haystacks: contexts by depths, the colour says how much was found.

use super::{Axes, Figure, Key, Mark, chart, grouped};
use crate::failure::Failure;
use crate::report::entries::Entry;
use crate::report::legend::{Look, Shape};
use plotters::style::RGBColor;
use std::collections::BTreeMap;

const LOST: RGBColor = RGBColor(196, 48, 43);
const FOUND: RGBColor = RGBColor(0, 121, 90);
const WHITE: RGBColor = RGBColor(255, 255, 255);
/// Thousandths: depths that differ by less are one.
const PARTS: f64 = 1000.0;

/// Scores by context and depth, with the entry that they stand in.
type Scores<'a> = BTreeMap<(u64, i64), (&'a Entry, Vec<(f64, f64)>)>;

pub(super) fn figures(entries: &[Entry]) -> Result<Vec<Figure>, Failure> {
    let searched = entries.iter().filter(|entry| !entry.row.needles.is_empty());
    let mut figures = Vec::new();
    for ((chip, label), rows) in grouped(searched, |entry| (entry.chip.clone(), entry.label())) {
        let scores = latest(&rows);
        if !scores.is_empty() {
            figures.push(figure(format!("{chip}: {label}"), &scores)?);
        }
    }
    Ok(figures)
}

/// Of each context and depth the needles of the last row that has some.
fn latest<'a>(rows: &[&'a Entry]) -> Scores<'a> {
    let mut scores = Scores::new();
    for &entry in rows {
        for needle in &entry.row.needles {
            if ![needle.depth, needle.exact, needle.fuzzy].iter().all(|score| (0.0..=1.0).contains(score)) {
                continue;
            }
            let place = (needle.context, (needle.depth * PARTS).round() as i64);
            let cell = scores.entry(place).or_insert_with(|| (entry, Vec::new()));
            if cell.0.id != entry.id {
                *cell = (entry, Vec::new());
            }
            cell.1.push((needle.exact, needle.fuzzy));
        }
    }
    scores
}

fn figure(heading: String, scores: &Scores) -> Result<Figure, Failure> {
    let sorted = |mut values: Vec<i64>| {
        values.sort_unstable();
        values.dedup();
        values
    };
    let contexts = sorted(scores.keys().map(|place| place.0 as i64).collect());
    let depths = sorted(scores.keys().map(|place| place.1).collect());
    let mut marks = Vec::new();
    for (&(context, depth), (entry, needles)) in scores {
        let x = contexts.partition_point(|&known| known < context as i64) as f64;
        // The beginning of the text is at the top.
        let y = (depths.len() - 1 - depths.partition_point(|&known| known < depth)) as f64;
        let mean = |score: fn(&(f64, f64)) -> f64| needles.iter().map(score).sum::<f64>() / needles.len() as f64;
        let (exact, fuzzy) = (mean(|needle| needle.0), mean(|needle| needle.1));
        marks.push(Mark::Rectangle { from: (x + 0.03, y + 0.04), to: (x + 0.97, y + 0.96), colour: between(fuzzy) });
        let (at, text) = ((x + 0.5, y + 0.5), format!("{:.0} %", fuzzy * 100.0));
        marks.push(Mark::Text { at, text, colour: Some(WHITE), centred: true });
        let about = format!(
            "context {context}, depth {:.0} %: {:.0} % found, {:.0} % to the letter",
            depth as f64 / PARTS * 100.0,
            fuzzy * 100.0,
            exact * 100.0
        );
        let look = Look { colour: WHITE, shape: Shape::Circle };
        marks.push(Mark::Point { at: (x + 0.12, y + 0.5), look, anchor: entry.id.clone(), about });
    }
    let tick = |values: &[i64], at: f64| {
        let index = (at - 0.5).round();
        let near = (at - 0.5 - index).abs() < 0.01 && index >= 0.0;
        values.get(index as usize).filter(|_| near).copied()
    };
    let depth = |y: f64| {
        tick(&depths, depths.len() as f64 - y)
            .map_or_else(String::new, |depth| format!("{} %", depth as f64 / PARTS * 100.0))
    };
    let axes = Axes {
        size: (700, 90 + 40 * depths.len().min(40) as u32),
        x: 0.0..contexts.len() as f64,
        y: 0.0..depths.len() as f64,
        x_name: "tokens of the haystack",
        y_name: "depth of the needle",
        x_text: &|x| tick(&contexts, x).map_or_else(String::new, |context| context.to_string()),
        y_text: &depth,
        ticks: (2 * contexts.len() + 1, 2 * depths.len() + 1),
    };
    let svg = chart::draw(&axes, &marks, &heading)?;
    let caption = "How much of the needle the answers held; a point leads to the row.".to_owned();
    let anchor = scores.values().next_back().map_or("", |(entry, _)| entry.id.as_str());
    let key = |text, colour| Key::new(text, Look { colour, shape: Shape::Square }, anchor);
    Ok(Figure { heading, caption, svg, legend: vec![key("found", FOUND), key("lost", LOST)] })
}

fn between(score: f64) -> RGBColor {
    let mix = |lost: u8, found: u8| (f64::from(lost) + (f64::from(found) - f64::from(lost)) * score).round() as u8;
    RGBColor(mix(LOST.0, FOUND.0), mix(LOST.1, FOUND.1), mix(LOST.2, FOUND.2))
}
