//! Which colour and which shape a label has, the same in every figure of a page.

use plotters::style::RGBColor;
use std::collections::BTreeSet;

/// M. Okabe and K. Ito, "Color Universal Design", 2008: told apart by nearly everybody; without the yellow and the black, which vanish
/// on one of the two backgrounds.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
];

/// The shape of a point; with the colours, as many looks as there are pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Circle,
    Square,
    Diamond,
    Triangle,
}

const SHAPES: [Shape; 4] = [Shape::Circle, Shape::Square, Shape::Diamond, Shape::Triangle];

/// How a label is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) colour: RGBColor,
    pub(super) shape: Shape,
}

/// All labels of a page, in alphabetical order.
pub(super) struct Legend(Vec<String>);

impl Legend {
    pub(super) fn of(labels: impl Iterator<Item = String>) -> Self {
        Self(labels.collect::<BTreeSet<String>>().into_iter().collect())
    }

    /// The look of a label of this page; looks repeat after 24.
    pub(super) fn look(&self, label: &str) -> Look {
        let index = self.0.iter().position(|known| known == label).unwrap_or(0);
        Look { colour: COLOURS[index % COLOURS.len()], shape: SHAPES[index / COLOURS.len() % SHAPES.len()] }
    }
}

impl Look {
    /// The point around `(x, y)` in SVG.
    pub(super) fn point(self, x: i32, y: i32) -> String {
        let fill = hex(self.colour);
        let polygon = |points: &[(i32, i32)]| {
            let points: Vec<String> = points.iter().map(|(dx, dy)| format!("{},{}", x + dx, y + dy)).collect();
            format!(r#"<polygon points="{}" fill="{fill}"/>"#, points.join(" "))
        };
        match self.shape {
            Shape::Circle => format!(r#"<circle cx="{x}" cy="{y}" r="5" fill="{fill}"/>"#),
            Shape::Square => polygon(&[(-5, -5), (5, -5), (5, 5), (-5, 5)]),
            Shape::Diamond => polygon(&[(0, -7), (7, 0), (0, 7), (-7, 0)]),
            Shape::Triangle => polygon(&[(0, -7), (6, 5), (-6, 5)]),
        }
    }
}

/// A colour as CSS writes it.
pub(super) fn hex(RGBColor(red, green, blue): RGBColor) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}
