//! Text as columns of a terminal: widths, cuts, numbers.

use ratatui::style::Style;
use ratatui::text::Span;

/// Columns that `text` takes.
pub(super) fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// What of `text` can be shown: tabs as spaces, other control characters as the pictures that stand for them.
pub(super) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => clean.push_str("    "),
            '\n' | '\r' => {}
            '\u{7f}' => clean.push('␡'),
            c if c < ' ' => clean.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('�')),
            // C1 controls begin escape sequences too, and marks of direction turn whole lines around.
            '\u{80}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => clean.push('�'),
            c => clean.push(c),
        }
    }
    clean
}

/// The graphemes of `text`, which [`clean`] made, with the byte at which each ends and the columns that it takes.
pub(super) fn graphemes(text: &str) -> Vec<(usize, usize, &str)> {
    let span = Span::raw(text);
    let mut end = 0;
    let ends = span.styled_graphemes(Style::new()).map(|grapheme| {
        let start = end;
        end += grapheme.symbol.len();
        (end, width(grapheme.symbol), &text[start..end])
    });
    ends.collect()
}

/// `text` in exactly `columns`: cut with a mark or padded behind.
pub(super) fn left(text: &str, columns: usize) -> String {
    let text = clean(text);
    let all = width(&text);
    if all <= columns {
        return text + &" ".repeat(columns - all);
    }
    let Some(room) = columns.checked_sub(1) else { return String::new() };
    let (mut cut, mut used) = (0, 0);
    for (end, wide, _) in graphemes(&text) {
        if used + wide > room {
            break;
        }
        (cut, used) = (end, used + wide);
    }
    format!("{}…{}", &text[..cut], " ".repeat(room - used))
}

/// A number in exactly `columns`, at their right end; one that does not fit is a row of marks rather than a wrong number.
pub(super) fn right(number: &str, columns: usize) -> String {
    let all = width(number);
    if all > columns { "#".repeat(columns) } else { " ".repeat(columns - all) + number }
}

/// A number with so many decimals, fewer where it is large.
pub(super) fn number(value: f64, decimals: usize) -> String {
    match value.abs() {
        size if !size.is_finite() => "-".to_owned(),
        size if size >= 1e7 => format!("{value:.1e}"),
        size if size >= 1e4 => format!("{value:.0}"),
        _ => format!("{value:.decimals$}"),
    }
}

/// Megabytes of 1048576 bytes, gigabytes from 1024 of them on.
pub(super) fn megabytes(value: f64) -> String {
    if value.abs() < 1024.0 { format!("{} MB", number(value, 1)) } else { format!("{} GB", number(value / 1024.0, 2)) }
}

/// The same of bytes.
pub(super) fn bytes(value: u64) -> String {
    megabytes(value as f64 / 1_048_576.0)
}

/// A bar of up to `columns`, in eighths of a column.
pub(super) fn bar(share: f64, columns: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let eighths = (share * columns as f64 * 8.0).round() as usize;
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_count_columns() {
        assert_eq!(left("abc", 5), "abc  ");
        assert_eq!(left("abcdef", 4), "abc…");
        assert_eq!(left("日本語", 4), "日… ");
        assert_eq!(left("日本語", 6), "日本語");
        assert_eq!((left("日", 1), left("a", 0)), ("…".to_owned(), String::new()));
        assert_eq!(left("e\u{301}e\u{301}e\u{301}", 2), "e\u{301}…");
        assert_eq!(left("a\u{1b}[2J\tb", 12), "a␛[2J    b  ");
        assert_eq!((right("12.5", 6), right("123456", 4)), ("  12.5".to_owned(), "####".to_owned()));
    }

    #[test]
    fn numbers_stay_short() {
        assert_eq!(number(1.234, 2), "1.23");
        assert_eq!(number(123_456.7, 2), "123457");
        assert_eq!(number(1e30, 2), "1.0e30");
        assert_eq!(number(f64::NAN, 2), "-");
        assert_eq!((bytes(1 << 20), bytes(3 << 30)), ("1.0 MB".to_owned(), "3.00 GB".to_owned()));
        assert_eq!((bar(0.5, 3), bar(f64::NAN, 3), bar(9.0, 2)), ("█▌".to_owned(), String::new(), "██".to_owned()));
    }
}
