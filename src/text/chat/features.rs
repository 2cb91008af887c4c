//! What a template can do, found out by trying.

use super::conversation::{ChatInput, Message};
use super::template::ChatTemplate;
use serde_json::json;

/// What a chat template makes use of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ChatFeatures {
    /// It takes a system message.
    pub system: bool,
    /// It tells the model which functions it may call.
    pub tools: bool,
    /// Thinking can be switched on or off.
    pub thinking: bool,
}

impl ChatTemplate {
    /// What the template makes use of, judged by what comes of it: a word that stands in the input alone has to come out, and
    /// a switch has to change the prompt.
    pub fn features(&self) -> ChatFeatures {
        const WORD: &str = "quokka";
        let user = Message::new("user", "Hi");
        let shows = |input: &ChatInput<'_>| self.render(input).is_ok_and(|text| text.contains(WORD));

        let with_system = [Message::new("system", WORD), user.clone()];
        let parameters =
            json!({"type": "object", "properties": {"a": {"type": "string", "description": "b"}}, "required": ["a"]});
        let tools =
            [json!({"type": "function", "function": {"name": WORD, "description": "c", "parameters": parameters}})];
        let alone = [user];
        let with_tools = ChatInput { tools: Some(&tools), ..ChatInput::new(&alone) };
        let thinking = |thinking| self.render(&ChatInput { thinking: Some(thinking), ..ChatInput::new(&alone) }).ok();
        ChatFeatures {
            system: shows(&ChatInput::new(&with_system)),
            tools: shows(&with_tools),
            thinking: thinking(true) != thinking(false),
        }
    }
}
