//! Functions on strings that filters and methods share.

use super::super::budget::Budget;
use super::text::{Text, is_space};
use minijinja::formatting::{FormatStyle, format};
use minijinja::{Error, ErrorKind, Value};

/// Widths and precisions with more digits than this are refused.
const WIDTH_DIGITS: u32 = 4;

/// `text.replace(old, new, most)`; all occurrences where `most` is `None`.
pub(super) fn replace(budget: &Budget, text: &str, old: &str, new: &str, most: Option<usize>) -> Result<Value, Error> {
    budget.spend(text.len() as u64)?;
    let mut result = Text::new(budget);
    let mut rest = 0;
    for (at, found) in text.match_indices(old).take(most.unwrap_or(usize::MAX)) {
        result.push(&text[rest..at])?;
        result.push(new)?;
        rest = at + found.len();
    }
    result.push(&text[rest..])?;
    Ok(result.into_value())
}

/// `text.strip(characters)` and its halves.
pub(super) fn strip<'t>(text: &'t str, characters: Option<&str>, start: bool, end: bool) -> &'t str {
    let stripped = |character| match characters {
        Some(characters) => characters.contains(character),
        None => is_space(character),
    };
    let text = if start { text.trim_start_matches(stripped) } else { text };
    if end { text.trim_end_matches(stripped) } else { text }
}

/// `format % values`.
pub(super) fn printf(budget: &Budget, text: &str, values: &[Value]) -> Result<Value, Error> {
    formatted(budget, FormatStyle::Printf, text, values)
}

/// `format.format(*values)`.
pub(super) fn str_format(budget: &Budget, text: &str, values: &[Value]) -> Result<Value, Error> {
    formatted(budget, FormatStyle::StrFormat, text, values)
}

fn formatted(budget: &Budget, style: FormatStyle, text: &str, values: &[Value]) -> Result<Value, Error> {
    let (mut digits, mut most_digits) = (0, 0);
    for byte in text.bytes() {
        digits = if byte.is_ascii_digit() { digits + 1 } else { 0 };
        most_digits = most_digits.max(digits);
        if digits > WIDTH_DIGITS || (style == FormatStyle::Printf && byte == b'*') {
            let message = "a format may name widths of up to four digits";
            return Err(Error::new(ErrorKind::InvalidOperation, message));
        }
    }
    // Each placeholder stands for no more than all values and its width.
    let placeholders = text.bytes().filter(|&byte| byte == b'{' || byte == b'%').count();
    let width = 10_u64.pow(most_digits);
    for _ in 0..=placeholders {
        budget.spend(width)?;
        for value in values {
            budget.weigh(value)?;
        }
    }
    format(style, text, values).map(Value::from)
}

/// `text.splitlines(keepends)`, with the line ends that Python knows.
pub(super) fn lines(text: &str, keep_ends: bool) -> Vec<&str> {
    let is_end =
        |c: char| matches!(c, '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(is_end) {
        let end = if rest[at..].starts_with("\r\n") { 2 } else { rest[at..].chars().next().map_or(1, char::len_utf8) };
        lines.push(&rest[..if keep_ends { at + end } else { at }]);
        rest = &rest[at + end..];
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

/// `text.split(separator, most)`; without a separator, at runs of white space.
pub(super) fn split<'t>(text: &'t str, separator: Option<&str>, most: Option<usize>) -> Result<Vec<&'t str>, Error> {
    let most = most.unwrap_or(usize::MAX - 1);
    match separator {
        Some("") => Err(Error::new(ErrorKind::InvalidOperation, "split: expected a separator, found an empty one")),
        Some(separator) => Ok(text.splitn(most + 1, separator).collect()),
        None => {
            let mut parts = Vec::new();
            let mut rest = text.trim_start_matches(is_space);
            while !rest.is_empty() {
                let end = if parts.len() == most { rest.len() } else { rest.find(is_space).unwrap_or(rest.len()) };
                parts.push(&rest[..end]);
                rest = rest[end..].trim_start_matches(is_space);
            }
            Ok(parts)
        }
    }
}

/// `text.rsplit(separator, most)`.
pub(super) fn split_from_end<'t>(
    text: &'t str,
    separator: Option<&str>,
    most: Option<usize>,
) -> Result<Vec<&'t str>, Error> {
    let mut parts: Vec<&str> = match (separator, most) {
        (Some(separator), Some(most)) if !separator.is_empty() => text.rsplitn(most + 1, separator).collect(),
        (None, Some(most)) => {
            let mut parts = Vec::new();
            let mut rest = text.trim_end_matches(is_space);
            while !rest.is_empty() {
                let cut = rest.char_indices().rev().find(|(_, character)| is_space(*character));
                let start = if parts.len() == most { 0 } else { cut.map_or(0, |(at, space)| at + space.len_utf8()) };
                parts.push(&rest[start..]);
                rest = rest[..start].trim_end_matches(is_space);
            }
            parts
        }
        _ => return split(text, separator, most),
    };
    parts.reverse();
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What CPython 3.11 gives.
    #[test]
    fn splitting_is_pythons() {
        assert_eq!(split("  a b\t\n c ", None, None).unwrap(), ["a", "b", "c"]);
        assert_eq!(split(" a b  c ", None, Some(1)).unwrap(), ["a", "b  c "]);
        assert_eq!(split(",a,,b", Some(","), None).unwrap(), ["", "a", "", "b"]);
        assert_eq!(split("", Some(","), None).unwrap(), [""]);
        assert!(split("", None, None).unwrap().is_empty());
        assert!(split("a", Some(""), None).is_err());
        assert_eq!(split_from_end("a,b,c", Some(","), Some(1)).unwrap(), ["a,b", "c"]);
        assert_eq!(split_from_end(" a b  c ", None, Some(1)).unwrap(), [" a b", "c"]);
        assert_eq!(split_from_end("a b", None, Some(5)).unwrap(), ["a", "b"]);
        assert_eq!(lines("a\r\nb\n\nc\u{2028}d\n", false), ["a", "b", "", "c", "d"]);
        assert_eq!(lines("a\r\nb", true), ["a\r\n", "b"]);
    }

    /// What CPython 3.11 gives.
    #[test]
    fn stripping_and_replacing_are_pythons() {
        assert_eq!(strip(" \u{a0}\x1f a ", None, true, true), "a");
        assert_eq!(strip("xyaxy", Some("yx"), true, false), "axy");
        assert_eq!(strip("xyaxy", Some("yx"), false, true), "xya");
        let budget = Budget::new(0);
        assert_eq!(replace(&budget, "aaa", "a", "bc", Some(2)).unwrap().as_str(), Some("bcbca"));
        assert_eq!(replace(&budget, "ab", "", "-", None).unwrap().as_str(), Some("-a-b-"));
        assert!(replace(&budget, &"a".repeat(1 << 16), "a", &"b".repeat(1 << 16), None).is_err());
        assert!(budget.exceeded());
    }
}
