//! Text and logs.

use super::super::scrollback::{Kind, Scrollback};
use super::super::state::State;
use super::{pane, put, say};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// The text as it comes.
pub(super) fn text(buffer: &mut Buffer, area: Rect, state: &State) {
    let title = if state.text.follows() { "text" } else { "text (scrolled: End goes on)" };
    let inside = pane(buffer, state.look, title, area);
    if state.text.is_empty() {
        // There is no header that says so in a single row.
        return say(buffer, inside, if area.height == 1 { &state.status } else { "no text yet" }, state.look.aside());
    }
    rows(buffer, inside, state, &state.text);
}

/// What is logged.
pub(super) fn logs(buffer: &mut Buffer, area: Rect, state: &State) {
    let title = if state.logs.follows() { "logs" } else { "logs (scrolled: End goes on)" };
    let inside = pane(buffer, state.look, title, area);
    if state.logs.is_empty() {
        return say(buffer, inside, "nothing was logged yet", state.look.aside());
    }
    rows(buffer, inside, state, &state.logs);
}

fn rows(buffer: &mut Buffer, area: Rect, state: &State, of: &Scrollback) {
    for (row, (kind, text)) in of.rows(usize::from(area.width), usize::from(area.height)).into_iter().enumerate() {
        let style = match kind {
            Kind::Text => Style::new(),
            Kind::Thought => state.look.thought(),
            Kind::Said => state.look.said(),
        };
        put(buffer, area, (0, row), &text, style);
    }
}
