//! Tests, as in `x is sequence`.

use super::super::budget::Budget;
use minijinja::value::ValueKind;
use minijinja::{Environment, Error, Value};
use std::sync::Arc;

pub(super) fn add_to(environment: &mut Environment<'_>, budget: &Arc<Budget>) {
    // Python can take lengths and elements of strings, maps, and of what is undefined.
    let has_elements = |value: &Value| {
        let kinds = [ValueKind::Undefined, ValueKind::String, ValueKind::Seq, ValueKind::Iterable, ValueKind::Map];
        kinds.contains(&value.kind())
    };
    environment.add_test("sequence", move |value: &Value| has_elements(value));
    environment.add_test("iterable", move |value: &Value| has_elements(value));
    environment.add_test("number", |value: &Value| matches!(value.kind(), ValueKind::Number | ValueKind::Bool));
    environment.add_test("callable", |value: &Value| value.kind() == ValueKind::Plain);
    type Comparison = fn(&Value, &Value) -> bool;
    let comparisons: [(&[&str], Comparison); 6] = [
        (&["eq", "equalto", "=="], |left, right| left == right),
        (&["ne", "!="], |left, right| left != right),
        (&["lt", "lessthan", "<"], |left, right| left < right),
        (&["le", "<="], |left, right| left <= right),
        (&["gt", "greaterthan", ">"], |left, right| left > right),
        (&["ge", ">="], |left, right| left >= right),
    ];
    for (names, holds) in comparisons {
        for name in names {
            let own = budget.clone();
            environment.add_test(*name, move |left: &Value, right: &Value| {
                own.weigh(left)?;
                own.weigh(right)?;
                Ok::<_, Error>(holds(left, right))
            });
        }
    }
}
