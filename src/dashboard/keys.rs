//! What keys do.

use super::op_table::Sort;
use super::scrollback::Kind;
use super::state::{State, View};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// What a key asks of others than the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The dashboard is to end.
    Quit,
    /// The same, as an interruption.
    Interrupt,
    /// The text that is being made is to end where it is.
    Cancel,
    /// Tokens are to be profiled from here on, or no more.
    ToggleProfiling(bool),
    /// The terminal's clipboard is to hold this.
    Copy(String),
    /// A line was typed in a chat.
    Submit(String),
}

impl State {
    /// Takes in a key.
    pub fn key(&mut self, key: KeyEvent) -> Option<Action> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        self.notice = None;
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return self.interrupted();
        }
        match key.code {
            KeyCode::Tab => self.turn_view(1),
            KeyCode::BackTab => self.turn_view(View::ALL.len() - 1),
            KeyCode::F(number @ 1..=5) => self.view = View::ALL[usize::from(number) - 1],
            KeyCode::PageUp => self.page(-1),
            KeyCode::PageDown => self.page(1),
            KeyCode::Esc if self.input.is_some() => self.typing = !self.typing,
            KeyCode::Esc => return self.stop(),
            _ if self.typing => return self.typed(key),
            _ => return self.command(key),
        }
        None
    }

    /// Stops the text that is being made.
    fn stop(&mut self) -> Option<Action> {
        self.stopping |= self.running;
        self.running.then_some(Action::Cancel)
    }

    /// Ctrl-C: in a chat it stops a reply first, or takes back what was typed. The second time it ends the dashboard.
    fn interrupted(&mut self) -> Option<Action> {
        match &mut self.input {
            Some(_) if self.running && !self.stopping => self.stop(),
            Some(input) if !input.is_empty() => {
                input.clear();
                None
            }
            _ => Some(Action::Interrupt),
        }
    }

    /// A key while a line is typed.
    fn typed(&mut self, key: KeyEvent) -> Option<Action> {
        let input = self.input.as_mut()?;
        match key.code {
            // While nobody waits for the line it can be edited on.
            KeyCode::Enter if !self.asked => None,
            KeyCode::Enter => {
                let line = input.submit()?;
                self.text.push_line(Kind::Said, &format!("> {line}"));
                self.text.end();
                self.asked = false;
                self.status = "working".to_owned();
                Some(Action::Submit(line))
            }
            KeyCode::Char('d') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                input.is_empty().then_some(Action::Quit)
            }
            _ => {
                input.key(key);
                None
            }
        }
    }

    /// A key that stands for a command.
    fn command(&mut self, key: KeyEvent) -> Option<Action> {
        if key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) {
            return None;
        }
        match key.code {
            KeyCode::Char('q') => return Some(Action::Quit),
            KeyCode::Char('x') => return self.stop(),
            KeyCode::Char('y') => {
                let text = self.text.text();
                self.notice = Some(format!("copied {} characters", text.chars().count()));
                return Some(Action::Copy(text));
            }
            KeyCode::Char('p') => {
                self.profiling = !self.profiling;
                return Some(Action::ToggleProfiling(self.profiling));
            }
            KeyCode::Char('i') => self.typing = self.input.is_some(),
            KeyCode::Char('l') => self.view = View::Logs,
            KeyCode::Char(digit @ '1'..='5') => self.view = View::ALL[digit as usize - '1' as usize],
            KeyCode::Up | KeyCode::Char('k') => self.walk(-1),
            KeyCode::Down | KeyCode::Char('j') => self.walk(1),
            KeyCode::Home => self.walk(isize::MIN / 2),
            KeyCode::End => self.walk(isize::MAX / 2),
            _ => self.in_view(key.code),
        }
        None
    }

    /// A key that means something in one view only.
    fn in_view(&mut self, code: KeyCode) {
        match (self.view, code) {
            (View::Latency, KeyCode::Enter | KeyCode::Char(' ')) => self.latency.turn(),
            (View::Latency, KeyCode::Left) => self.latency.fold(),
            (View::Latency, KeyCode::Right) => self.latency.unfold(),
            (View::Latency, KeyCode::Char('f')) => self.latency.turn_all(),
            (View::Memory, KeyCode::Enter | KeyCode::Char(' ')) => self.memory.turn(),
            (View::Memory, KeyCode::Left) => self.memory.fold(),
            (View::Memory, KeyCode::Right) => self.memory.unfold(),
            (View::Memory, KeyCode::Char('f')) => self.memory.turn_all(),
            (View::Ops, KeyCode::Char('t')) => self.ops.sort_by(Sort::Time),
            (View::Ops, KeyCode::Char('s')) => self.ops.sort_by(Sort::Share),
            (View::Ops, KeyCode::Char('n')) => self.ops.sort_by(Sort::Name),
            (View::Ops, KeyCode::Char('c')) => self.ops.sort_by(Sort::Calls),
            _ => {}
        }
    }

    fn turn_view(&mut self, by: usize) {
        let at = View::ALL.iter().position(|view| *view == self.view).unwrap_or(0);
        self.view = View::ALL[(at + by) % View::ALL.len()];
    }

    /// Moves in what is looked at; beyond both ends by very much.
    fn walk(&mut self, by: isize) {
        let far = by.unsigned_abs() > 1 << 20;
        let scrolled = match self.view {
            View::Overview => &mut self.text,
            View::Logs => &mut self.logs,
            View::Latency => return self.latency.walk(by),
            View::Memory => return self.memory.walk(by),
            View::Ops => return self.ops.walk(by),
        };
        match (far, by < 0) {
            (false, _) => scrolled.scroll(by),
            (true, true) => scrolled.home(),
            (true, false) => scrolled.end(),
        }
    }

    fn page(&mut self, by: isize) {
        match self.view {
            View::Overview => self.text.page(by),
            View::Logs => self.logs.page(by),
            View::Latency => self.latency.page(by),
            View::Memory => self.memory.page(by),
            View::Ops => self.ops.page(by),
        }
    }
}
