//! The dashboard without a terminal: what it draws, and that nothing which happens to it makes it fail or grow without end.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod laws;
mod sample;
mod snapshots;

use ffai::dashboard::{State, draw};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

fn terminal(columns: u16, rows: u16) -> Terminal<TestBackend> {
    Terminal::new(TestBackend::new(columns, rows)).unwrap()
}

/// What a terminal of so many columns and rows shows.
fn drawn(state: &State, columns: u16, rows: u16) -> Buffer {
    let mut terminal = terminal(columns, rows);
    terminal.draw(|frame| draw(frame, state)).unwrap();
    terminal.backend().buffer().clone()
}

/// The text of a buffer, its rows without the spaces at their ends.
fn text(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in 0..buffer.area.height {
        let mut row = String::new();
        let mut x = 0;
        while x < buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            row.push_str(symbol);
            // The cells behind a wide character are empty.
            x += (ratatui::text::Span::raw(symbol).width() as u16).max(1);
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

fn press(state: &mut State, keys: &[KeyCode]) {
    for &code in keys {
        state.key(KeyEvent::new(code, KeyModifiers::NONE));
    }
}
