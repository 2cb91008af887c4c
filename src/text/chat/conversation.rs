//! What a template is given.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Names under which a message's reasoning is passed; the first is the one that most templates read.
const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

/// One message: a JSON object with a `role`, mostly a `content` (text, or a list of parts), and whatever else a template may
/// read: `tool_calls`, `tool_call_id`, `reasoning_content`. Fields keep their order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct Message(Map<String, Value>);

impl Message {
    /// A message of plain text.
    pub fn new(role: &str, text: impl Into<String>) -> Self {
        let mut fields = Map::new();
        fields.insert("role".to_owned(), role.into());
        fields.insert("content".to_owned(), Value::String(text.into()));
        Self(fields)
    }

    /// Adds a field, or replaces it.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0.insert(field.to_owned(), value.into());
        self
    }

    /// Who speaks: `system`, `user`, `assistant`, `tool`, or what else a template knows.
    pub fn role(&self) -> &str {
        self.0.get("role").and_then(Value::as_str).unwrap_or_default()
    }

    /// The text: the content, or its parts of type `text` one after the other. `None` where there is no text.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        match self.0.get("content")? {
            Value::String(text) => Some(Cow::Borrowed(text)),
            Value::Array(parts) => {
                let texts: Vec<&str> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
                (!texts.is_empty()).then(|| Cow::Owned(texts.concat()))
            }
            _ => None,
        }
    }

    /// All fields, as a template sees them.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The fields, with the reasoning under each of its names, as transformers passes it on.
    pub(super) fn for_template(&self) -> Map<String, Value> {
        let reasoning = REASONING.iter().find_map(|name| self.0.get(*name).filter(|value| !value.is_null()));
        let Some(reasoning) = reasoning else { return self.0.clone() };
        let mut fields = Map::new();
        fields.insert("thinking".to_owned(), reasoning.clone());
        fields.extend(self.0.clone());
        fields.insert("reasoning_content".to_owned(), reasoning.clone());
        fields
    }
}

impl TryFrom<Map<String, Value>> for Message {
    type Error = &'static str;

    fn try_from(fields: Map<String, Value>) -> Result<Self, Self::Error> {
        match fields.get("role") {
            Some(Value::String(_)) => Ok(Self(fields)),
            Some(_) => Err("a message's `role`: expected a string"),
            None => Err("expected a message with a `role`, found none in it"),
        }
    }
}

/// A conversation, and how it is to be rendered.
#[derive(Clone, Debug)]
pub struct ChatInput<'a> {
    /// What was said so far, in order.
    pub messages: &'a [Message],
    /// Functions that the model may call, as JSON schemas; `None` where there are none.
    pub tools: Option<&'a [Value]>,
    /// Documents to answer from.
    pub documents: Option<&'a [Value]>,
    /// Ends with the beginning of the assistant's answer.
    pub add_generation_prompt: bool,
    /// Whether the model is to think before it answers; `None` leaves it to the template.
    pub thinking: Option<bool>,
    /// Further variables of the template, such as `reasoning_effort` or `date_string`. They win over all others.
    pub extra: Map<String, Value>,
}

impl<'a> ChatInput<'a> {
    /// `messages`, to be answered by the assistant.
    pub fn new(messages: &'a [Message]) -> Self {
        Self { messages, tools: None, documents: None, add_generation_prompt: true, thinking: None, extra: Map::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_that_nobody_knows_come_back_in_their_order() {
        let text = r#"{"content":"hi","zeta":1,"role":"user","alpha":[2]}"#;
        let message: Message = serde_json::from_str(text).unwrap();
        assert_eq!((message.role(), message.text().as_deref()), ("user", Some("hi")));
        assert_eq!(serde_json::to_string(&message).unwrap(), text);
    }

    #[test]
    fn a_message_needs_a_role() {
        for bad in [r#"{"content": "hi"}"#, r#"{"role": 1}"#, "[]", "3"] {
            assert!(serde_json::from_str::<Message>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn parts_are_read_as_one_text() {
        let parts = json!([{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]);
        assert_eq!(Message::new("user", "").with("content", parts).text().as_deref(), Some("ab"));
        assert_eq!(Message::new("user", "").with("content", Value::Null).text(), None);
    }

    #[test]
    fn reasoning_is_found_under_each_of_its_names() {
        let message = Message::new("assistant", "4").with("reasoning", "2+2");
        let fields = message.for_template();
        assert_eq!((&fields["thinking"], &fields["reasoning_content"]), (&json!("2+2"), &json!("2+2")));
        assert!(!Message::new("assistant", "4").for_template().contains_key("thinking"));
    }
}
