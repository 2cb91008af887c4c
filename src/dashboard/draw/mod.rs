//! What the terminal shows of a state: a line with views and status, the view, what is typed, a line with keys.

mod latency;
mod memory;
mod ops;
mod overview;
mod scrolled;
mod table;

use super::cells;
use super::look::Look;
use super::state::{State, View};
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::{Block, Widget as _};

/// Draws all of it, in as much room as there is.
pub fn draw(frame: &mut Frame<'_>, state: &State) {
    let whole = frame.area();
    let mut body = whole;
    if whole.height > 1 || state.view != View::Overview {
        header(frame.buffer_mut(), top(&mut body), state);
    }
    if body.height >= 3 {
        help(frame.buffer_mut(), bottom(&mut body), state);
    }
    if state.input.is_some() && body.height >= 2 {
        let line = bottom(&mut body);
        input(frame, line, state);
    }
    view(frame.buffer_mut(), body, state);
}

fn view(buffer: &mut Buffer, area: Rect, state: &State) {
    match state.view {
        View::Overview => overview::draw(buffer, area, state),
        View::Latency => latency::draw(buffer, area, state),
        View::Memory => memory::draw(buffer, area, state),
        View::Ops => ops::draw(buffer, area, state),
        View::Logs => scrolled::logs(buffer, area, state),
    }
}

/// Takes the first row off `area`.
fn top(area: &mut Rect) -> Rect {
    let row = Rect { height: area.height.min(1), ..*area };
    (area.y, area.height) = (area.y + row.height, area.height - row.height);
    row
}

/// Takes the last row off `area`.
fn bottom(area: &mut Rect) -> Rect {
    area.height = area.height.saturating_sub(1);
    Rect { y: area.y + area.height, height: 1, ..*area }
}

/// Writes into a row of `area`, from a column on; what does not fit is left out.
fn put(buffer: &mut Buffer, area: Rect, (column, row): (usize, usize), text: &str, style: Style) {
    if row >= usize::from(area.height) || column >= usize::from(area.width) {
        return;
    }
    let (x, y) = (area.x + column as u16, area.y + row as u16);
    if buffer.area.contains((x, y).into()) {
        buffer.set_stringn(x, y, text, usize::from(area.width) - column, style);
    }
}

/// A frame with a title, where there is room for one; gives what is inside.
fn pane(buffer: &mut Buffer, look: Look, title: &str, area: Rect) -> Rect {
    if area.width < 24 || area.height < 4 {
        return area;
    }
    let title = cells::left(title, cells::width(title).min(usize::from(area.width) - 4));
    let block = Block::bordered().border_style(look.border()).title(Line::styled(format!(" {title} "), look.title()));
    let inside = block.inner(area);
    block.render(area, buffer);
    inside
}

/// One line in an empty pane, broken where it has to be.
fn say(buffer: &mut Buffer, area: Rect, text: &str, style: Style) {
    let text = cells::clean(text);
    for (row, range) in super::wrap::wrap(&text, usize::from(area.width)).into_iter().enumerate() {
        put(buffer, area, (0, row), &text[range], style);
    }
}

/// What a pane without rows of profiled tokens says.
fn unprofiled(state: &State) -> &'static str {
    if state.profiling { "no token was profiled yet" } else { "profiling is off: p turns it on" }
}

/// The views, and what is being done.
fn header(buffer: &mut Buffer, area: Rect, state: &State) {
    let (columns, look) = (usize::from(area.width), state.look);
    let mut at = 0;
    if columns >= 70 {
        for (number, view) in View::ALL.into_iter().enumerate() {
            let name = format!(" {} {} ", number + 1, view.name());
            let style = if view == state.view { look.selected() } else { look.aside() };
            put(buffer, area, (at, 0), &name, style);
            at += cells::width(&name);
        }
    } else {
        put(buffer, area, (0, 0), state.view.name(), look.selected());
        at = state.view.name().len();
    }
    let Some(room) = columns.checked_sub(at + 2) else { return };
    let status = if columns >= 100 { format!("{} — {}", state.title, state.status) } else { state.status.clone() };
    let status = cells::left(&status, cells::width(&status).min(room));
    put(buffer, area, (columns - cells::width(&status), 0), &status, look.title());
}

/// What keys do here, the most important first; in their place what the last key did, where that is not to be seen.
fn help(buffer: &mut Buffer, area: Rect, state: &State) {
    if let Some(notice) = &state.notice {
        return put(buffer, area, (0, 0), notice, state.look.title());
    }
    let mut at = 0;
    for (key, does) in keys(state) {
        let wide = cells::width(key) + 1 + cells::width(does);
        if at + wide > usize::from(area.width) {
            continue;
        }
        put(buffer, area, (at, 0), key, state.look.heading());
        put(buffer, area, (at + cells::width(key) + 1, 0), does, state.look.aside());
        at += wide + 2;
    }
}

fn keys(state: &State) -> Vec<(&'static str, &'static str)> {
    if state.typing {
        let stop = if state.running && !state.stopping { "stop" } else { "quit" };
        return vec![
            ("Enter", "send"),
            ("Ctrl-C", stop),
            ("Tab", "view"),
            ("Esc", "commands"),
            ("PgUp PgDn", "scroll"),
        ];
    }
    let mut keys = vec![("q", "quit"), ("Tab", "view")];
    keys.extend_from_slice(match state.view {
        View::Overview | View::Logs => &[("↑↓", "scroll")],
        View::Latency | View::Memory => &[("↑↓", "row"), ("Enter", "fold"), ("f", "all")],
        View::Ops => &[("t", "time"), ("s", "share"), ("n", "name"), ("c", "calls")],
    });
    if state.input.is_some() {
        keys.push(("i", "type"));
    }
    if state.running {
        keys.push(("x", "stop"));
    }
    keys.push(("p", if state.profiling { "stop profiling" } else { "profile" }));
    keys.extend([("y", "copy"), ("l", "logs")]);
    keys
}

/// The line that is typed.
fn input(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let Some(line) = &state.input else { return };
    let mark = if state.asked { "> " } else { "… " };
    let (text, column) = line.shown(usize::from(area.width).saturating_sub(2));
    let style = if state.typing { state.look.said() } else { state.look.aside() };
    put(frame.buffer_mut(), area, (0, 0), mark, style);
    put(frame.buffer_mut(), area, (2, 0), &text, Style::new());
    let column = u16::try_from(column + 2).unwrap_or(u16::MAX);
    if state.typing && column < area.width {
        frame.set_cursor_position((area.x + column, area.y));
    }
}
