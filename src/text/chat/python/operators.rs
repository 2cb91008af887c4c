//! Operators that can make much of little. [`rewrite`](super::super::rewrite) puts these filters in their places: their names
//! are no names of Jinja, so that templates cannot mean them.

use super::super::budget::{Budget, ELEMENT};
use super::text::{Text, write_str};
use minijinja::value::{Tuple, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Value};
use std::sync::Arc;

/// The filter that pays for looking at a value from outside, and gives it back.
pub(in super::super) const TOUCH: &str = "touch()";
/// The filter that pays for looking at all of a value, and gives it back.
pub(in super::super) const WEIGH: &str = "weigh()";
/// The filter that refuses what Python cannot iterate over, pays as [`TOUCH`] does, and gives the value back.
pub(in super::super) const ITERATE: &str = "iterate()";
/// The filter that stands for `+`.
pub(in super::super) const PLUS: &str = "plus()";
/// The filter that stands for `*`.
pub(in super::super) const TIMES: &str = "times()";
/// The filter that stands for `%`.
pub(in super::super) const REMAINDER: &str = "remainder()";
/// The filter that stands for `value[start:stop:step]`.
pub(in super::super) const SLICE: &str = "slice()";
/// The filter that makes the text of an operand of `~`.
pub(in super::super) const STR: &str = "str()";

pub(super) fn add_to(environment: &mut Environment<'_>, budget: &Arc<Budget>) {
    let own = budget.clone();
    environment.add_filter(TOUCH, move |value: Value| own.touch(&value).map(|()| value));
    let own = budget.clone();
    environment.add_filter(WEIGH, move |value: Value| own.weigh(&value).map(|()| value));
    let own = budget.clone();
    environment.add_filter(ITERATE, move |value: Value| {
        if value.is_none() {
            return Err(Error::new(ErrorKind::InvalidOperation, "none cannot be iterated over"));
        }
        own.touch(&value).map(|()| value)
    });
    let own = budget.clone();
    environment.add_filter(PLUS, move |left: Value, right: Value| plus(&own, &left, &right));
    let own = budget.clone();
    environment.add_filter(TIMES, move |left: Value, right: Value| times(&own, &left, &right));
    let own = budget.clone();
    environment.add_filter(REMAINDER, move |left: Value, right: Value| remainder(&own, &left, right));
    let own = budget.clone();
    environment.add_filter(SLICE, move |value: Value, start: Value, stop: Value, step: Value| {
        slice(&own, &value, [&start, &stop, &step])
    });
    let own = budget.clone();
    environment.add_filter(STR, move |value: Value| string(&own, &value));
}

/// The value's text.
pub(super) fn string(budget: &Budget, value: &Value) -> Result<Value, Error> {
    let mut text = Text::new(budget);
    write_str(&mut text, value)?;
    Ok(text.into_value())
}

fn unsupported(operator: &str, left: &Value, right: &Value) -> Error {
    let message = format!("`{operator}` is not defined for {} and {}", left.kind(), right.kind());
    Error::new(ErrorKind::InvalidOperation, message)
}

/// The value as an integer, as Python counts booleans among them.
fn integer(value: &Value) -> Option<i128> {
    let is_integer = value.kind() == ValueKind::Bool || value.is_integer();
    if is_integer { i128::try_from(value.clone()).ok() } else { None }
}

fn number(value: &Value) -> Option<f64> {
    match value.kind() {
        ValueKind::Number => f64::try_from(value.clone()).ok(),
        ValueKind::Bool => Some(f64::from(u8::from(value.is_true()))),
        _ => None,
    }
}

fn is_list(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable)
}

fn plus(budget: &Budget, left: &Value, right: &Value) -> Result<Value, Error> {
    if let (Some(a), Some(b)) = (integer(left), integer(right)) {
        return a.checked_add(b).map(Value::from).ok_or_else(|| unsupported("+", left, right));
    }
    if let (Some(a), Some(b)) = (number(left), number(right)) {
        return Ok(Value::from(a + b));
    }
    if let (Some(a), Some(b)) = (left.as_str(), right.as_str()) {
        let mut text = Text::new(budget);
        if left.is_safe() || right.is_safe() {
            // What `|safe` gave is MarkupSafe's `Markup`, which escapes what is added to it.
            push_escaped(&mut text, left)?;
            push_escaped(&mut text, right)?;
            return Ok(Value::from_safe_string(text.finish()));
        }
        text.push(a)?;
        text.push(b)?;
        return Ok(text.into_value());
    }
    if is_list(left) && is_list(right) && left.is_tuple() == right.is_tuple() {
        let mut all = Vec::new();
        for element in left.try_iter()?.checked().chain(right.try_iter()?.checked()) {
            budget.spend(ELEMENT)?;
            all.push(element?);
        }
        return Ok(if left.is_tuple() { Value::from(Tuple::from(all)) } else { Value::from(all) });
    }
    Err(unsupported("+", left, right))
}

