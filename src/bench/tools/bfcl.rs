//! Reads cases of the Berkeley Function Calling Leaderboard, version 3: JSONL of questions, and JSONL of possible answers.
//!
//! A question has an `id`, `question` (a list of turns, each a list of messages) and `function` (a list of functions). An answer has
//! the same `id` and `ground_truth`, a list of calls of the form of [`Expected`]. Schemas there name types as Python does.

use super::cases::{Case, Expected, check};
use crate::bench::Error;
use crate::text::Message;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Deserialize)]
struct Question {
    id: String,
    question: Vec<Vec<Message>>,
    function: Functions,
}

/// Most files have a list, some a single function.
#[derive(Deserialize)]
#[serde(untagged)]
enum Functions {
    Many(Vec<Map<String, Value>>),
    One(Map<String, Value>),
}

#[derive(Deserialize)]
struct Answer {
    id: String,
    ground_truth: Vec<Expected>,
}

/// The cases of a file of questions and, unless no calls are expected, one of answers; each with its path, for messages.
pub(super) fn cases(questions: (&Path, &str), answers: Option<(&Path, &str)>) -> Result<Vec<Case>, Error> {
    let (path, text) = questions;
    let mut known: BTreeMap<String, Vec<Expected>> = BTreeMap::new();
    if let Some((path, text)) = answers {
        for (_, answer) in lines::<Answer>(path, text)? {
            known.insert(answer.id, answer.ground_truth);
        }
    }
    let mut cases = Vec::new();
    for (number, question) in lines::<Question>(path, text)? {
        let damaged = |found: String| {
            let found = format!("line {number}: {found}");
            Error::Damaged { path: path.to_owned(), expected: "questions of one turn, with an answer for each", found }
        };
        let Question { id, question, function } = question;
        let expected = match answers {
            None => Vec::new(),
            Some((answers, _)) => {
                let answer = known.remove(&id);
                answer.ok_or_else(|| damaged(format!("`{id}`, for which {} has none", answers.display())))?
            }
        };
        let turns = question.len();
        let Ok([messages]) = <[Vec<Message>; 1]>::try_from(question) else {
            return Err(damaged(format!("`{id}` of {turns} turns")));
        };
        let functions = match function {
            Functions::Many(functions) => functions,
            Functions::One(function) => vec![function],
        };
        let tools = functions.into_iter().map(tool).collect();
        let case = Case { id, messages, tools, expected, ordered: false };
        check(&case).map_err(damaged)?;
        cases.push(case);
    }
    Ok(cases)
}

/// One value for each line that is not empty, with the line's number from 1.
fn lines<T: for<'a> Deserialize<'a>>(path: &Path, text: &str) -> Result<Vec<(usize, T)>, Error> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let read = |(index, line): (usize, &str)| {
        let value = serde_json::from_str(line).map_err(|error| Error::Damaged {
            path: path.to_owned(),
            expected: "JSONL of the Berkeley Function Calling Leaderboard, version 3",
            found: format!("line {}: {error}", index + 1),
        })?;
        Ok((index + 1, value))
    };
    lines.map(read).collect()
}

fn tool(mut function: Map<String, Value>) -> Value {
    if let Some(parameters) = function.get_mut("parameters") {
        name_types(parameters, 0);
    }
    json!({"type": "function", "function": function})
}

/// Deeper than any schema is; what lies below keeps its types.
const DEEPEST: usize = 64;

/// Python's names of types become those of JSON schema.
fn name_types(schema: &mut Value, depth: usize) {
    let Value::Object(fields) = schema else { return };
    if depth == DEEPEST {
        return;
    }
    if let Some(Value::String(kind)) = fields.get_mut("type") {
        let name = match kind.as_str() {
            "dict" | "hashtable" | "HashMap" | "Hashmap" => "object",
            "float" | "double" | "long" => "number",
            "tuple" | "list" | "ArrayList" | "Array" => "array",
            "String" | "char" => "string",
            "Boolean" | "bool" => "boolean",
            "int" | "byte" | "short" => "integer",
            other => other,
        };
        let name = name.to_owned();
        if name.eq_ignore_ascii_case("any") {
            fields.remove("type");
        } else {
            *kind = name;
        }
    }
    for keyword in ["items", "additionalProperties"] {
        if let Some(inner) = fields.get_mut(keyword) {
            name_types(inner, depth + 1);
        }
    }
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        properties.values_mut().for_each(|property| name_types(property, depth + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // In the form of the leaderboard's files, in our own words.
    const QUESTIONS: &str = concat!(
        r#"{"id": "simple_0", "question": [[{"role": "user", "content": "Area of a triangle, base 10, height 5?"}]], "function": [{"name": "geometry.area", "description": "d", "parameters": {"type": "dict", "properties": {"base": {"type": "integer"}, "sides": {"type": "array", "items": {"type": "float"}}, "unit": {"type": "any"}}, "required": ["base"]}}]}"#,
        "\n\n",
        r#"{"id": "simple_1", "question": [[{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]], "function": {"name": "f", "parameters": {"type": "dict", "properties": {}}}}"#,
        "\n"
    );
    const ANSWERS: &str = concat!(
        r#"{"id": "simple_1", "ground_truth": []}"#,
        "\n",
        r#"{"id": "simple_0", "ground_truth": [{"geometry.area": {"base": [10], "unit": ["cm", ""]}}]}"#
    );

    fn read(questions: &str, answers: Option<&str>) -> Result<Vec<Case>, String> {
        let answers = answers.map(|text| (Path::new("a.json"), text));
        cases((Path::new("q.json"), questions), answers).map_err(|error| error.to_string())
    }

    #[test]
    fn questions_find_their_answers_by_id() {
        let cases = read(QUESTIONS, Some(ANSWERS)).unwrap();
        assert_eq!((cases[0].expected.len(), cases[1].expected.len()), (1, 0));
        assert_eq!(cases[0].expected[0].arguments["unit"], json!(["cm", ""]));
        assert_eq!((cases[1].messages.len(), cases[1].tool_names()), (2, vec!["f"]));
        assert!(read(QUESTIONS, None).unwrap().iter().all(|case| case.expected.is_empty()));
    }

    #[test]
    fn types_are_those_of_json_schema() {
        let cases = read(QUESTIONS, None).unwrap();
        let expected = json!({"type": "object", "properties": {"base": {"type": "integer"},
            "sides": {"type": "array", "items": {"type": "number"}}, "unit": {}}, "required": ["base"]});
        assert_eq!(cases[0].schema("geometry.area"), Some(&expected));
        assert_eq!(cases[0].schema("geometry_area"), Some(&expected));
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        let turns = r#"{"id": "m", "question": [[], []], "function": []}"#;
        for (questions, answers, parts) in [
            ("{", None, ["q.json", "line 1: "]),
            (turns, None, ["q.json", "line 1: `m` of 2 turns"]),
            (QUESTIONS, Some(""), ["q.json", "line 1: `simple_0`, for which a.json has none"]),
            (QUESTIONS, Some("\n[]"), ["a.json", "line 2: "]),
        ] {
            let error = read(questions, answers).unwrap_err();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
    }
}
