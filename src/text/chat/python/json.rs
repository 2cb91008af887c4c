//! The `tojson` filter of transformers: `json.dumps(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False)`.

use super::super::budget::DEPTH;
use super::text::{Text, float};
use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, Value};

/// How JSON is laid out.
pub(super) struct Layout {
    ascii: bool,
    indent: Option<String>,
    item: String,
    key: String,
    sort: bool,
}

impl Layout {
    /// From the filter's arguments, by position or by name.
    pub(super) fn new(positional: &[Value], named: &Kwargs) -> Result<Self, Error> {
        const NAMES: [&str; 4] = ["ensure_ascii", "indent", "separators", "sort_keys"];
        if positional.len() > NAMES.len() {
            return Err(Error::from(ErrorKind::TooManyArguments));
        }
        let argument = |index: usize| -> Result<Option<Value>, Error> {
            let named: Option<Value> = named.get(NAMES[index])?;
            Ok(positional.get(index).cloned().or(named).filter(|value| !value.is_none() && !value.is_undefined()))
        };
        let flag = |index| Ok::<_, Error>(argument(index)?.is_some_and(|value| value.is_true()));
        let indent = argument(1)?.map(|indent| indentation(&indent)).transpose()?;
        let (item, key) = match argument(2)? {
            Some(pair) => {
                let texts: Vec<Value> = pair.try_iter()?.checked().collect::<Result<_, _>>()?;
                match &texts[..] {
                    [item, key] => (item.to_string(), key.to_string()),
                    _ => return Err(Error::new(ErrorKind::InvalidOperation, "separators: expected two strings")),
                }
            }
            None if indent.is_some() => (",".to_owned(), ": ".to_owned()),
            None => (", ".to_owned(), ": ".to_owned()),
        };
        let layout = Self { ascii: flag(0)?, indent, item, key, sort: flag(3)? };
        named.assert_all_used()?;
        Ok(layout)
    }
}

/// A number of spaces, or what to indent with.
fn indentation(indent: &Value) -> Result<String, Error> {
    const MOST: i64 = 1000;
    match (indent.as_str(), indent.as_i64()) {
        (Some(text), _) => Ok(text.to_owned()),
        (None, Some(count)) if count <= MOST => Ok(" ".repeat(count.max(0) as usize)),
        _ => Err(Error::new(ErrorKind::InvalidOperation, "indent: expected a string or a number of at most 1000")),
    }
}

/// Writes a value.
pub(super) fn write(to: &mut Text<'_>, value: &Value, layout: &Layout, depth: usize) -> Result<(), Error> {
    if depth > DEPTH {
        return Err(to.budget.stop("the depth of its lists"));
    }
    if let Some(text) = value.as_str() {
        return write_string(to, text, layout.ascii);
    }
    match value.kind() {
        ValueKind::None | ValueKind::Bool | ValueKind::Number => to.push(&scalar(value)?),
        ValueKind::Seq | ValueKind::Iterable => {
            to.push("[")?;
            let mut empty = true;
            for element in value.try_iter()?.checked() {
                separate(to, layout, std::mem::replace(&mut empty, false), depth + 1)?;
                write(to, &element?, layout, depth + 1)?;
            }
            close(to, layout, empty, depth)?;
            to.push("]")
        }
        ValueKind::Map => {
            to.push("{")?;
            let mut empty = true;
            for (key, value) in entries(value, layout.sort)? {
                separate(to, layout, std::mem::replace(&mut empty, false), depth + 1)?;
                write_string(to, &key, layout.ascii)?;
                to.push(&layout.key)?;
                write(to, &value, layout, depth + 1)?;
            }
            close(to, layout, empty, depth)?;
            to.push("}")
        }
        other => Err(Error::new(ErrorKind::BadSerialization, format!("{other} cannot be written as JSON"))),
    }
}

/// Keys as JSON has them, and values.
fn entries(map: &Value, sort: bool) -> Result<Vec<(String, Value)>, Error> {
    let pairs = map.as_object().and_then(|object| object.try_iter_pairs());
    let mut entries = Vec::new();
    for (key, value) in pairs.into_iter().flatten() {
        let name = match key.as_str() {
            Some(name) => name.to_owned(),
            None => scalar(&key)?,
        };
        entries.push((name, value));
    }
    if sort {
        entries.sort_by(|a, b| a.0.cmp(&b.0));
    }
    Ok(entries)
}

fn scalar(value: &Value) -> Result<String, Error> {
    Ok(match value.kind() {
        ValueKind::None => "null".to_owned(),
        ValueKind::Bool => value.is_true().to_string(),
        ValueKind::Number if value.is_integer() => value.to_string(),
        ValueKind::Number => match float(f64::try_from(value.clone())?) {
            text if text == "nan" => "NaN".to_owned(),
            text if text.ends_with("inf") => text.replace("inf", "Infinity"),
            text => text,
        },
        other => return Err(Error::new(ErrorKind::BadSerialization, format!("{other} cannot be a key of JSON"))),
    })
}

/// What stands before an element or entry.
fn separate(to: &mut Text<'_>, layout: &Layout, first: bool, depth: usize) -> Result<(), Error> {
    if !first {
        to.push(&layout.item)?;
    }
    line(to, layout, depth)
}

fn close(to: &mut Text<'_>, layout: &Layout, empty: bool, depth: usize) -> Result<(), Error> {
    if empty { Ok(()) } else { line(to, layout, depth) }
}

fn line(to: &mut Text<'_>, layout: &Layout, depth: usize) -> Result<(), Error> {
    let Some(indent) = &layout.indent else { return Ok(()) };
    to.push("\n")?;
    to.push_times(indent, depth)
}

fn write_string(to: &mut Text<'_>, text: &str, ascii: bool) -> Result<(), Error> {
    to.push("\"")?;
    for character in text.chars() {
        match character {
            '"' => to.push("\\\"")?,
            '\\' => to.push("\\\\")?,
            '\n' => to.push("\\n")?,
            '\r' => to.push("\\r")?,
            '\t' => to.push("\\t")?,
            '\x08' => to.push("\\b")?,
            '\x0c' => to.push("\\f")?,
            '\0'..='\x1f' => to.push(&format!("\\u{:04x}", character as u32))?,
            '\x7f'.. if ascii && character != '\x7f' => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    to.push(&format!("\\u{unit:04x}"))?;
                }
            }
            _ => to.push_char(character)?,
        }
    }
    to.push("\"")
}
