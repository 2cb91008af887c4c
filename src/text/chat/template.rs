//! A chat template, ready for use.

use super::conversation::ChatInput;
use super::environment::{self, Clock};
use crate::text::{Error, Tokenizer, Vocabulary};
use minijinja::value::Serde;
use serde_json::{Map, Value, json};

/// A Jinja template that turns a conversation into a prompt. See [`ChatTemplate::new`].
#[derive(Clone, Debug)]
pub struct ChatTemplate {
    default: String,
    /// Used where there are tools, if the checkpoint has a template of its own for that.
    tool_use: Option<String>,
    tokens: SpecialTokens,
    clock: Clock,
}

/// Texts of the special tokens that templates write out. Those that are absent are undefined to a template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecialTokens {
    /// `bos_token`: begins a text.
    pub bos: Option<String>,
    /// `eos_token`: ends a text.
    pub eos: Option<String>,
    /// `unk_token`: stands for what the vocabulary cannot express.
    pub unknown: Option<String>,
    /// `pad_token`: fills up.
    pub padding: Option<String>,
}

impl SpecialTokens {
    /// Those that a vocabulary names by id.
    pub(in crate::text) fn of(vocabulary: &Vocabulary) -> Self {
        let text = |id: Option<u32>| vocabulary.tokens.get(id? as usize).cloned();
        Self {
            bos: text(vocabulary.bos),
            eos: text(vocabulary.eos),
            unknown: text(vocabulary.unknown),
            padding: text(vocabulary.padding),
        }
    }
}

impl ChatTemplate {
    /// A template from its Jinja source.
    ///
    /// # Errors
    ///
    /// The source is not Jinja as transformers reads it, or longer than any template.
    pub fn new(source: &str, tokens: SpecialTokens) -> Result<Self, Error> {
        environment::check(source)?;
        Ok(Self { default: source.to_owned(), tool_use: None, tokens, clock: jiff::Zoned::now })
    }

    /// Uses `source` instead where tools are given.
    ///
    /// # Errors
    ///
    /// As [`ChatTemplate::new`].
    pub fn with_tool_use(mut self, source: &str) -> Result<Self, Error> {
        environment::check(source)?;
        self.tool_use = Some(source.to_owned());
        Ok(self)
    }

    /// Takes the time from `clock` where the template asks for it with `strftime_now`.
    #[must_use]
    pub fn with_clock(mut self, clock: fn() -> jiff::Zoned) -> Self {
        self.clock = clock;
        self
    }

    /// The template that a tokenizer's checkpoint has; `None` where it has none.
    ///
    /// # Errors
    ///
    /// As [`ChatTemplate::new`].
    pub fn of(tokenizer: &Tokenizer) -> Result<Option<Self>, Error> {
        let Some(source) = tokenizer.chat_template() else { return Ok(None) };
        let template = Self::new(source, tokenizer.special_tokens().clone())?;
        match tokenizer.tool_use_template() {
            Some(source) => template.with_tool_use(source).map(Some),
            None => Ok(Some(template)),
        }
    }

    /// The prompt for a conversation. Control tokens stand in it as text, and so does the beginning-of-text token where there is
    /// to be one: encode it with [`Special::Parse`](crate::text::Special::Parse) and [`Bos::Never`](crate::text::Bos::Never).
    ///
    /// # Errors
    ///
    /// [`Error::TemplateRefused`] where the template itself objects to the conversation, [`Error::TemplateRun`] where it does
    /// something that cannot be done, and [`Error::TemplateLimit`] where it does not come to an end within reason.
    pub fn render(&self, input: &ChatInput<'_>) -> Result<String, Error> {
        let source = match (&self.tool_use, input.tools) {
            (Some(source), Some(_)) => source,
            _ => &self.default,
        };
        let variables = Value::Object(self.variables(input));
        let size = size(&variables);
        environment::render(source, Serde(variables).into(), size, self.clock)
    }

    fn variables(&self, input: &ChatInput<'_>) -> Map<String, Value> {
        let mut variables = Map::new();
        let messages = input.messages.iter().map(|message| Value::Object(message.for_template()));
        variables.insert("messages".to_owned(), messages.collect());
        variables.insert("tools".to_owned(), json!(input.tools));
        variables.insert("documents".to_owned(), json!(input.documents));
        variables.insert("add_generation_prompt".to_owned(), input.add_generation_prompt.into());
        let SpecialTokens { bos, eos, unknown, padding } = &self.tokens;
        for (name, token) in [("bos_token", bos), ("eos_token", eos), ("unk_token", unknown), ("pad_token", padding)] {
            variables.extend(token.iter().map(|token| (name.to_owned(), token.clone().into())));
        }
        if let Some(thinking) = input.thinking {
            // The names that models know it by: Qwen, GLM and SmolLM; Granite and DeepSeek.
            variables.extend(["enable_thinking", "thinking"].map(|name| (name.to_owned(), thinking.into())));
        }
        variables.extend(input.extra.clone());
        variables
    }
}

/// Bytes of a value's texts, and some for each value.
fn size(value: &Value) -> u64 {
    const VALUE: u64 = 16;
    VALUE
        + match value {
            Value::String(text) => text.len() as u64,
            Value::Array(elements) => elements.iter().map(size).sum(),
            Value::Object(fields) => fields.iter().map(|(name, value)| name.len() as u64 + size(value)).sum(),
            _ => 0,
        }
}
