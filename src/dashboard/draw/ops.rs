//! Ops of the device, sorted.

use super::super::cells;
use super::super::op_table::Sort;
use super::super::state::State;
use super::super::tree::window;
use super::table::Columns;
use super::{bottom, pane, put, say, unprofiled};
use crate::measure::OpRow;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// A column: heading, width, what it is sorted by, its text.
type Column = (&'static str, usize, Option<Sort>, fn(&OpRow) -> String);

const COLUMNS: [Column; 7] = [
    ("calls", 7, Some(Sort::Calls), |row| row.calls.to_string()),
    ("total ms", 10, Some(Sort::Time), |row| cells::number(row.total_ms, 2)),
    ("avg µs", 8, None, |row| cells::number(row.avg_us, 1)),
    ("share", 7, Some(Sort::Share), |row| percent(row.share)),
    ("GB/s", 7, None, |row| cells::number(row.gb_per_s, 1)),
    ("GFLOP/s", 9, None, |row| cells::number(row.gflop_per_s, 1)),
    ("of peak", 8, None, |row| row.peak_share.map_or(String::new(), percent)),
];

fn percent(share: f64) -> String {
    if share.is_finite() { format!("{}%", cells::number(share * 100.0, 1)) } else { "-".to_owned() }
}

pub(super) fn draw(buffer: &mut Buffer, area: Rect, state: &State) {
    let mut inside = pane(buffer, state.look, "ops, all profiled tokens", area);
    if state.ops.rows.is_empty() {
        return say(buffer, inside, unprofiled(state), state.look.aside());
    }
    // Names may be longer than their column.
    if let Some(row) = state.ops.rows.get(state.ops.selected).filter(|_| inside.height >= 6) {
        let line = bottom(&mut inside);
        put(buffer, line, (0, 0), &cells::left(&row.name, usize::from(line.width)), state.look.aside());
    }
    let taken: &[usize] = match inside.width {
        74.. => &[0, 1, 2, 3, 4, 5, 6],
        48.. => &[0, 1, 3],
        _ => &[1],
    };
    let marked: Vec<(String, usize)> = taken.iter().map(|&index| heading(state, &COLUMNS[index])).collect();
    let numbers: Vec<(&str, usize)> = marked.iter().map(|(heading, wide)| (heading.as_str(), *wide)).collect();
    let columns = Columns { numbers: &numbers, bar: 0 };
    let headings = inside.height >= 4;
    if headings {
        let name = format!("op{}", mark(state, Sort::Name));
        columns.headings(buffer, inside, &name, state.look.heading());
    }
    let first = usize::from(headings);
    let count = usize::from(inside.height) - first;
    let from = window(state.ops.window.get().0, count, state.ops.selected, state.ops.rows.len());
    state.ops.window.set((from, count));
    for (at, row) in state.ops.rows.iter().enumerate().skip(from).take(count) {
        let numbers: Vec<String> = taken.iter().map(|&index| COLUMNS[index].3(row)).collect();
        let style = if at == state.ops.selected { state.look.selected() } else { Style::new() };
        columns.row(buffer, inside, first + at - from, (&row.name, &numbers), style);
    }
}

fn heading(state: &State, (heading, wide, sort, _): &Column) -> (String, usize) {
    (format!("{heading}{}", sort.map_or("", |sort| mark(state, sort))), *wide)
}

/// Stands behind the heading of what is sorted by.
fn mark(state: &State, sort: Sort) -> &'static str {
    let descends = (sort == Sort::Name) == state.ops.reversed;
    match (state.ops.sort == sort, descends) {
        (false, _) => "",
        (true, true) => "↓",
        (true, false) => "↑",
    }
}
