//! Times of the steps' parts.

use super::super::cells;
use super::super::state::State;
use super::table::{Columns, name};
use super::{pane, say, unprofiled};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// The whole tree.
pub(super) fn draw(buffer: &mut Buffer, area: Rect, state: &State) {
    let title = match state.profiling {
        true => format!("latency: one token in {} is profiled", state.every),
        false => "latency: no token is profiled".to_owned(),
    };
    let inside = pane(buffer, state.look, &title, area);
    if state.latency.is_empty() {
        return say(buffer, inside, unprofiled(state), state.look.aside());
    }
    let columns = match inside.width {
        50.. => Columns { numbers: &[("last ms", 11), ("average ms", 11)], bar: usize::from(inside.width) / 4 },
        34.. => Columns { numbers: &[("last ms", 9), ("average", 9)], bar: 0 },
        _ => Columns { numbers: &[("last ms", 8)], bar: 0 },
    };
    let headings = inside.height >= 4;
    if headings {
        columns.headings(buffer, inside, "", state.look.heading());
    }
    let first = usize::from(headings);
    let most = state.latency.rows().iter().map(|row| row.average_ms).filter(|ms| ms.is_finite()).fold(0.0, f64::max);
    for (at, shown) in state.latency.shown(usize::from(inside.height) - first).iter().enumerate() {
        let numbers = [shown.row.last_ms, shown.row.average_ms].map(|ms| cells::number(ms, 3));
        let style = if shown.selected { state.look.selected() } else { Style::new() };
        columns.row(buffer, inside, first + at, (&name(shown), &numbers), style);
        columns.bar(buffer, inside, first + at, (shown.row.average_ms / most, 0.0), state.look.bar());
    }
}

/// The beginning of it, beside other things.
pub(super) fn brief(buffer: &mut Buffer, area: Rect, state: &State) {
    let inside = pane(buffer, state.look, "latency, average ms", area);
    if state.latency.is_empty() {
        return say(buffer, inside, unprofiled(state), state.look.aside());
    }
    let columns = Columns { numbers: &[("", 9)], bar: 0 };
    for (at, shown) in state.latency.shown(usize::from(inside.height)).iter().enumerate() {
        let numbers = [cells::number(shown.row.average_ms, 3)];
        columns.row(buffer, inside, at, (&name(shown), &numbers), Style::new());
    }
}