/// As MarkupSafe escapes: with numbers for quotes.
pub(super) fn push_escaped(to: &mut Text<'_>, value: &Value) -> Result<(), Error> {
    let text = value.as_str().unwrap_or_default();
    if value.is_safe() {
        return to.push(text);
    }
    for character in text.chars() {
        match character {
            '&' => to.push("&amp;")?,
            '<' => to.push("&lt;")?,
            '>' => to.push("&gt;")?,
            '\'' => to.push("&#39;")?,
            '"' => to.push("&#34;")?,
            other => to.push_char(other)?,
        }
    }
    Ok(())
}

fn times(budget: &Budget, left: &Value, right: &Value) -> Result<Value, Error> {
    if let (Some(a), Some(b)) = (integer(left), integer(right)) {
        return a.checked_mul(b).map(Value::from).ok_or_else(|| unsupported("*", left, right));
    }
    if let (Some(a), Some(b)) = (number(left), number(right)) {
        return Ok(Value::from(a * b));
    }
    let (repeated, count) = if integer(left).is_some() { (right, left) } else { (left, right) };
    let count = integer(count).ok_or_else(|| unsupported("*", left, right))?;
    let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
    if let Some(text) = repeated.as_str() {
        let mut result = Text::new(budget);
        result.push_times(text, count)?;
        return Ok(result.into_value());
    }
    if !is_list(repeated) {
        return Err(unsupported("*", left, right));
    }
    let elements: Vec<Value> = repeated.try_iter()?.checked().collect::<Result<_, _>>()?;
    budget.spend((elements.len() as u64 * ELEMENT).saturating_mul(count as u64))?;
    let all: Vec<Value> = elements.iter().cloned().cycle().take(elements.len() * count).collect();
    Ok(if repeated.is_tuple() { Value::from(Tuple::from(all)) } else { Value::from(all) })
}

/// `value[start:stop:step]` of a string, list or tuple.
fn slice(budget: &Budget, value: &Value, bounds: [&Value; 3]) -> Result<Value, Error> {
    let invalid = |what: String| Error::new(ErrorKind::InvalidOperation, what);
    let mut numbers = [None; 3];
    for (number, bound) in numbers.iter_mut().zip(bounds) {
        if !bound.is_none() {
            let found = bound.as_i64().filter(|_| integer(bound).is_some());
            *number = Some(found.ok_or_else(|| invalid(format!("slice: expected integers, found {}", bound.kind())))?);
        }
    }
    let [start, stop, step] = numbers;
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(invalid("slice: expected a step other than 0".to_owned()));
    }
    budget.touch(value)?;
    if let Some(text) = value.as_str() {
        let characters: Vec<char> = text.chars().collect();
        let picked: String = positions(characters.len(), start, stop, step).map(|at| characters[at]).collect();
        budget.spend(picked.len() as u64)?;
        return Ok(Value::from(picked));
    }
    if !is_list(value) {
        return Err(invalid(format!("a value of type {} cannot be sliced", value.kind())));
    }
    let elements: Vec<Value> = value.try_iter()?.checked().collect::<Result<_, _>>()?;
    let picked: Vec<Value> = positions(elements.len(), start, stop, step).map(|at| elements[at].clone()).collect();
    budget.spend(picked.len() as u64 * ELEMENT)?;
    Ok(if value.is_tuple() { Value::from(Tuple::from(picked)) } else { Value::from(picked) })
}

