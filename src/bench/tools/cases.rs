//! What is asked, with which tools, and which calls are expected.

use super::bfcl;
use crate::bench::{BenchOptions, Error};
use crate::text::Message;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// One question.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) id: String,
    pub(super) messages: Vec<Message>,
    /// As templates take them: `{"type": "function", "function": {"name", "description", "parameters"}}`.
    pub(super) tools: Vec<Value>,
    /// None where the question needs no tool.
    pub(super) expected: Vec<Expected>,
    /// The calls have to come in this order.
    #[serde(default)]
    pub(super) ordered: bool,
}

/// One call: `{name: {argument: [acceptable values]}}`. An argument with `""` among its values may be left out.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub(super) struct Expected {
    pub(super) name: String,
    pub(super) arguments: Map<String, Value>,
}

impl TryFrom<Map<String, Value>> for Expected {
    type Error = String;

    fn try_from(fields: Map<String, Value>) -> Result<Self, String> {
        let mut fields = fields.into_iter();
        let (Some((name, Value::Object(arguments))), None) = (fields.next(), fields.next()) else {
            return Err("expected an object of one function's name and its arguments".to_owned());
        };
        match arguments.iter().find(|(_, values)| !values.is_array()) {
            Some((argument, _)) => Err(format!("expected a list of acceptable values of `{argument}` of `{name}`")),
            None => Ok(Self { name, arguments }),
        }
    }
}

impl Case {
    pub(super) fn tool_names(&self) -> Vec<&str> {
        self.tools.iter().filter_map(tool_name).collect()
    }

    /// The schema of a tool's arguments.
    pub(super) fn schema(&self, name: &str) -> Option<&Value> {
        let tool = self.tools.iter().find(|tool| tool_name(tool).is_some_and(|known| same_name(known, name)))?;
        tool.get("function")?.get("parameters")
    }
}

fn tool_name(tool: &Value) -> Option<&str> {
    tool.get("function")?.get("name")?.as_str()
}

/// Templates and models write `math.factorial` as `math_factorial` too.
pub(super) fn same_name(a: &str, b: &str) -> bool {
    a == b || a.replace('.', "_") == b.replace('.', "_")
}

/// Cases of our own.
const OWN: &str = include_str!("cases.json");

/// More than any file of cases has.
const MOST_BYTES: u64 = 256 << 20;

/// The cases that were asked for, at least one.
pub(super) fn load(options: &BenchOptions) -> Result<Vec<Case>, Error> {
    let Some(path) = &options.cases else {
        return parse(OWN).map_err(|why| panic!("our own cases: {why}"));
    };
    let text = read(path)?;
    let damaged = |found| Error::Damaged { path: path.clone(), expected: "cases of tool calls", found };
    let cases = if text.trim_start().starts_with('[') {
        parse(&text).map_err(damaged)?
    } else {
        let answers = options.answers.as_deref().map(|path| Ok::<_, Error>((path, read(path)?))).transpose()?;
        bfcl::cases((path, &text), answers.as_ref().map(|(path, text)| (*path, text.as_str())))?
    };
    if cases.is_empty() { Err(damaged("none".to_owned())) } else { Ok(cases) }
}

fn read(path: &Path) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let file = File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes));
    file.map_err(Error::file(path))?;
    let damaged = |expected, found| Error::Damaged { path: path.to_owned(), expected, found };
    if bytes.len() as u64 > MOST_BYTES {
        return Err(damaged("at most 256 MiB", "more".to_owned()));
    }
    String::from_utf8(bytes)
        .map_err(|error| damaged("UTF-8 text", format!("another byte at {}", error.utf8_error().valid_up_to())))
}

fn parse(text: &str) -> Result<Vec<Case>, String> {
    let cases: Vec<Case> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    for case in &cases {
        check(case).map_err(|why| format!("case {}: {why}", case.id))?;
    }
    Ok(cases)
}

/// Refuses tools without names, and schemas that are none.
pub(super) fn check(case: &Case) -> Result<(), String> {
    for tool in &case.tools {
        let name = tool_name(tool).ok_or("a tool without a name")?;
        if let Some(schema) = case.schema(name) {
            jsonschema::validator_for(schema).map_err(|error| format!("the schema of `{name}`: {error}"))?;
        }
    }
    match case.expected.iter().find(|call| !case.tool_names().iter().any(|name| same_name(name, &call.name))) {
        Some(call) => Err(format!("a call of `{}` is expected, and there is no such tool", call.name)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_cases_are_sound_and_of_every_kind() {
        let cases = parse(OWN).unwrap();
        assert!(cases.len() >= 12);
        let mut ids: Vec<&str> = cases.iter().map(|case| case.id.as_str()).collect();
        ids.dedup();
        assert_eq!(ids.len(), cases.len());
        assert!(cases.iter().any(|case| case.expected.is_empty()), "no call");
        assert!(cases.iter().any(|case| case.expected.len() > 1 && !case.ordered), "several at once");
        assert!(cases.iter().any(|case| case.expected.len() > 1 && case.ordered), "one after the other");
        assert!(cases.iter().any(|case| case.tools.len() > 2), "a choice of tools");
    }

    #[test]
    fn what_is_expected_is_one_call_with_lists_of_values() {
        let read = |text: &str| serde_json::from_str::<Expected>(text);
        assert_eq!(read(r#"{"f": {"a": [1, ""]}}"#).unwrap().name, "f");
        for bad in ["{}", r#"{"f": 1}"#, r#"{"f": {}, "g": {}}"#, r#"{"f": {"a": 1}}"#] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let unknown = r#"[{"id": "x", "messages": [], "tools": [], "expected": [{"f": {}}]}]"#;
        assert!(parse(unknown).unwrap_err().contains("no such tool"));
        let schema = r#"[{"id": "x", "messages": [], "expected": [],
            "tools": [{"function": {"name": "f", "parameters": {"type": "dict"}}}]}]"#;
        assert!(parse(schema).unwrap_err().contains("the schema of `f`"));
    }
}
