//! How calls compare with those that were expected.

use super::cases::{Case, Expected, same_name};
use super::extract::{Call, Extracted};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What became of one case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Verdict {
    /// All calls are there, with acceptable arguments, in their order where it matters, and nothing else.
    pub(super) correct: bool,
    /// The names are those that were expected, whatever the arguments.
    pub(super) names: bool,
    /// Share of the expected arguments that a call of their name has; `None` where none are expected.
    pub(super) arguments: Option<f64>,
    /// Calls that their tool's schema allows.
    pub(super) valid: usize,
}

pub(super) fn judge(case: &Case, found: &Extracted) -> Verdict {
    let calls = &found.calls;
    let valid = calls.iter().filter(|call| is_valid(case, call)).count();
    let fits =
        |expected: &Expected, call: &Call| same_name(&expected.name, &call.name) && arguments_fit(expected, call);
    let named = |expected: &Expected, call: &Call| same_name(&expected.name, &call.name);
    let all = |same: &dyn Fn(&Expected, &Call) -> bool| {
        found.malformed == 0 && calls.len() == case.expected.len() && pairs(case, calls, same) == calls.len()
    };
    Verdict { correct: all(&fits), names: all(&named), arguments: argument_share(case, calls), valid }
}

/// Most pairs of an expected call and a call of its own, of those that are the `same`: in order, or in any.
fn pairs(case: &Case, calls: &[Call], same: &dyn Fn(&Expected, &Call) -> bool) -> usize {
    if case.ordered {
        return case.expected.iter().zip(calls).filter(|(expected, call)| same(expected, call)).count();
    }
    // By augmenting paths: a call that is taken is given up where its owner finds another.
    let mut owner: Vec<Option<usize>> = vec![None; calls.len()];
    (0..case.expected.len())
        .filter(|&index| place(case, calls, same, index, &mut owner, &mut vec![false; calls.len()]))
        .count()
}

fn place(
    case: &Case,
    calls: &[Call],
    same: &dyn Fn(&Expected, &Call) -> bool,
    index: usize,
    owner: &mut [Option<usize>],
    tried: &mut [bool],
) -> bool {
    for (at, call) in calls.iter().enumerate() {
        if tried[at] || !same(&case.expected[index], call) {
            continue;
        }
        tried[at] = true;
        if owner[at].is_none_or(|other| place(case, calls, same, other, owner, tried)) {
            owner[at] = Some(index);
            return true;
        }
    }
    false
}

fn is_valid(case: &Case, call: &Call) -> bool {
    if !case.tool_names().iter().any(|name| same_name(name, &call.name)) {
        return false;
    }
    let Some(schema) = case.schema(&call.name) else { return true };
    jsonschema::validator_for(schema).is_ok_and(|validator| validator.is_valid(&Value::Object(call.arguments.clone())))
}

/// Every argument is acceptable, none is missing that may not be, and none is there that is not expected.
fn arguments_fit(expected: &Expected, call: &Call) -> bool {
    fields_fit(&expected.arguments, &call.arguments)
}

/// `acceptable` has a list of values for each field; `""` among them: the field may be left out.
fn fields_fit(acceptable: &Map<String, Value>, found: &Map<String, Value>) -> bool {
    found.keys().all(|name| acceptable.contains_key(name))
        && acceptable.iter().all(|(name, values)| {
            let values = values.as_array().map_or(&[] as &[Value], Vec::as_slice);
            match found.get(name) {
                Some(value) => values.iter().any(|acceptable| fits(acceptable, value)),
                None => values.iter().any(|value| value.as_str() == Some("")),
            }
        })
}