/// Positions that a slice picks of `length` elements, as CPython's `PySlice_AdjustIndices` counts them.
fn positions(length: usize, start: Option<i64>, stop: Option<i64>, step: i64) -> impl Iterator<Item = usize> {
    let length = length as i64;
    let (lowest, highest) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let place = |bound: i64| if bound < 0 { (bound.saturating_add(length)).max(lowest) } else { bound.min(highest) };
    let start = start.map_or(if step > 0 { lowest } else { highest }, place);
    let stop = stop.map_or(if step > 0 { highest } else { lowest }, place);
    let inside = move |at: &i64| if step > 0 { *at < stop } else { *at > stop };
    std::iter::successors(Some(start), move |at| at.checked_add(step)).take_while(inside).map(|at| at as usize)
}

fn remainder(budget: &Budget, left: &Value, right: Value) -> Result<Value, Error> {
    if let Some(format) = left.as_str() {
        let values =
            if right.is_tuple() { right.try_iter()?.checked().collect::<Result<_, _>>()? } else { vec![right] };
        return super::strings::printf(budget, format, &values);
    }
    if let (Some(a), Some(b)) = (integer(left), integer(&right)) {
        // The sign is the divisor's.
        let remainder = a.checked_rem(b).ok_or_else(|| unsupported("%", left, &right))?;
        return Ok(Value::from(if remainder != 0 && (remainder < 0) != (b < 0) { remainder + b } else { remainder }));
    }
    match (number(left), number(&right)) {
        (Some(a), Some(b)) if b != 0.0 => {
            let remainder = a % b;
            let adjust = remainder != 0.0 && (remainder < 0.0) != (b < 0.0);
            Ok(Value::from(if adjust { remainder + b } else { remainder.copysign(b) }))
        }
        _ => Err(unsupported("%", left, &right)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What CPython 3.11 gives for `"abcde"[start:stop:step]`.
    #[test]
    fn slices_are_pythons() {
        let cases = [
            ((None, None, None), "abcde"),
            ((Some(1), Some(-1), None), "bcd"),
            ((Some(-100), Some(100), None), "abcde"),
            ((Some(3), Some(1), None), ""),
            ((None, None, Some(-1)), "edcba"),
            ((Some(100), Some(0), Some(-1)), "edcb"),
            ((Some(-2), None, Some(-2)), "db"),
            ((Some(1), Some(100), Some(3)), "be"),
            ((Some(0), Some(-100), Some(-1)), "a"),
            ((Some(i64::MIN), Some(i64::MAX), Some(i64::MAX)), "a"),
        ];
        let budget = Budget::new(0);
        for ((start, stop, step), expected) in cases {
            let bounds = [start, stop, step].map(Value::from);
            let found = slice(&budget, &"abcde".into(), [&bounds[0], &bounds[1], &bounds[2]]).unwrap();
            assert_eq!(found.as_str(), Some(expected), "{start:?} {stop:?} {step:?}");
            let none = slice(&budget, &Value::from(Vec::<Value>::new()), [&bounds[0], &bounds[1], &bounds[2]]).unwrap();
            assert_eq!(none.len(), Some(0));
        }
    }

    /// What CPython 3.11 gives.
    #[test]
    fn products_and_remainders_are_pythons() {
        let budget = Budget::new(0);
        let of = |operation: fn(&Budget, &Value, Value) -> Result<Value, Error>, left: Value, right: Value| {
            string(&budget, &operation(&budget, &left, right).unwrap()).unwrap().to_string()
        };
        let product = |budget: &Budget, left: &Value, right: Value| times(budget, left, &right);
        assert_eq!(of(product, "ab".into(), 3.into()), "ababab");
        assert_eq!(of(product, (-1).into(), "ab".into()), "");
        assert_eq!(of(product, Value::from(vec![1, 2]), true.into()), "[1, 2]");
        assert_eq!(of(product, 3.into(), 1.5.into()), "4.5");
        assert_eq!(of(product, 6.into(), 7.into()), "42");
        assert_eq!(of(remainder, (-7).into(), 3.into()), "2");
        assert_eq!(of(remainder, 7.into(), (-3).into()), "-2");
        assert_eq!(of(remainder, (-7.5).into(), 2.into()), "0.5");
        assert_eq!(
            of(remainder, "%s is %d%%".into(), Value::from(Tuple::from([Value::from("x"), 7.into()]))),
            "x is 7%"
        );
        assert!(times(&budget, &"a".into(), &i64::MAX.into()).is_err());
        assert!(remainder(&budget, &1.into(), 0.into()).is_err());
        assert!(remainder(&budget, &"%1000000000d".into(), 1.into()).is_err());
    }
}
