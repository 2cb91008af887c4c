//! A heat map of needles: contexts to the right, depths downwards.

use crate::bench::{BenchRow, Error, NeedleScore};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::path::Path;

const CELL: (i32, i32) = (96, 56);
/// Room for titles and the labels of axes: left, above, and elsewhere.
const LEFT: i32 = 96;
const ABOVE: i32 = 72;
const AROUND: i32 = 48;

/// Draws the needles of a row into an SVG file, which replaces what was there. Colours and the number in a cell are the fuzzy
/// score's; a needle that was found to the letter has a frame.
///
/// # Errors
/// The file cannot be written.
pub fn heat_map(row: &BenchRow, path: &Path) -> Result<(), Error> {
    let mut svg = String::new();
    draw(row, &mut svg).map_err(|why| Error::Picture { path: path.to_owned(), why })?;
    std::fs::write(path, svg).map_err(Error::file(path))
}

fn draw(row: &BenchRow, svg: &mut String) -> Result<(), String> {
    let contexts = axis(row.needles.iter().map(|needle| needle.context as f64));
    let depths = axis(row.needles.iter().map(|needle| needle.depth));
    let title = format!("Needles found by {}", row.model);
    // Letters of the title's size are seldom wider than nine; a name beyond all measure is cut off.
    let width = (LEFT + CELL.0 * contexts.len() as i32).max(9 * title.chars().take(200).count() as i32) + AROUND;
    let height = ABOVE + CELL.1 * depths.len() as i32 + AROUND;
    let place = |needle: &NeedleScore| {
        let column = contexts.iter().position(|context| *context == needle.context as f64).unwrap_or(0);
        let line = depths.iter().position(|depth| *depth == needle.depth).unwrap_or(0);
        (LEFT + CELL.0 * column as i32, ABOVE + CELL.1 * line as i32)
    };
    let root = SVGBackend::with_string(svg, (width as u32, height as u32)).into_drawing_area();
    let failed = |error: DrawingAreaErrorKind<_>| error.to_string();
    let label = |size: i32, horizontal: HPos| {
        let style = ("sans-serif", size).into_font().color(&BLACK);
        style.pos(Pos::new(horizontal, VPos::Center))
    };
    let write = |text: String, at: (i32, i32), size: i32, horizontal: HPos| {
        root.draw(&Text::new(text, at, label(size, horizontal)))
    };
    root.fill(&WHITE).map_err(failed)?;
    let middle = LEFT + CELL.0 * contexts.len() as i32 / 2;
    write(title, (AROUND / 2, 24), 16, HPos::Left).map_err(failed)?;
    write("tokens of context".to_owned(), (middle, ABOVE - 32), 12, HPos::Center).map_err(failed)?;
    write("depth".to_owned(), (LEFT - 12, ABOVE - 12), 12, HPos::Right).map_err(failed)?;
    for (index, context) in contexts.iter().enumerate() {
        let at = (LEFT + CELL.0 * index as i32 + CELL.0 / 2, ABOVE - 12);
        write(format!("{context}"), at, 12, HPos::Center).map_err(failed)?;
    }
    for (index, depth) in depths.iter().enumerate() {
        let at = (LEFT - 12, ABOVE + CELL.1 * index as i32 + CELL.1 / 2);
        write(format!("{:.0} %", depth * 100.0), at, 12, HPos::Right).map_err(failed)?;
    }
    for needle in &row.needles {
        let (x, y) = place(needle);
        let cell = [(x + 1, y + 1), (x + CELL.0 - 1, y + CELL.1 - 1)];
        root.draw(&Rectangle::new(cell, colour(needle.fuzzy).filled())).map_err(failed)?;
        if needle.exact == 1.0 {
            root.draw(&Rectangle::new(cell, BLACK.stroke_width(2))).map_err(failed)?;
        }
        let at = (x + CELL.0 / 2, y + CELL.1 / 2);
        write(format!("{:.2}", needle.fuzzy), at, 14, HPos::Center).map_err(failed)?;
    }
    root.present().map_err(failed)
}

/// The different values, ascending.
fn axis(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
}

/// From a dull red over yellow to a green on which black text is read.
fn colour(score: f64) -> RGBColor {
    const STOPS: [[f64; 3]; 3] = [[222.0, 110.0, 98.0], [244.0, 219.0, 128.0], [120.0, 190.0, 120.0]];
    let at = score.clamp(0.0, 1.0) * 2.0;
    let (from, to, part) = if at < 1.0 { (STOPS[0], STOPS[1], at) } else { (STOPS[1], STOPS[2], at - 1.0) };
    let mix = |index: usize| (from[index] + (to[index] - from[index]) * part).round() as u8;
    RGBColor(mix(0), mix(1), mix(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_needle_has_its_cell_at_its_context_and_depth() {
        let needle =
            |context, depth, fuzzy| NeedleScore { context, depth, exact: f64::from(u8::from(fuzzy == 1.0)), fuzzy };
        let needles =
            vec![needle(1024, 0.5, 0.25), needle(512, 0.0, 1.0), needle(512, 0.5, 0.5), needle(1024, 0.0, 0.75)];
        let row = BenchRow { model: "<org>/model & co".to_owned(), needles, ..BenchRow::default() };
        let mut svg = String::new();
        draw(&row, &mut svg).unwrap();
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"), "{svg}");
        assert!(svg.contains("&lt;org&gt;/model &amp; co"), "{svg}");
        let texts: Vec<&str> = svg.split("</text>").filter_map(|part| part.rsplit('>').next()).map(str::trim).collect();
        for text in ["512", "1024", "0 %", "50 %", "0.25", "1.00", "0.50", "0.75"] {
            assert!(texts.contains(&text), "{text} in {texts:?}");
        }
        // The page, a cell for each needle, and a frame for the one that was found to the letter.
        assert_eq!(svg.matches("<rect ").count(), 1 + 4 + 1, "{svg}");
        assert_eq!((colour(0.0), colour(1.0)), (RGBColor(222, 110, 98), RGBColor(120, 190, 120)));
    }
}