/// As the leaderboard compares: numbers by value, texts without regard to case, spaces and `,./-_*^`, and objects whose fields
/// have lists of acceptable values.
fn fits(acceptable: &Value, found: &Value) -> bool {
    match (acceptable, found) {
        (Value::String(wanted), Value::String(found)) => plain(wanted) == plain(found),
        (Value::Number(wanted), Value::Number(found)) => wanted.as_f64() == found.as_f64(),
        (Value::Array(wanted), Value::Array(found)) => {
            wanted.len() == found.len() && wanted.iter().zip(found).all(|(wanted, found)| fits(wanted, found))
        }
        (Value::Object(wanted), Value::Object(found)) if wanted.values().all(Value::is_array) => {
            fields_fit(wanted, found)
        }
        (wanted, found) => wanted == found,
    }
}

fn plain(text: &str) -> String {
    let kept = text.chars().filter(|c| !matches!(c, ' ' | ',' | '.' | '/' | '-' | '_' | '*' | '^'));
    kept.collect::<String>().to_lowercase().replace('\'', "\"")
}

/// Each expected call takes the first call of its name that no other has.
fn argument_share(case: &Case, calls: &[Call]) -> Option<f64> {
    let (mut wanted, mut right) = (0, 0);
    let mut left: Vec<&Call> = calls.iter().collect();
    for expected in &case.expected {
        let own = left.iter().position(|call| same_name(&call.name, &expected.name)).map(|at| left.remove(at));
        for (name, values) in &expected.arguments {
            let one: Map<String, Value> = [(name.clone(), values.clone())].into_iter().collect();
            wanted += 1;
            right += usize::from(own.is_some_and(|call| {
                let found = call.arguments.get(name).map(|value| (name.clone(), value.clone()));
                fields_fit(&one, &found.into_iter().collect())
            }));
        }
    }
    (wanted > 0).then(|| right as f64 / wanted as f64)
}

/// Verdicts over all cases.
#[derive(Debug, Default)]
pub(super) struct Tally {
    correct: Vec<bool>,
    names: Vec<bool>,
    arguments: Vec<f64>,
    /// Of the cases that expect none, those that called nothing.
    silent: Vec<bool>,
    calls: usize,
    valid: usize,
    malformed: usize,
}

impl Tally {
    pub(super) fn add(&mut self, case: &Case, found: &Extracted, verdict: &Verdict) {
        self.correct.push(verdict.correct);
        if case.expected.is_empty() {
            self.silent.push(verdict.correct);
        } else {
            self.names.push(verdict.names);
        }
        self.arguments.extend(verdict.arguments);
        self.calls += found.calls.len();
        self.valid += verdict.valid;
        self.malformed += found.malformed;
    }

