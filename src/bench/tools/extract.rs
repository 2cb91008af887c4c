//! Finds the calls in a reply, in the spellings that models were taught.

use super::cases::same_name;
use super::python;
use serde_json::{Map, Value};

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) arguments: Map<String, Value>,
}

/// What a reply holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Extracted {
    pub(super) calls: Vec<Call>,
    /// Places where a call began that could not be read.
    pub(super) malformed: usize,
}

/// Marks that calls stand between: Hermes and Qwen; Gemma; what chat models make of JSON.
const FENCES: [(&str, &str); 5] = [
    ("<tool_call>", "</tool_call>"),
    ("<function_call>", "</function_call>"),
    ("```tool_code", "```"),
    ("```tool_call", "```"),
    ("```json", "```"),
];

/// Marks behind which the rest of the reply is calls: Mistral, Llama.
const PREFIXES: [&str; 2] = ["[TOOL_CALLS]", "<|python_tag|>"];

/// The calls of a reply. `tools` are the names of those that were offered: text that is no JSON is a call only of one of these.
pub(super) fn extract(reply: &str, tools: &[&str]) -> Extracted {
    let mut found = Extracted::default();
    let mut rest = reply;
    let mut marked = false;
    while let Some((at, open, close)) =
        FENCES.iter().filter_map(|&(open, close)| Some((rest.find(open)?, open, close))).min()
    {
        let inside = &rest[at + open.len()..];
        let (body, behind) = inside.split_once(close).unwrap_or((inside, ""));
        // A block of JSON may be part of an answer; the other marks stand for calls alone.
        let calls = calls(body, tools);
        if open == "```json" {
            found.calls.extend(calls.unwrap_or_default());
        } else {
            found.add(calls);
        }
        marked = true;
        rest = behind;
    }
    if marked {
        return found;
    }
    if let Some((mark, at)) = PREFIXES.iter().find_map(|mark| Some((*mark, reply.find(mark)?))) {
        for part in reply[at..].split(mark).filter(|part| !part.trim().is_empty()) {
            found.add(calls(part, tools));
        }
        return found;
    }
    // Without marks all of the reply is calls, or none of it.
    let text = without_end(reply);
    match calls(text, tools) {
        Some(calls) => found.calls = calls,
        None => found.malformed = usize::from(begins_a_call(text, tools)),
    }
    found
}

impl Extracted {
    fn add(&mut self, calls: Option<Vec<Call>>) {
        match calls {
            Some(calls) => self.calls.extend(calls),
            None => self.malformed += 1,
        }
    }
}

/// Whether a text that could not be read was meant to be a call.
fn begins_a_call(text: &str, tools: &[&str]) -> bool {
    let json = text.starts_with(['{', '[']) && (text.contains("\"name\"") || text.contains("\"function\""));
    json || tools.iter().any(|tool| text.trim_start_matches('[').starts_with(&format!("{tool}(")))
}

/// Without the marks that end a turn.
fn without_end(text: &str) -> &str {
    let mut text = text.trim();
    for mark in ["<|eom_id|>", "<|eot_id|>", "<|im_end|>", "</s>", "<end_of_turn>", "<|endoftext|>"] {
        text = text.strip_suffix(mark).unwrap_or(text).trim_end();
    }
    text
}

/// All of a text as calls; `None` where it is something else.
fn calls(text: &str, tools: &[&str]) -> Option<Vec<Call>> {
    let text = without_end(text);
    json_calls(text).or_else(|| named_arguments(text)).or_else(|| {
        let calls = python::calls(text)?;
        calls.iter().all(|call| tools.iter().any(|tool| same_name(tool, &call.name))).then_some(calls)
    })
}

/// One JSON value after another, with commas, semicolons or nothing between them.
fn json_calls(text: &str) -> Option<Vec<Call>> {
    let mut calls = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        match values.next()?.ok()? {
            Value::Array(list) => {
                for value in list {
                    calls.push(call(value)?);
                }
            }
            value => calls.push(call(value)?),
        }
        rest = rest[values.byte_offset()..].trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ';' | ','));
    }
    (!text.is_empty()).then_some(calls)
}

/// `{"name": …, "arguments": {…}}`; Llama writes `parameters`, others wrap it into `function`, and some write the arguments as text.
fn call(value: Value) -> Option<Call> {
    let Value::Object(mut fields) = value else { return None };
    if let Some(Value::Object(function)) = fields.get("function") {
        fields = function.clone();
    }
    let name = fields.get("name").or_else(|| fields.get("function"))?.as_str()?.to_owned();
    let arguments = ["arguments", "parameters", "args"].iter().find_map(|key| fields.get(*key));
    let arguments = match arguments {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(arguments)) => arguments.clone(),
        Some(Value::String(text)) => serde_json::from_str(text).ok()?,
        Some(_) => return None,
    };
    Some(Call { name, arguments })
}

