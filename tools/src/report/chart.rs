//! Drawings: axes, lines and rectangles by `plotters`, and above them points that are links.
//!
//! Ink is drawn in a colour that occurs nowhere else, and turned into `currentColor`, so that a page's text and its drawings follow
//! the reader's choice of dark or light together.

use super::legend::{Look, hex};
use crate::failure::Failure;
use plotters::coord::CoordTranslate as _;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use std::ops::Range;

const INK: RGBColor = RGBColor(1, 2, 3);
const FONT: (&str, u32) = ("sans-serif", 15);

/// What a figure's axes are.
pub(super) struct Axes<'a> {
    /// Pixels.
    pub(super) size: (u32, u32),
    pub(super) x: Range<f64>,
    pub(super) y: Range<f64>,
    pub(super) x_name: &'a str,
    pub(super) y_name: &'a str,
    pub(super) x_text: &'a dyn Fn(f64) -> String,
    pub(super) y_text: &'a dyn Fn(f64) -> String,
    /// Ticks along x and y, at most.
    pub(super) ticks: (usize, usize),
}

/// Something drawn between the axes.
pub(super) enum Mark {
    Line {
        points: Vec<(f64, f64)>,
        look: Look,
    },
    Rectangle {
        from: (f64, f64),
        to: (f64, f64),
        colour: RGBColor,
    },
    Text {
        at: (f64, f64),
        text: String,
        colour: Option<RGBColor>,
        centred: bool,
    },
    /// A link to an anchor of the page, with what the reader sees when pointing at it.
    Point {
        at: (f64, f64),
        look: Look,
        anchor: String,
        about: String,
    },
}

/// The drawing in SVG, to stand within a page.
pub(super) fn draw(axes: &Axes, marks: &[Mark], about: &str) -> Result<String, Failure> {
    let mut svg = String::new();
    let links =
        plot(&mut svg, axes, marks).map_err(|error| Failure::failed(format!("cannot draw `{about}`: {error}")))?;
    let body = svg.find('>').map_or("", |head| &svg[head + 1..]).trim().trim_end_matches("</svg>");
    let ink = hex(INK).to_uppercase();
    let (width, height) = axes.size;
    Ok(format!(
        "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">\n{}{links}</svg>",
        escaped(about),
        body.replace(&ink, "currentColor")
    ))
}

/// Draws all but the points, and returns those in SVG.
fn plot(svg: &mut String, axes: &Axes, marks: &[Mark]) -> Result<String, Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, axes.size).into_drawing_area();
    let mut chart = ChartBuilder::on(&area)
        .margin(10)
        .x_label_area_size(50)
        .y_label_area_size(if axes.y_name.is_empty() { 4 } else { 76 })
        .build_cartesian_2d(axes.x.clone(), axes.y.clone())?;
    chart
        .configure_mesh()
        .x_labels(axes.ticks.0)
        .y_labels(axes.ticks.1)
        .x_desc(axes.x_name)
        .y_desc(axes.y_name)
        .x_label_formatter(&|x| (axes.x_text)(*x))
        .y_label_formatter(&|y| (axes.y_text)(*y))
        .axis_style(INK.mix(0.5))
        .bold_line_style(INK.mix(0.12))
        .light_line_style(TRANSPARENT)
        .label_style(FONT.into_font().color(&INK))
        .axis_desc_style(FONT.into_font().color(&INK))
        .draw()?;
    let mut links = String::new();
    for mark in marks {
        match mark {
            Mark::Line { points, look } => {
                chart.draw_series([PathElement::new(points.clone(), look.colour.stroke_width(2))])?;
            }
            Mark::Rectangle { from, to, colour } => {
                chart.draw_series([Rectangle::new([*from, *to], colour.filled())])?;
            }
            Mark::Text { at, text, colour, centred } => {
                use plotters::style::text_anchor::{HPos, Pos, VPos};
                let position = Pos::new(if *centred { HPos::Center } else { HPos::Left }, VPos::Center);
                let style = FONT.into_font().color(&colour.unwrap_or(INK)).pos(position);
                chart.draw_series([Text::new(text.clone(), *at, style)])?;
            }
            Mark::Point { at, look, anchor, about } => {
                let spec: &Cartesian2d<RangedCoordf64, RangedCoordf64> = chart.as_coord_spec();
                let (x, y) = spec.translate(at);
                links += &link(anchor, about, &look.point(x, y));
            }
        }
    }
    area.present()?;
    drop(chart);
    drop(area);
    Ok(links)
}

/// A part of a drawing that leads to an anchor of the page.
fn link(anchor: &str, about: &str, shape: &str) -> String {
    format!("<a href=\"#{}\"><title>{}</title>{shape}</a>\n", escaped(anchor), escaped(about))
}

/// Text that is neither a tag nor the end of an attribute.
fn escaped(text: &str) -> String {
    let mut safe = String::new();
    for c in text.chars() {
        match c {
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '&' => safe += "&amp;",
            '"' => safe += "&quot;",
            '\'' => safe += "&#39;",
            // XML has no such characters, escaped or not.
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

/// The least range that holds all values, widened by a share of itself, never empty.
pub(super) fn around(values: impl Iterator<Item = f64>, share: f64) -> Range<f64> {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return 0.0..1.0;
    }
    let room = ((high - low) * share).max(high.abs() * 1e-3).max(1e-9);
    low - room..high + room
}

/// A number with three digits that count.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size >= 0.01 => format!("{value:.3}"),
        _ => format!("{value:.1e}"),
    }
}