    /// What a row keeps. Shares of nothing are absent.
    pub(super) fn scores(&self) -> BTreeMap<String, f64> {
        let share = |of: &[bool]| mean(&of.iter().map(|&is| f64::from(u8::from(is))).collect::<Vec<_>>());
        let scores = [
            ("callAccuracy", share(&self.correct)),
            ("nameAccuracy", share(&self.names)),
            ("argumentAccuracy", mean(&self.arguments)),
            ("noCallAccuracy", share(&self.silent)),
            ("schemaValidity", (self.calls > 0).then(|| self.valid as f64 / self.calls as f64)),
            ("malformedCalls", Some(self.malformed as f64)),
            ("calls", Some(self.calls as f64)),
            ("cases", Some(self.correct.len() as f64)),
        ];
        scores.into_iter().filter_map(|(name, score)| Some((name.to_owned(), score?))).collect()
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::super::extract::extract;
    use super::*;
    use serde_json::json;

    fn case(expected: Value, ordered: bool) -> Case {
        let parameters = json!({"type": "object", "required": ["city"], "additionalProperties": false,
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}, "at": {"type": "object"}}});
        let tools = json!([{"type": "function", "function": {"name": "weather", "parameters": parameters}},
            {"type": "function", "function": {"name": "time.now"}}]);
        serde_json::from_value(
            json!({"id": "c", "messages": [], "tools": tools, "expected": expected, "ordered": ordered}),
        )
        .unwrap()
    }

    fn verdict(expected: Value, ordered: bool, reply: &str) -> Verdict {
        let case = case(expected, ordered);
        judge(&case, &extract(reply, &case.tool_names()))
    }

    #[test]
    fn a_call_is_right_when_its_arguments_are_acceptable() {
        let expected = || json!([{"weather": {"city": ["San Francisco", "SF"], "days": [3, ""]}}]);
        let cases = [
            ("weather(city='SF')", true, 1.0),
            ("weather(city='san-francisco', days=3.0)", true, 1.0),
            ("weather(city='SF', days=4)", false, 0.5),
            ("weather(days=3)", false, 0.5),
            ("weather(city='SF', unit='C')", false, 1.0),
            ("time.now()", false, 0.0),
            ("weather(city='SF'); weather(city='SF')", false, 1.0),
            ("I do not know.", false, 0.0),
        ];
        for (reply, correct, share) in cases {
            let found = verdict(expected(), false, reply);
            assert_eq!((found.correct, found.arguments), (correct, Some(share)), "{reply}");
        }
    }

    #[test]
    fn schemas_decide_what_is_valid() {
        let valid = |reply| verdict(json!([]), false, reply).valid;
        assert_eq!(valid("weather(city='x', days=2)"), 1);
        assert_eq!(valid("weather(days=2)"), 0, "a required argument is missing");
        assert_eq!(valid("weather(city=3)"), 0, "of the wrong type");
        assert_eq!(valid("weather(city='x', more=1)"), 0, "not in the schema");
        assert_eq!(valid("time_now()"), 1);
        assert_eq!(valid(r#"{"name": "unknown", "parameters": {}}"#), 0);
    }

    #[test]
    fn several_calls_match_in_any_order_unless_it_matters() {
        let both = || json!([{"weather": {"city": ["A", "B"]}}, {"weather": {"city": ["A"]}}, {"time.now": {}}]);
        let reply = "[weather(city='A'), time_now(), weather(city='B')]";
        assert!(verdict(both(), false, reply).correct, "A may stand for either, B for the first alone");
        let ordered = verdict(both(), true, reply);
        assert_eq!((ordered.correct, ordered.names), (false, false));
        assert!(verdict(both(), true, "[weather(city='B'), weather(city='A'), time_now()]").correct);
        let wrong = verdict(both(), false, "[weather(city='B'), weather(city='B'), time_now()]");
        assert_eq!((wrong.correct, wrong.names), (false, true));
    }

    #[test]
    fn where_no_call_is_expected_silence_is_right() {
        assert!(verdict(json!([]), false, "Hello!").correct);
        assert!(!verdict(json!([]), false, "weather(city='x')").correct);
        assert!(!verdict(json!([]), false, "<tool_call>{\"name\"").correct, "an attempt is no silence");
    }

    #[test]
    fn nested_values_have_lists_of_their_own() {
        let expected = || json!([{"weather": {"city": ["x"], "at": [{"lat": [1.5], "name": ["a", ""]}]}}]);
        assert!(verdict(expected(), false, "weather(city='x', at={'lat': 1.5})").correct);
        assert!(!verdict(expected(), false, "weather(city='x', at={'name': 'a'})").correct);
    }

    #[test]
    fn shares_are_over_the_cases_that_they_are_of() {
        let mut tally = Tally::default();
        for (expected, reply) in [
            (json!([{"weather": {"city": ["x"]}}]), "weather(city='x')"),
            (json!([{"weather": {"city": ["x"]}}]), "weather(city=3)"),
            (json!([]), "No."),
            (json!([]), "<tool_call>{"),
        ] {
            let case = case(expected, false);
            let found = extract(reply, &case.tool_names());
            tally.add(&case, &found, &judge(&case, &found));
        }
        let expected = [
            ("callAccuracy", 0.5),
            ("nameAccuracy", 1.0),
            ("argumentAccuracy", 0.5),
            ("noCallAccuracy", 0.5),
            ("schemaValidity", 0.5),
            ("malformedCalls", 1.0),
            ("calls", 2.0),
            ("cases", 4.0),
        ];
        assert_eq!(tally.scores(), expected.map(|(name, score)| (name.to_owned(), score)).into());
    }
}
