//! Text that grows at its end and is looked at through a window.
//!
//! What is kept is the text; rows are made when they are looked at, of no more lines than there is room for.

use super::cells;
use super::wrap::wrap;
use std::cell::Cell;
use std::collections::VecDeque;

/// A line without end is broken after so many bytes, so that showing its end costs no more than that.
const LONGEST: usize = 8192;

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// What a model thinks.
    Thought,
    /// What the user said.
    Said,
}

#[derive(Clone, Debug)]
struct Piece {
    kind: Kind,
    text: String,
    /// Whether a newline follows.
    ended: bool,
}

/// What is kept, and where one looks.
#[derive(Clone, Debug)]
pub(super) struct Scrollback {
    pieces: VecDeque<Piece>,
    /// Pieces that were dropped: the number of the first that is kept.
    dropped: u64,
    bytes: usize,
    most_bytes: usize,
    /// Number of the piece at the top of the window and its row; none while the window follows the end.
    top: Option<(u64, usize)>,
    /// Columns and rows of the window, as it was last drawn.
    window: Cell<(usize, usize)>,
}

impl Scrollback {
    /// One that forgets its beginning when it takes more than `most_bytes`.
    pub(super) fn new(most_bytes: usize) -> Self {
        Self { pieces: VecDeque::new(), dropped: 0, bytes: 0, most_bytes, top: None, window: Cell::new((80, 24)) }
    }

    /// Adds text behind what there is.
    pub(super) fn push(&mut self, kind: Kind, text: &str) {
        for line in text.split_inclusive('\n') {
            let (mut rest, ended) = match line.strip_suffix('\n') {
                Some(line) => (line, true),
                None => (line, false),
            };
            loop {
                let piece = self.open_piece(kind);
                let room = LONGEST.saturating_sub(piece.text.len());
                let cut = floor(rest, room);
                piece.text.push_str(&rest[..cut]);
                rest = &rest[cut..];
                if rest.is_empty() {
                    piece.ended |= ended;
                    break;
                }
                // Full: the next one begins.
                let full = Piece { kind, text: String::new(), ended: false };
                self.pieces.push_back(full);
            }
            self.bytes += line.len();
        }
        while self.memory() > self.most_bytes && self.pieces.len() > 1 {
            if let Some(piece) = self.pieces.pop_front() {
                self.bytes -= piece.text.len() + usize::from(piece.ended);
                self.dropped += 1;
            }
        }
    }

    /// The piece that text of `kind` goes on in.
    fn open_piece(&mut self, kind: Kind) -> &mut Piece {
        if self.pieces.back().is_none_or(|piece| piece.ended || piece.kind != kind) {
            self.pieces.push_back(Piece { kind, text: String::new(), ended: false });
        }
        let last = self.pieces.len() - 1;
        &mut self.pieces[last]
    }

    /// Adds a line of its own.
    pub(super) fn push_line(&mut self, kind: Kind, line: &str) {
        if self.pieces.back().is_some_and(|piece| !piece.ended) {
            self.push(kind, "\n");
        }
        self.push(kind, line);
        self.push(kind, "\n");
    }