/// `name[ARGS]{…}` or `name{…}`, as newer Mistral models write.
fn named_arguments(text: &str) -> Option<Vec<Call>> {
    let (name, arguments) = text.split_at(text.find('{')?);
    let name = name.trim().trim_end_matches("[ARGS]").trim();
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-'));
    let arguments = serde_json::from_str(arguments).ok()?;
    is_name.then(|| vec![Call { name: name.to_owned(), arguments }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(reply: &str) -> (Vec<(String, Value)>, usize) {
        let Extracted { calls, malformed } = extract(reply, &["get_weather", "add"]);
        (calls.into_iter().map(|call| (call.name, Value::Object(call.arguments))).collect(), malformed)
    }

    #[test]
    fn one_call_is_read_in_every_spelling() {
        let expected = vec![("get_weather".to_owned(), json!({"city": "Paris", "days": 3}))];
        for reply in [
            "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\", \"days\": 3}}\n</tool_call><|im_end|>",
            "Let me see. <tool_call>[{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\", \"days\": 3}}]</tool_call>",
            "<tool_call>{\"name\": \"get_weather\", \"arguments\": \"{\\\"city\\\": \\\"Paris\\\", \\\"days\\\": 3}\"}",
            "{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Paris\", \"days\": 3}}<|eot_id|>",
            "<|python_tag|>{\"type\": \"function\", \"name\": \"get_weather\", \"parameters\": {\"city\": \"Paris\", \"days\": 3}}<|eom_id|>",
            "{\"type\": \"function\", \"function\": {\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\", \"days\": 3}}}",
            "[TOOL_CALLS] [{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\", \"days\": 3}}]</s>",
            "[TOOL_CALLS]get_weather[ARGS]{\"city\": \"Paris\", \"days\": 3}",
            "```tool_code\nget_weather(city='Paris', days=3)\n```",
            "```json\n{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Paris\", \"days\": 3}}\n```",
            "[get_weather(city=\"Paris\", days=3)]",
            "get_weather(city=\"Paris\", days=3)",
        ] {
            assert_eq!(found(reply), (expected.clone(), 0), "{reply}");
        }
    }

    #[test]
    fn several_calls_keep_their_order() {
        let names = |reply: &str| {
            let (calls, malformed) = found(reply);
            assert_eq!(malformed, 0, "{reply}");
            calls.into_iter().map(|call| call.0).collect::<Vec<_>>()
        };
        for reply in [
            "<tool_call>{\"name\": \"add\"}</tool_call>\n<tool_call>{\"name\": \"get_weather\", \"arguments\": {}}</tool_call>",
            "{\"name\": \"add\", \"parameters\": {}}; {\"name\": \"get_weather\", \"parameters\": {}}",
            "[TOOL_CALLS]add[ARGS]{}[TOOL_CALLS]get_weather[ARGS]{}",
            "[add(a=1, b=[2, 3]), get_weather(city='x')]",
            "```tool_code\nadd(a=1)\nget_weather(city='x')\n```",
        ] {
            assert_eq!(names(reply), ["add", "get_weather"], "{reply}");
        }
    }

    #[test]
    fn answers_in_words_hold_no_calls() {
        for reply in
            ["", "It is sunny in Paris.", "Call print(1) and see.", "f(x) = 2", "[1, 2, 3]", "```json\n{\"a\": 1}\n```"]
        {
            assert_eq!(found(reply), (Vec::new(), 0), "{reply}");
        }
    }

    #[test]
    fn calls_that_break_off_are_counted_and_nothing_panics() {
        for reply in [
            "<tool_call>{\"name\": \"add\", \"argum",
            "<tool_call>hello</tool_call>",
            "{\"name\": \"add\", \"parameters\": {\"a\": ",
            "[TOOL_CALLS][{\"name\"",
            "get_weather(city=",
            "<tool_call>{\"name\": \"add\", \"arguments\": [1]}</tool_call>",
        ] {
            assert_eq!(found(reply), (Vec::new(), 1), "{reply}");
        }
        let deep = "[".repeat(100_000);
        found(&deep);
        found(&format!("get_weather(city={deep}"));
        found(&format!("add(a={}", "{'a':".repeat(50_000)));
    }
}
