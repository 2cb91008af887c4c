//! Filters.

use super::super::budget::{Budget, ELEMENT};
use super::text::{Text, write_str};
use super::{json, operators, strings};
use minijinja::value::{Kwargs, Rest};
use minijinja::{Environment, Error, ErrorKind, State, Value, filters};
use std::sync::Arc;

pub(super) fn add_to(environment: &mut Environment<'_>, budget: &Arc<Budget>) {
    // It would write what it is given at any length, by minijinja's rules.
    environment.remove_filter("pprint");
    // minijinja's own, which Python has not.
    for name in ["bool", "chain", "lines", "split", "zip"] {
        environment.remove_filter(name);
    }
    let own = budget.clone();
    environment.add_filter("string", move |value: Value| operators::string(&own, &value));
    let own = budget.clone();
    environment.add_filter("tojson", move |value: Value, positional: Rest<Value>, named: Kwargs| {
        let layout = json::Layout::new(&positional, &named)?;
        let mut text = Text::new(&own);
        json::write(&mut text, &value, &layout, 0)?;
        Ok::<_, Error>(text.into_value())
    });
    let own = budget.clone();
    environment.add_filter("join", move |value: Value, separator: Option<Value>, named: Kwargs| {
        let separator = argument(separator, &named, "d")?;
        let attribute: Option<Value> = named.get("attribute")?;
        named.assert_all_used()?;
        join(&own, &value, separator.as_ref(), attribute.as_ref())
    });
    let own = budget.clone();
    environment.add_filter("replace", move |value: Value, old: Value, new: Value, count: Option<i64>| {
        let [value, old, new] = [value, old, new].map(|value| operators::string(&own, &value));
        let (value, old, new) = (value?, old?, new?);
        let text = |value: &'_ Value| value.as_str().map(str::to_owned).unwrap_or_default();
        strings::replace(
            &own,
            &text(&value),
            &text(&old),
            &text(&new),
            count.and_then(|count| usize::try_from(count).ok()),
        )
    });
    let own = budget.clone();
    environment.add_filter("trim", move |value: Value, characters: Option<Value>, named: Kwargs| {
        let characters = argument(characters, &named, "chars")?.filter(|characters| !characters.is_none());
        named.assert_all_used()?;
        let text = operators::string(&own, &value)?;
        let characters = characters.as_ref().and_then(Value::as_str);
        Ok::<_, Error>(Value::from(strings::strip(text.as_str().unwrap_or_default(), characters, true, true)))
    });
    let own = budget.clone();
    environment.add_filter("indent", move |value: Value, positional: Rest<Value>, named: Kwargs| {
        indent(&own, &value, &positional, &named)
    });
    for name in ["e", "escape"] {
        let own = budget.clone();
        environment.add_filter(name, move |value: Value| {
            let text = if value.is_safe() { value } else { operators::string(&own, &value)? };
            let mut escaped = Text::new(&own);
            operators::push_escaped(&mut escaped, &text)?;
            Ok::<_, Error>(Value::from_safe_string(escaped.finish()))
        });
    }
    for name in ["length", "count"] {
        environment.add_filter(name, |value: Value| match value.len() {
            Some(length) => Ok(length),
            None if value.is_undefined() => Ok(0),
            None => Err(Error::new(ErrorKind::InvalidOperation, format!("{} has no length", value.kind()))),
        });
    }
    // These make as many elements as they are asked for.
    let own = budget.clone();
    environment.add_filter("batch", move |state: &mut State, value: Value, count: usize, fill: Option<Value>| {
        own.spend((count as u64).saturating_mul(ELEMENT))?;
        filters::batch(state, value, count, fill)
    });
    let own = budget.clone();
    environment.add_filter("slice", move |state: &mut State, value: Value, count: usize, fill: Option<Value>| {
        own.spend((count as u64).saturating_mul(ELEMENT))?;
        filters::slice(state, value, count, fill)
    });
    let own = budget.clone();
    environment.add_filter("format", move |value: Value, values: Rest<Value>| {
        let format = operators::string(&own, &value)?;
        strings::printf(&own, format.as_str().unwrap_or_default(), &values)
    });
}

/// An argument by position or by name.
fn argument(positional: Option<Value>, named: &Kwargs, name: &str) -> Result<Option<Value>, Error> {
    match (positional, named.get::<Option<Value>>(name)?) {
        (Some(_), Some(_)) => Err(Error::from(ErrorKind::TooManyArguments)),
        (positional, named) => Ok(positional.or(named)),
    }
}

fn join(budget: &Budget, value: &Value, separator: Option<&Value>, attribute: Option<&Value>) -> Result<Value, Error> {
    let separator = separator.map(|separator| operators::string(budget, separator)).transpose()?;
    let separator = separator.as_ref().and_then(Value::as_str).unwrap_or_default();
    let mut result = Text::new(budget);
    for (index, element) in value.try_iter()?.checked().enumerate() {
        let element = element?;
        if index > 0 {
            result.push(separator)?;
        }
        match attribute {
            Some(attribute) => write_str(&mut result, &element.get_item(attribute)?)?,
            None => write_str(&mut result, &element)?,
        }
    }
    Ok(result.into_value())
}

/// jinja2's `indent(text, width=4, first=False, blank=False)`.
fn indent(budget: &Budget, value: &Value, positional: &[Value], named: &Kwargs) -> Result<Value, Error> {
    let width = argument(positional.first().cloned(), named, "width")?;
    let first = argument(positional.get(1).cloned(), named, "first")?.is_some_and(|flag| flag.is_true());
    let blank = argument(positional.get(2).cloned(), named, "blank")?.is_some_and(|flag| flag.is_true());
    named.assert_all_used()?;
    let mut indentation = Text::new(budget);
    match width.as_ref().map(|width| (width.as_str(), width.as_usize())) {
        None => indentation.push("    ")?,
        Some((Some(text), _)) => indentation.push(text)?,
        Some((None, Some(count))) => indentation.push_times(" ", count)?,
        Some((None, None)) => {
            return Err(Error::new(ErrorKind::InvalidOperation, "indent: expected a string or a number of spaces"));
        }
    }
    let indentation = indentation.finish();
    let text = operators::string(budget, value)?;
    let text = format!("{}\n", text.as_str().unwrap_or_default());
    let mut result = Text::new(budget);
    for (index, line) in strings::lines(&text, false).into_iter().enumerate() {
        if index > 0 {
            result.push("\n")?;
        }
        if (index == 0 && first) || (index > 0 && (blank || !line.is_empty())) {
            result.push(&indentation)?;
        }
        result.push(line)?;
    }
    Ok(result.into_value())
}