    /// All that is kept.
    pub(super) fn text(&self) -> String {
        let mut text = String::with_capacity(self.bytes);
        for piece in &self.pieces {
            text.push_str(&piece.text);
            if piece.ended {
                text.push('\n');
            }
        }
        text
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Bytes that the text takes; empty lines take some too.
    pub(super) fn memory(&self) -> usize {
        self.bytes + self.pieces.len() * size_of::<Piece>()
    }

    /// Whether the window follows the end.
    pub(super) fn follows(&self) -> bool {
        self.top.is_none()
    }

    /// The rows that a window of so many `columns` and `rows` shows.
    pub(super) fn rows(&self, columns: usize, rows: usize) -> Vec<(Kind, String)> {
        self.window.set((columns, rows));
        let (mut number, mut row) = self.clamped_top(columns, rows);
        let mut shown = Vec::new();
        while shown.len() < rows {
            let Some(piece) = self.piece(number) else { break };
            let text = cells::clean(&piece.text);
            let ranges = wrap(&text, columns);
            let room = rows - shown.len();
            shown.extend(ranges.into_iter().skip(row).take(room).map(|range| (piece.kind, text[range].to_owned())));
            (number, row) = (number + 1, 0);
        }
        shown
    }

    fn piece(&self, number: u64) -> Option<&Piece> {
        self.pieces.get(usize::try_from(number.checked_sub(self.dropped)?).ok()?)
    }

    fn height(&self, number: u64, columns: usize) -> usize {
        self.piece(number).map_or(0, |piece| wrap(&cells::clean(&piece.text), columns).len())
    }

    /// The top of a window that ends where the text does.
    fn last_top(&self, columns: usize, rows: usize) -> (u64, usize) {
        let mut number = self.dropped + self.pieces.len() as u64;
        let mut missing = rows;
        while number > self.dropped {
            number -= 1;
            let height = self.height(number, columns);
            if height >= missing {
                return (number, height - missing);
            }
            missing -= height;
        }
        (self.dropped, 0)
    }

    /// Where the window begins: what it looked at may have been dropped, or broken into fewer rows.
    fn clamped_top(&self, columns: usize, rows: usize) -> (u64, usize) {
        let last = self.last_top(columns, rows);
        match self.top {
            None => last,
            Some((number, _)) if number < self.dropped => (self.dropped, 0).min(last),
            Some((number, row)) => (number, row.min(self.height(number, columns).saturating_sub(1))).min(last),
        }
    }

    /// Moves the window by rows; at the end it follows again.
    pub(super) fn scroll(&mut self, by: isize) {
        let (columns, rows) = self.window.get();
        let (mut number, mut row) = self.clamped_top(columns, rows);
        let last = self.last_top(columns, rows);
        for _ in 0..by.unsigned_abs() {
            if by < 0 {
                match (row, number > self.dropped) {
                    (0, false) => break,
                    (0, true) => {
                        number -= 1;
                        row = self.height(number, columns).saturating_sub(1);
                    }
                    _ => row -= 1,
                }
            } else if (number, row) >= last {
                break;
            } else if row + 1 < self.height(number, columns) {
                row += 1;
            } else {
                (number, row) = (number + 1, 0);
            }
        }
        self.top = ((number, row) < last).then_some((number, row));
    }

    /// Moves by windows, less a row that stays to be recognized.
    pub(super) fn page(&mut self, by: isize) {
        let rows = self.window.get().1.saturating_sub(1).max(1);
        self.scroll(by * isize::try_from(rows).unwrap_or(1));
    }

    /// Looks at the beginning.
    pub(super) fn home(&mut self) {
        let (columns, rows) = self.window.get();
        let first = (self.dropped, 0);
        self.top = (first < self.last_top(columns, rows)).then_some(first);
    }

    /// Follows the end.
    pub(super) fn end(&mut self) {
        self.top = None;
    }
}

/// The longest beginning of `text` of at most `most` bytes that ends between two characters.
fn floor(text: &str, most: usize) -> usize {
    (0..=most.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &Scrollback, columns: usize, rows: usize) -> Vec<String> {
        text.rows(columns, rows).into_iter().map(|(_, row)| row).collect()
    }

    #[test]
    fn the_window_follows_the_end_until_it_is_moved() {
        let mut text = Scrollback::new(1 << 20);
        text.push(Kind::Text, "one\ntwo\nthree four\n");
        text.push(Kind::Text, "fi");
        text.push(Kind::Text, "ve");
        assert_eq!(shown(&text, 6, 3), ["three ", "four", "five"]);
        text.scroll(-1);
        assert_eq!(shown(&text, 6, 3), ["two", "three ", "four"]);
        text.push(Kind::Text, "\nsix");
        assert_eq!(shown(&text, 6, 3), ["two", "three ", "four"]);
        text.home();
        assert_eq!(shown(&text, 6, 2), ["one", "two"]);
        text.scroll(1000);
        assert!(text.follows());
        assert_eq!(shown(&text, 6, 9), ["one", "two", "three ", "four", "five", "six"]);
        assert_eq!(text.text(), "one\ntwo\nthree four\nfive\nsix");
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_is_copied_is_what_came() {
        let mut text = Scrollback::new(100_000);
        let line = "ä".repeat(30_000);
        text.push(Kind::Text, &line);
        assert_eq!(text.text(), line);
        text.home();
        for _ in 0..10 {
            text.push(Kind::Text, &line);
        }
        assert!(text.memory() <= 100_000 && text.text().len() == text.bytes);
        assert_eq!(shown(&text, 10, 2), ["ä".repeat(10), "ä".repeat(10)]);
        for _ in 0..50_000 {
            text.push_line(Kind::Said, "");
        }
        assert!(text.memory() <= 100_000, "{}", text.pieces.len());
    }
}
