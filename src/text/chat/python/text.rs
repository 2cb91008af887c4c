//! How Python writes values: `str(value)` and `repr(value)`.

use super::super::budget::{Budget, DEPTH};
use minijinja::value::ValueKind;
use minijinja::{Error, Value};
use std::fmt::Write as _;

/// Text that is paid for as it grows.
pub(in super::super) struct Text<'b> {
    text: String,
    pub(super) budget: &'b Budget,
}

impl<'b> Text<'b> {
    pub(in super::super) fn new(budget: &'b Budget) -> Self {
        Self { text: String::new(), budget }
    }

    pub(in super::super) fn push(&mut self, text: &str) -> Result<(), Error> {
        self.budget.spend(text.len() as u64)?;
        self.text.push_str(text);
        Ok(())
    }

    /// `count` times `text`, refused before it is made.
    pub(super) fn push_times(&mut self, text: &str, count: usize) -> Result<(), Error> {
        self.budget.spend((text.len() as u64).saturating_mul(count as u64))?;
        self.text.push_str(&text.repeat(count));
        Ok(())
    }

    pub(super) fn push_char(&mut self, character: char) -> Result<(), Error> {
        self.budget.spend(character.len_utf8() as u64)?;
        self.text.push(character);
        Ok(())
    }

    pub(in super::super) fn finish(self) -> String {
        self.text
    }

    pub(super) fn into_value(self) -> Value {
        Value::from(self.text)
    }
}

/// `str(value)`.
pub(in super::super) fn write_str(to: &mut Text<'_>, value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some(text) => to.push(text),
        None if value.is_undefined() => Ok(()),
        None => write_repr(to, value, 0),
    }
}

/// `repr(value)`, of a value `depth` lists and maps deep.
fn write_repr(to: &mut Text<'_>, value: &Value, depth: usize) -> Result<(), Error> {
    if depth > DEPTH {
        return Err(to.budget.stop("the depth of its lists"));
    }
    if let Some(text) = value.as_str() {
        return write_quoted(to, text);
    }
    match value.kind() {
        ValueKind::Undefined => to.push("Undefined"),
        ValueKind::None => to.push("None"),
        ValueKind::Bool => to.push(if value.is_true() { "True" } else { "False" }),
        ValueKind::Number if value.is_integer() => to.push(&value.to_string()),
        ValueKind::Number => to.push(&float(f64::try_from(value.clone())?)),
        ValueKind::Seq | ValueKind::Iterable => {
            let tuple = value.is_tuple();
            to.push(if tuple { "(" } else { "[" })?;
            let mut count = 0;
            for element in value.try_iter()?.checked() {
                if count > 0 {
                    to.push(", ")?;
                }
                write_repr(to, &element?, depth + 1)?;
                count += 1;
            }
            to.push(match (tuple, count) {
                (true, 1) => ",)",
                (true, _) => ")",
                (false, _) => "]",
            })
        }
        ValueKind::Map => {
            to.push("{")?;
            let pairs = value.as_object().and_then(|object| object.try_iter_pairs());
            for (index, (key, value)) in pairs.into_iter().flatten().enumerate() {
                if index > 0 {
                    to.push(", ")?;
                }
                write_repr(to, &key, depth + 1)?;
                to.push(": ")?;
                write_repr(to, &value, depth + 1)?;
            }
            to.push("}")
        }
        // Functions, macros, loops: what Python writes of them is no part of a prompt either.
        _ => to.push(&value.to_string()),
    }
}

/// A string as a Python literal.
fn write_quoted(to: &mut Text<'_>, text: &str) -> Result<(), Error> {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    to.push_char(quote)?;
    for character in text.chars() {
        match character {
            '\\' => to.push("\\\\")?,
            '\n' => to.push("\\n")?,
            '\r' => to.push("\\r")?,
            '\t' => to.push("\\t")?,
            _ if character == quote => to.push(&format!("\\{character}"))?,
            _ if is_printable(character) => to.push_char(character)?,
            _ => {
                let code = character as u32;
                to.push(&match code {
                    0..=0xff => format!("\\x{code:02x}"),
                    0x100..=0xffff => format!("\\u{code:04x}"),
                    _ => format!("\\U{code:08x}"),
                })?;
            }
        }
    }
    to.push_char(quote)
}

/// `str.isprintable`: no control or format character, no separator but the space, nothing unassigned.
fn is_printable(character: char) -> bool {
    if character == ' ' || character.is_ascii_graphic() {
        return true;
    }
    // Rust's escapes know the same Unicode categories. Not as the first character, where they are stricter.
    let mut text = String::from("a");
    text.push(character);
    !character.is_whitespace() && text.escape_debug().nth(1) == Some(character)
}

/// `str.isspace` of one character: Unicode's white space, and the separators of ASCII.
pub(super) fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\x1c'..='\x1f').contains(&character)
}

/// `repr` of a float: the shortest digits that give the number back, with an exponent from 1e16 and below 1e-4.
pub(super) fn float(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let mut text = String::new();
    // Writing into a string does not fail.
    let _ = match exponent {
        -4..16 if number.fract() == 0.0 => write!(text, "{number:.1}"),
        -4..16 => write!(text, "{number}"),
        _ => write!(text, "{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()),
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::value::Tuple;

    fn repr(value: Value) -> String {
        let budget = Budget::new(0);
        let mut text = Text::new(&budget);
        write_repr(&mut text, &value, 0).unwrap();
        text.finish()
    }

    /// What CPython 3.11 prints.
    #[test]
    fn floats_are_pythons() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (99.5, "99.5"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-2.5e-7, "-2.5e-07"),
            (123456789.125, "123456789.125"),
        ];
        for (number, expected) in cases {
            assert_eq!(float(number), expected);
        }
    }

    /// What CPython 3.11 prints.
    #[test]
    fn literals_are_pythons() {
        assert_eq!(repr("it's".into()), "\"it's\"");
        assert_eq!(repr("it's \"so\"".into()), "'it\\'s \"so\"'");
        assert_eq!(
            repr("a\\b\n\t\r\x00\x7f\u{a0}é東\u{301}\u{200b}\u{e000}🦀".into()),
            "'a\\\\b\\n\\t\\r\\x00\\x7f\\xa0é東\u{301}\\u200b\\ue000🦀'"
        );
        let list = Value::from(vec![Value::from(1), Value::from(true), Value::from(()), Value::from("x")]);
        assert_eq!(repr(list.clone()), "[1, True, None, 'x']");
        assert_eq!(repr(Value::from(Tuple::from([list]))), "([1, True, None, 'x'],)");
        assert_eq!(repr(Value::from_pairs([("b", Value::from(1.0)), ("a", Value::from(2))])), "{'b': 1.0, 'a': 2}");
    }
}
