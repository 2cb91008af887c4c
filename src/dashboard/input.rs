//! The line that is typed in a chat.

use super::cells;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Lines that are remembered.
const HISTORY: usize = 1000;
/// The longest line, in bytes.
const LONGEST: usize = 1 << 20;

/// A line that is edited, and those before it.
#[derive(Clone, Debug, Default)]
pub(super) struct Input {
    text: String,
    /// A byte between two characters of `text`.
    cursor: usize,
    history: Vec<String>,
    /// Which line of the history is shown, counted from the end, and what was typed before it was looked up.
    recalled: Option<(usize, String)>,
}

impl Input {
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(super) fn clear(&mut self) {
        (self.text, self.cursor, self.recalled) = (String::new(), 0, None);
    }

    /// Takes the line out and remembers it. A line that ends in `\` goes on in the next instead.
    pub(super) fn submit(&mut self) -> Option<String> {
        if self.text.ends_with('\\') {
            self.text.pop();
            self.text.push('\n');
            self.cursor = self.text.len();
            return None;
        }
        let line = std::mem::take(&mut self.text);
        self.clear();
        if !line.trim().is_empty() && self.history.last() != Some(&line) {
            if self.history.len() == HISTORY {
                self.history.remove(0);
            }
            self.history.push(line.clone());
        }
        Some(line)
    }

    /// Edits the line; tells whether the key was one for that.
    pub(super) fn key(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match (key.code, control) {
            (KeyCode::Char(c), false) if !key.modifiers.contains(KeyModifiers::ALT) => self.insert(c),
            (KeyCode::Backspace, _) | (KeyCode::Char('h'), true) => self.remove(self.before()..self.cursor),
            (KeyCode::Delete, _) => self.remove(self.cursor..self.behind()),
            (KeyCode::Left, _) | (KeyCode::Char('b'), true) => self.cursor = self.before(),
            (KeyCode::Right, _) | (KeyCode::Char('f'), true) => self.cursor = self.behind(),
            (KeyCode::Home, _) | (KeyCode::Char('a'), true) => self.cursor = 0,
            (KeyCode::End, _) | (KeyCode::Char('e'), true) => self.cursor = self.text.len(),
            (KeyCode::Char('u'), true) => self.remove(0..self.cursor),
            (KeyCode::Char('k'), true) => self.remove(self.cursor..self.text.len()),
            (KeyCode::Char('w'), true) => self.remove(self.word()..self.cursor),
            (KeyCode::Up, _) => self.recall(1),
            (KeyCode::Down, _) => self.recall(-1),
            _ => return false,
        }
        true
    }

    fn insert(&mut self, c: char) {
        if self.text.len() < LONGEST {
            self.text.insert(self.cursor, c);
            self.cursor += c.len_utf8();
        }
    }

    fn remove(&mut self, range: std::ops::Range<usize>) {
        self.cursor = range.start;
        self.text.replace_range(range, "");
    }

    /// Where the grapheme in front of the cursor begins.
    fn before(&self) -> usize {
        let last = self.text[..self.cursor].chars().next_back();
        last.map_or(0, |c| self.cursor - c.len_utf8())
    }

    fn behind(&self) -> usize {
        let next = self.text[self.cursor..].chars().next();
        self.cursor + next.map_or(0, char::len_utf8)
    }

    /// Where the word in front of the cursor begins.
    fn word(&self) -> usize {
        let before = self.text[..self.cursor].trim_end();
        before.rfind(char::is_whitespace).map_or(0, |at| at + before[at..].chars().next().map_or(0, char::len_utf8))
    }

    fn recall(&mut self, by: isize) {
        let (now, typed) = match &self.recalled {
            Some((back, typed)) => (*back, typed.clone()),
            None => (0, self.text.clone()),
        };
        let back = now.saturating_add_signed(by).min(self.history.len());
        if back == now {
            return;
        }
        self.text = if back == 0 { typed.clone() } else { self.history[self.history.len() - back].clone() };
        self.recalled = (back > 0).then_some((back, typed));
        self.cursor = self.text.len();
    }

    /// What of the line stands in so many columns, and the column of the cursor.
    pub(super) fn shown(&self, columns: usize) -> (String, usize) {
        // A line of several is shown as one.
        let clean = |text: &str| cells::clean(&text.replace('\n', "⏎"));
        let (before, behind) = (clean(&self.text[..self.cursor]), clean(&self.text[self.cursor..]));
        let room = columns.saturating_sub(1);
        let (mut from, mut left) = (0, cells::width(&before));
        for (end, wide, _) in cells::graphemes(&before) {
            if left <= room {
                break;
            }
            (from, left) = (end, left - wide);
        }
        (format!("{}{behind}", &before[from..]), left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(input: &mut Input, keys: &[KeyCode]) {
        for &code in keys {
            assert!(input.key(KeyEvent::new(code, KeyModifiers::NONE)));
        }
    }

    fn line(input: &mut Input, text: &str) {
        typed(input, &text.chars().map(KeyCode::Char).collect::<Vec<_>>());
    }

    #[test]
    fn lines_are_edited_and_recalled() {
        let mut input = Input::default();
        line(&mut input, "Grüß dich");
        typed(&mut input, &[KeyCode::Home, KeyCode::Right, KeyCode::Right, KeyCode::Delete, KeyCode::Char('u')]);
        assert_eq!(input.shown(20), ("Gruß dich".to_owned(), 3));
        assert_eq!(input.submit().as_deref(), Some("Gruß dich"));
        line(&mut input, "more");
        typed(&mut input, &[KeyCode::Up, KeyCode::Up]);
        assert_eq!(input.shown(20).0, "Gruß dich");
        typed(&mut input, &[KeyCode::Down, KeyCode::Down]);
        assert_eq!(input.shown(20).0, "more");
        assert!(input.key(KeyEvent::new(KeyCode::Char('w'), KeyModifiers::CONTROL)) && input.is_empty());
    }

    #[test]
    fn a_long_line_is_shown_around_its_cursor() {
        let mut input = Input::default();
        line(&mut input, "abc日本語def");
        assert_eq!(input.shown(5), ("def".to_owned(), 3));
        assert_eq!(input.shown(6), ("語def".to_owned(), 5));
        assert_eq!((input.shown(1), input.shown(0)), ((String::new(), 0), (String::new(), 0)));
    }

    #[test]
    fn a_backslash_goes_on_in_the_next_line() {
        let mut input = Input::default();
        line(&mut input, "one\\");
        assert_eq!(input.submit(), None);
        line(&mut input, "two");
        assert_eq!(input.shown(20).0, "one⏎two");
        assert_eq!(input.submit().as_deref(), Some("one\ntwo"));
    }
}
