//! Memory, by what it is for.

use super::super::cells;
use super::super::state::State;
use super::table::{Columns, name};
use super::{bottom, pane, put, say};
use crate::measure::MemoryRow;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

const UNKNOWN: &str = "memory was not measured yet";

/// The whole tree.
pub(super) fn draw(buffer: &mut Buffer, area: Rect, state: &State) {
    let mut inside = pane(buffer, state.look, "memory, MB", area);
    if state.memory.is_empty() {
        return say(buffer, inside, UNKNOWN, state.look.aside());
    }
    if let Some(row) = state.memory.selected().filter(|_| inside.height >= 6 && inside.width >= 50) {
        let line = bottom(&mut inside);
        put(buffer, line, (0, 0), &details(row), state.look.aside());
    }
    let columns = match inside.width {
        72.. => Columns {
            numbers: &[("now", 10), ("peak", 10), ("pool", 9), ("kv used", 9), ("kv room", 9)],
            bar: usize::from(inside.width) / 6,
        },
        44.. => Columns { numbers: &[("now", 10), ("peak", 10)], bar: usize::from(inside.width) / 4 },
        _ => Columns { numbers: &[("now", 9)], bar: 0 },
    };
    let headings = inside.height >= 4;
    if headings {
        columns.headings(buffer, inside, "", state.look.heading());
    }
    let first = usize::from(headings);
    let most = state.memory.rows().iter().map(|row| row.peak_total_mb).filter(|mb| mb.is_finite()).fold(0.0, f64::max);
    for (at, shown) in state.memory.shown(usize::from(inside.height) - first).iter().enumerate() {
        let row = shown.row;
        let numbers =
            [row.current_total_mb, row.peak_total_mb, row.current_pool_mb, row.current_kv_mb, row.current_kv_cache_mb];
        let numbers = numbers.map(|mb| cells::number(mb, 1));
        let style = if shown.selected { state.look.selected() } else { Style::new() };
        columns.row(buffer, inside, first + at, (&name(shown), &numbers), style);
        let shares = (row.current_total_mb / most, row.peak_total_mb / most);
        columns.bar(buffer, inside, first + at, shares, state.look.bar());
    }
}

/// What the columns do not hold of the row that is selected.
fn details(row: &MemoryRow) -> String {
    let mb = |value: f64| cells::number(value, 1);
    let peaks = (mb(row.peak_pool_mb), mb(row.peak_kv_mb), mb(row.peak_kv_cache_mb));
    let whole = (mb(row.absolute_pool_mb), mb(row.absolute_kv_mb), mb(row.absolute_kv_cache_mb));
    let peaks = format!("peaks: pool {}, kv {} of {}", peaks.0, peaks.1, peaks.2);
    match row.show_absolute {
        true => format!("{peaks}; whole process: pool {}, kv {} of {}", whole.0, whole.1, whole.2),
        // Whose name may be longer than its column.
        false => format!("{}: {peaks}", cells::clean(&row.label)),
    }
}

/// The beginning of it, beside other things.
pub(super) fn brief(buffer: &mut Buffer, area: Rect, state: &State) {
    let inside = pane(buffer, state.look, "memory, MB", area);
    if state.memory.is_empty() {
        return say(buffer, inside, UNKNOWN, state.look.aside());
    }
    let columns = Columns { numbers: &[("", 10)], bar: 0 };
    for (at, shown) in state.memory.shown(usize::from(inside.height)).iter().enumerate() {
        let numbers = [cells::number(shown.row.current_total_mb, 1)];
        columns.row(buffer, inside, at, (&name(shown), &numbers), Style::new());
    }
}
