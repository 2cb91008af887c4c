//! Columns: a name that takes what is left, numbers at the right end of theirs.

use super::super::cells;
use super::super::tree::{Row, Shown};
use super::put;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// The columns of a table.
pub(super) struct Columns<'c> {
    /// Heading and width, the space in front of it included, of each number.
    pub(super) numbers: &'c [(&'c str, usize)],
    /// Columns of a bar behind them.
    pub(super) bar: usize,
}

impl Columns<'_> {
    fn name(&self, area: Rect) -> usize {
        let others: usize = self.numbers.iter().map(|(_, wide)| wide).sum();
        usize::from(area.width).saturating_sub(others + self.bar)
    }

    /// Headings above the first row.
    pub(super) fn headings(&self, buffer: &mut Buffer, area: Rect, name: &str, style: Style) {
        let numbers: Vec<String> = self.numbers.iter().map(|(heading, _)| (*heading).to_owned()).collect();
        self.row(buffer, area, 0, (name, &numbers), style);
    }

    /// A row of a name and its numbers.
    pub(super) fn row(
        &self,
        buffer: &mut Buffer,
        area: Rect,
        row: usize,
        (name, numbers): (&str, &[String]),
        style: Style,
    ) {
        let mut line = cells::left(name, self.name(area));
        for ((_, wide), number) in self.numbers.iter().zip(numbers) {
            line.push(' ');
            line.push_str(&cells::right(number, wide - 1));
        }
        put(buffer, area, (0, row), &line, style);
    }

    /// A bar in the row, of `share` and, lighter, up to `peak`.
    pub(super) fn bar(&self, buffer: &mut Buffer, area: Rect, row: usize, (share, peak): (f64, f64), style: Style) {
        let Some(room) = self.bar.checked_sub(1) else { return };
        let at = usize::from(area.width).saturating_sub(room);
        let light = cells::width(&cells::bar(peak, room));
        put(buffer, area, (at, row), &"░".repeat(light), style);
        put(buffer, area, (at, row), &cells::bar(share, room), style);
    }
}

/// A row's name, moved in by its depth, with a mark where rows lie in it.
pub(super) fn name<R: Row>(shown: &Shown<'_, R>) -> String {
    let mark = match shown.fold {
        Some(true) => "▸ ",
        Some(false) => "▾ ",
        None => "  ",
    };
    format!("{}{mark}{}", "  ".repeat(usize::from(shown.row.level().min(16))), shown.row.label())
}
