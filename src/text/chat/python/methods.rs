//! Methods of strings, lists and dictionaries.

use super::super::budget::Budget;
use super::strings;
use super::text::{Text, is_space};
use minijinja::value::{Kwargs, Tuple, ValueKind, from_args};
use minijinja::{Environment, Error, ErrorKind, Value};
use minijinja_contrib::pycompat;
use std::sync::Arc;

pub(super) fn add_to(environment: &mut Environment<'_>, budget: &Arc<Budget>) {
    let budget = budget.clone();
    environment.set_unknown_method_callback(move |state, value, method, arguments| {
        let own = match value.as_str() {
            Some(text) => {
                budget.spend(text.len() as u64)?;
                string_method(&budget, text, method, arguments)?
            }
            None if matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable) => {
                list_method(&budget, value, method, arguments)?
            }
            None => None,
        };
        match own {
            Some(result) => Ok(result),
            None => pycompat::unknown_method_callback(state, value, method, arguments),
        }
    });
}

/// A list of parts of a text.
fn list(budget: &Budget, parts: Vec<&str>) -> Result<Option<Value>, Error> {
    budget.spend(parts.len() as u64 * super::super::budget::ELEMENT)?;
    Ok(Some(parts.into_iter().map(Value::from).collect()))
}

/// How often at most, where Python takes -1 for always.
fn most(count: Option<i64>) -> Option<usize> {
    count.and_then(|count| usize::try_from(count).ok())
}

/// Methods of strings that can grow, or that pycompat has not or has otherwise.
fn string_method(budget: &Budget, text: &str, method: &str, arguments: &[Value]) -> Result<Option<Value>, Error> {
    let result = match method {
        "strip" | "lstrip" | "rstrip" => {
            let (characters,): (Option<&str>,) = from_args(arguments)?;
            Value::from(strings::strip(text, characters, method != "rstrip", method != "lstrip"))
        }
        "split" | "rsplit" => {
            let (separator, count, named): (Option<Value>, Option<i64>, Kwargs) = from_args(arguments)?;
            let separator = separator.or(named.get("sep")?).filter(|separator| !separator.is_none());
            let count = most(count.or(named.get("maxsplit")?));
            named.assert_all_used()?;
            let separator = separator.as_ref().map(text_of).transpose()?;
            return list(
                budget,
                match method {
                    "split" => strings::split(text, separator, count)?,
                    _ => strings::split_from_end(text, separator, count)?,
                },
            );
        }
        "splitlines" => {
            let (keep_ends,): (Option<bool>,) = from_args(arguments)?;
            return list(budget, strings::lines(text, keep_ends.unwrap_or(false)));
        }
        "replace" => {
            let (old, new, count): (&str, &str, Option<i64>) = from_args(arguments)?;
            strings::replace(budget, text, old, new, most(count))?
        }
        "join" => {
            let (values,): (&Value,) = from_args(arguments)?;
            let mut result = Text::new(budget);
            for (index, value) in values.try_iter()?.checked().enumerate() {
                if index > 0 {
                    result.push(text)?;
                }
                result.push(text_of(&value?)?)?;
            }
            result.into_value()
        }
        "format" => strings::str_format(budget, text, arguments)?,
        "partition" | "rpartition" => {
            let (separator,): (&str,) = from_args(arguments)?;
            let (found, otherwise) = match method {
                "partition" => (text.split_once(separator), [text, "", ""]),
                _ => (text.rsplit_once(separator), ["", "", text]),
            };
            let parts = found.map_or(otherwise, |(before, behind)| [before, separator, behind]);
            Value::from(Tuple::from(parts.map(Value::from)))
        }
        "removeprefix" | "removesuffix" => {
            let (part,): (&str,) = from_args(arguments)?;
            let shorter = if method == "removeprefix" { text.strip_prefix(part) } else { text.strip_suffix(part) };
            Value::from(shorter.unwrap_or(text))
        }
        "isspace" => Value::from(!text.is_empty() && text.chars().all(is_space)),
        "index" => match pycompat_find(text, arguments)? {
            Some(at) => Value::from(at),
            None => return Err(Error::new(ErrorKind::InvalidOperation, "substring not found")),
        },
        _ => return Ok(None),
    };
    Ok(Some(result))
}

fn text_of(value: &Value) -> Result<&str, Error> {
    value.as_str().ok_or_else(|| {
        Error::new(ErrorKind::InvalidOperation, format!("expected a string, found a value of type {}", value.kind()))
    })
}

/// Position of a text in characters.
fn pycompat_find(text: &str, arguments: &[Value]) -> Result<Option<usize>, Error> {
    let (part,): (&str,) = from_args(arguments)?;
    Ok(text.find(part).map(|at| text[..at].chars().count()))
}

fn list_method(budget: &Budget, value: &Value, method: &str, arguments: &[Value]) -> Result<Option<Value>, Error> {
    if !matches!(method, "index" | "count") {
        return Ok(None);
    }
    let (wanted,): (&Value,) = from_args(arguments)?;
    budget.weigh(value)?;
    let mut count = 0;
    for (index, element) in value.try_iter()?.checked().enumerate() {
        if element? == *wanted {
            if method == "index" {
                return Ok(Some(Value::from(index)));
            }
            count += 1;
        }
    }
    match method {
        "count" => Ok(Some(Value::from(count))),
        _ => Err(Error::new(ErrorKind::InvalidOperation, "the value is not in the list")),
    }
}
