//! Lines broken into rows.

use super::cells;
use std::ops::Range;

/// The rows that a line, which [`cells::clean`] made, takes in `columns`, as ranges of its bytes: broken behind a space where there is one,
/// else wherever the row is full. There is always a first row.
pub(super) fn wrap(line: &str, columns: usize) -> Vec<Range<usize>> {
    let mut rows = Vec::new();
    // Where the row begins, what of it is taken, and the last place to break it with the columns up to there.
    let (mut start, mut used, mut space) = (0, 0, None);
    let mut end = 0;
    for (next, wide, symbol) in cells::graphemes(line) {
        let blank = symbol == " ";
        // A space may hang over the edge: it is not seen there.
        if used + wide > columns && end > start && !blank {
            let (cut, before) = space.take().unwrap_or((end, used));
            rows.push(start..cut);
            (start, used) = (cut, used - before);
        }
        (end, used) = (next, used + wide);
        if blank {
            space = Some((end, used));
        }
    }
    rows.push(start..line.len());
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(line: &str, columns: usize) -> Vec<&str> {
        wrap(line, columns).into_iter().map(|row| &line[row]).collect()
    }

    #[test]
    fn lines_break_behind_spaces() {
        assert_eq!(rows("", 5), [""]);
        assert_eq!(rows("one two three", 7), ["one two ", "three"]);
        assert_eq!(rows("one two three", 8), ["one two ", "three"]);
        assert_eq!(rows("abcdefgh ij", 3), ["abc", "def", "gh ", "ij"]);
        assert_eq!(rows("a b c d", 1), ["a ", "b ", "c ", "d"]);
    }

    #[test]
    fn wide_characters_stay_whole() {
        assert_eq!(rows("日本語です", 4), ["日本", "語で", "す"]);
        assert_eq!(rows("日本", 1), ["日", "本"]);
        assert_eq!(rows("e\u{301}e\u{301}e\u{301}", 2), ["e\u{301}e\u{301}", "e\u{301}"]);
    }

    #[test]
    fn no_byte_is_lost_and_no_row_is_too_wide() {
        let line = "Ein längerer Satz, 日本語 und 👩‍👩‍👧 und ␛[31m und einigewörterohnejedenzwischenraum.";
        for columns in 1..100 {
            let rows = rows(line, columns);
            assert_eq!(rows.concat(), line);
            for row in rows {
                let fits = cells::width(row.trim_end()) <= columns;
                assert!(fits || cells::graphemes(row.trim_end()).len() == 1, "{row:?} in {columns}");
            }
        }
    }
}
