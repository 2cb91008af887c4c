//! Which marks a model uses.

use super::harmony;
use crate::text::{Bos, Controls, EncodeOptions, Special, Tokenizer};

/// A pair of tags with thinking between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagPair {
    /// Begins thinking.
    pub open: &'static str,
    /// What stands between the tag and the thinking, if it does.
    pub label: &'static str,
    /// Ends it.
    pub close: &'static str,
}

/// Tags in use: ChatML-style ones (`<think>`: Qwen3, DeepSeek-R1, SmolLM3, QwQ), Magistral's and Seed-OSS's.
const PAIRS: &[TagPair] = &[
    TagPair { open: "<think>", label: "", close: "</think>" },
    TagPair { open: "<|think|>", label: "", close: "<|/think|>" },
    TagPair { open: "<thinking>", label: "", close: "</thinking>" },
    TagPair { open: "[THINK]", label: "", close: "[/THINK]" },
    TagPair { open: "<seed:think>", label: "", close: "</seed:think>" },
];

/// Gemma 4's channel; a model that is not to think is given an empty one. Its `<|think|>`, which turns thinking on in the system
/// prompt, is no tag. Source: Google, "Gemma 4 prompt formatting", and the template of `google/gemma-4-e2b-it`. Gemma 3 has no
/// such tokens.
const GEMMA: TagPair = TagPair { open: "<|channel>", label: "thought\n", close: "<channel|>" };

/// How a model marks its thinking.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ThinkingStyle {
    /// Not at all, as far as is known: all it says is answer.
    #[default]
    None,
    /// Between tags: those of the pairs that the model knows.
    Tags(Vec<TagPair>),
    /// By messages in channels, as gpt-oss does.
    Harmony,
}

impl ThinkingStyle {
    /// Gemma's channels: tags with a label.
    #[must_use]
    pub fn gemma_channels() -> Self {
        Self::Tags(vec![GEMMA])
    }

    /// What a model uses, by what its checkpoint says: its type (`model_type` or `general.architecture`), whether a text is a token
    /// of its own in the vocabulary, and its chat template.
    ///
    /// Channels come first, since Gemma's vocabulary holds `<|think|>` with another meaning. A pair of tags is used where both are
    /// tokens, or where the template writes or looks for the closing one.
    #[must_use]
    pub fn detect(model_type: &str, has_token: &dyn Fn(&str) -> bool, template: Option<&str>) -> Self {
        let model = model_type.to_ascii_lowercase().replace('_', "-");
        let template = template.unwrap_or_default();
        let has = |text: &str| has_token(text) || template.contains(text);
        if model.contains("gpt-oss") || (has("<|start|>") && has("<|channel|>") && has("<|message|>")) {
            return Self::Harmony;
        }
        if model.contains("gemma4") || model.contains("gemma-4") || (has(GEMMA.open) && has(GEMMA.close)) {
            return Self::gemma_channels();
        }
        let used = |pair: &TagPair| has_token(pair.open) && has_token(pair.close) || template.contains(pair.close);
        let pairs: Vec<TagPair> = PAIRS.iter().copied().filter(used).collect();
        if pairs.is_empty() { Self::None } else { Self::Tags(pairs) }
    }

    /// [`ThinkingStyle::detect`] with a tokenizer's vocabulary and template.
    #[must_use]
    pub fn of(model_type: &str, tokenizer: &Tokenizer) -> Self {
        let options = EncodeOptions { special: Special::Parse, bos: Bos::Never };
        let has_token = |text: &str| match tokenizer.encode(text, options).as_deref() {
            Ok([id]) => tokenizer.token_text(*id) == Some(text),
            _ => false,
        };
        Self::detect(model_type, &has_token, tokenizer.chat_template())
    }

    /// Whether `text` is one of the style's marks. Control tokens are left out of text as a rule; these must not be.
    #[must_use]
    pub fn is_mark(&self, text: &str) -> bool {
        match self {
            Self::None => false,
            Self::Tags(pairs) => pairs.iter().any(|pair| pair.open == text || pair.close == text),
            Self::Harmony => harmony::MARKS.contains(&text),
        }
    }

    /// Whether a token is a control token and one of the style's marks.
    #[must_use]
    pub fn is_mark_token(&self, tokenizer: &Tokenizer, id: u32) -> bool {
        tokenizer.is_control(id) && tokenizer.token_text(id).is_some_and(|text| self.is_mark(text))
    }

    /// The last turn of a prompt as [`ThinkingSplit::new`](super::ThinkingSplit::new) takes it: what follows the last control token
    /// that is no mark. So tags that a user wrote in a turn of theirs open nothing.
    #[must_use]
    pub fn last_turn(&self, tokenizer: &Tokenizer, prompt: &[u32]) -> String {
        if *self == Self::None {
            return String::new();
        }
        let is_mark = |id| tokenizer.token_text(id).is_some_and(|text| self.is_mark(text));
        let border = prompt.iter().rposition(|&id| tokenizer.is_control(id) && !is_mark(id));
        let turn = &prompt[border.map_or(0, |border| border + 1)..];
        String::from_utf8_lossy(&tokenizer.decode(turn, Controls::Show)).into_owned()
    }
}
