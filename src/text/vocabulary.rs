//! What a checkpoint says about its tokens.

use super::Error;
use crate::weights::{self, gguf::Metadata};

/// What a checkpoint says about its vocabulary, in whatever file it says it.
///
/// The comments give the GGUF key. Ids index `tokens`.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary {
    /// `tokenizer.ggml.model`: `gpt2` or `llama`.
    pub model: String,
    /// `tokenizer.ggml.pre`: how byte-level BPE splits text first. Without it: `default`.
    pub pre: Option<String>,
    /// `tokenizer.ggml.tokens`. Where a text occurs twice, encoding uses the later id.
    pub tokens: Vec<String>,
    /// `tokenizer.ggml.scores`, one per token; a higher score merges earlier (`llama`).
    pub scores: Option<Vec<f32>>,
    /// `tokenizer.ggml.token_type`, one per token: 1 normal, 2 unknown, 3 control, 4 user-defined,
    /// 5 unused, 6 byte.
    pub kinds: Option<Vec<i32>>,
    /// `tokenizer.ggml.merges`, most urgent first: two tokens with a space between them (`gpt2`).
    pub merges: Option<Vec<String>>,
    /// `tokenizer.ggml.bos_token_id`: begins a text. Without it: 1 in `llama` vocabularies.
    pub bos: Option<u32>,
    /// `tokenizer.ggml.eos_token_id`: ends a text. Without it: 2 in `llama` vocabularies.
    pub eos: Option<u32>,
    /// `tokenizer.ggml.eot_token_id`: ends a turn.
    pub eot: Option<u32>,
    /// `tokenizer.ggml.eom_token_id`: ends a message.
    pub eom: Option<u32>,
    /// `tokenizer.ggml.unknown_token_id`. Without it: 0 in `llama` vocabularies.
    pub unknown: Option<u32>,
    /// `tokenizer.ggml.padding_token_id`.
    pub padding: Option<u32>,
    /// `tokenizer.ggml.add_bos_token`. Without it, model and pre-tokenizer decide.
    pub add_bos: Option<bool>,
    /// `tokenizer.ggml.add_eos_token`. Without it: no.
    pub add_eos: Option<bool>,
    /// `tokenizer.ggml.add_space_prefix` (`llama`). Without it: yes.
    pub add_space_prefix: Option<bool>,
    /// `tokenizer.chat_template`, in Jinja.
    pub chat_template: Option<String>,
    /// `tokenizer.chat_template.tool_use`: another one, for conversations with tools.
    pub tool_use_template: Option<String>,
}

/// What a token is for, in the numbering of GGUF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

impl Vocabulary {
    /// Reads the `tokenizer.*` keys of a GGUF file.
    ///
    /// # Errors
    ///
    /// The model or the tokens are missing, or a key has another type than GGUF gives it.
    pub fn from_gguf(metadata: &Metadata) -> Result<Self, weights::Error> {
        let list = |key| metadata.opt_strings(key).map(|list| list.map(<[String]>::to_vec));
        let text = |key| metadata.opt_str(key).map(|text| text.map(str::to_owned));
        // Converters write -1 for a token that a model does not have.
        let id = |key| metadata.opt_u32(key).map(|id| id.filter(|&id| id != u32::MAX));
        Ok(Self {
            model: metadata.str("tokenizer.ggml.model")?.to_owned(),
            pre: text("tokenizer.ggml.pre")?,
            tokens: metadata.strings("tokenizer.ggml.tokens")?.to_vec(),
            scores: metadata.opt_f32s("tokenizer.ggml.scores")?.map(<[f32]>::to_vec),
            kinds: metadata.opt_i32s("tokenizer.ggml.token_type")?.map(|kinds| kinds.into_owned()),
            merges: list("tokenizer.ggml.merges")?,
            bos: id("tokenizer.ggml.bos_token_id")?,
            eos: id("tokenizer.ggml.eos_token_id")?,
            eot: id("tokenizer.ggml.eot_token_id")?,
            eom: id("tokenizer.ggml.eom_token_id")?,
            unknown: id("tokenizer.ggml.unknown_token_id")?,
            padding: id("tokenizer.ggml.padding_token_id")?,
            add_bos: metadata.opt_bool("tokenizer.ggml.add_bos_token")?,
            add_eos: metadata.opt_bool("tokenizer.ggml.add_eos_token")?,
            add_space_prefix: metadata.opt_bool("tokenizer.ggml.add_space_prefix")?,
            chat_template: text("tokenizer.chat_template")?,
            tool_use_template: text("tokenizer.chat_template.tool_use")?,
        })
    }

    /// Checks that lists agree in length and that ids are in range, and fills in what every
    /// `llama` vocabulary takes for granted.
    pub(super) fn checked(mut self) -> Result<Self, Error> {
        let vocab = self.tokens.len();
        if vocab == 0 {
            return Err(Error::NoTokens);
        }
        let lists = [("scores", self.scores.as_ref().map(Vec::len)), ("token_type", self.kinds.as_ref().map(Vec::len))];
        for (list, length) in lists {
            if let Some(found) = length.filter(|&found| found != vocab) {
                return Err(Error::Length { list, expected: vocab, found });
            }
        }
        let ids = [
            ("beginning-of-text", self.bos),
            ("end-of-text", self.eos),
            ("end-of-turn", self.eot),
            ("end-of-message", self.eom),
            ("unknown", self.unknown),
            ("padding", self.padding),
        ];
        for (what, id) in ids {
            if let Some(id) = id.filter(|&id| id as usize >= vocab) {
                return Err(Error::IdOutOfRange { what, id, vocab });
            }
        }
        if self.model == "llama" {
            let default = |id: u32| Some(id).filter(|&id| (id as usize) < vocab);
            self.unknown = self.unknown.or(default(0));
            self.bos = self.bos.or(default(1));
            self.eos = self.eos.or(default(2));
        }
        if self.add_bos == Some(true) && self.bos.is_none() {
            return Err(Error::NoBos);
        }
        Ok(self)
    }

    /// The kind of each token. A file without `token_type` still names its special tokens by id,
    /// and its byte tokens by their text.
    pub(super) fn token_kinds(&self) -> Result<Vec<Kind>, Error> {
        if let Some(kinds) = &self.kinds {
            let kind = |(id, &found): (usize, &i32)| match found {
                0 | 1 => Ok(Kind::Normal),
                2 => Ok(Kind::Unknown),
                3 => Ok(Kind::Control),
                4 => Ok(Kind::UserDefined),
                5 => Ok(Kind::Unused),
                6 => Ok(Kind::Byte),
                _ => Err(Error::Kind { id, found }),
            };
            return kinds.iter().enumerate().map(kind).collect();
        }
        let named = [self.bos, self.eos, self.eot, self.eom, self.padding];
        let kind = |(id, text): (usize, &String)| {
            let id = Some(id as u32);
            if named.contains(&id) || super::end_tokens::is_end_text(text) {
                Kind::Control
            } else if self.unknown == id {
                Kind::Unknown
            } else if self.model == "llama" && super::token_bytes::byte_value(text).is_some() {
                Kind::Byte
            } else {
                Kind::Normal
            }
        };
        Ok(self.tokens.iter().enumerate().map(kind).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three_tokens() -> Vocabulary {
        let tokens = ["a", "b", "</s>"].map(String::from).to_vec();
        Vocabulary { model: "gpt2".into(), tokens, ..Vocabulary::default() }
    }

    #[test]
    fn lists_of_another_length_are_refused() {
        let scores = Vocabulary { scores: Some(vec![0.0; 2]), ..three_tokens() };
        assert!(matches!(scores.checked(), Err(Error::Length { list: "scores", expected: 3, found: 2 })));
        let kinds = Vocabulary { kinds: Some(vec![1; 4]), ..three_tokens() };
        assert!(matches!(kinds.checked(), Err(Error::Length { list: "token_type", .. })));
        assert!(matches!(Vocabulary::default().checked(), Err(Error::NoTokens)));
    }

    #[test]
    fn ids_outside_the_vocabulary_are_refused() {
        let vocabulary = Vocabulary { eot: Some(3), ..three_tokens() };
        let error = vocabulary.checked().unwrap_err();
        assert_eq!(error.to_string(), "end-of-turn token: expected an id below 3, found 3");
        assert!(error.hint().is_some());
    }

    #[test]
    fn undefined_kinds_are_refused() {
        let vocabulary = Vocabulary { kinds: Some(vec![1, 7, 3]), ..three_tokens() };
        assert!(matches!(vocabulary.token_kinds(), Err(Error::Kind { id: 1, found: 7 })));
    }

    #[test]
    fn without_kinds_end_tokens_are_control() {
        let kinds = three_tokens().token_kinds().unwrap();
        assert_eq!(kinds, [Kind::Normal, Kind::Normal, Kind::Control]);
    }
}
