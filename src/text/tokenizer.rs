//! The tokenizer: a vocabulary, ready for use.

use super::byte_level::ByteLevel;
use super::hugging_face::Library;
use super::pre_tokenizer;
use super::sentencepiece::SentencePiece;
use super::special::{Fragment, Specials};
use super::token_bytes::TokenBytes;
use super::vocabulary::{Kind, Vocabulary};
use super::{Error, SpecialTokens};

/// Text to token ids and back. See [`Tokenizer::new`] and [`Tokenizer::from_folder`].
#[derive(Debug)]
pub struct Tokenizer {
    pub(super) model: Model,
    pub(super) tokens: Vec<String>,
    pub(super) kinds: Vec<Kind>,
    pub(super) bytes: TokenBytes,
    pub(super) specials: Specials,
    pub(super) bos: Option<u32>,
    /// Put in front of text that is to be as the model wants it; usually the beginning-of-text token.
    pub(super) before: Vec<u32>,
    /// Put behind such text.
    pub(super) after: Vec<u32>,
    pub(super) end_ids: Vec<u32>,
    pub(super) space_prefix: bool,
    pub(super) special_tokens: SpecialTokens,
    pub(super) chat_template: Option<String>,
    pub(super) tool_use_template: Option<String>,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one per tokenizer, so its size is no matter")]
pub(super) enum Model {
    ByteLevel(ByteLevel),
    SentencePiece(SentencePiece),
    Library(Box<Library>),
}

/// How control tokens that are written out in text are read.
///
/// User-defined tokens, which only keep plain text such as a run of spaces whole, are found
/// either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// As the control tokens they name: for prompts from a chat template.
    Parse,
    /// As any other text: for text that strangers wrote.
    Plain,
}

/// Whether encoded text begins with the beginning-of-text token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bos {
    /// As the checkpoint says; and if it says so, an end-of-text token comes last.
    AsModel,
    /// Always; an error if the checkpoint names no such token.
    Always,
    /// Never.
    Never,
}

/// How text becomes tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeOptions {
    /// How control tokens in the text are read.
    pub special: Special,
    /// Whether a beginning-of-text token goes first.
    pub bos: Bos,
}

/// What becomes of control and unknown tokens when tokens become text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controls {
    /// They are left out: for what a user reads.
    Omit,
    /// Their vocabulary text is written: for what a developer reads.
    Show,
}

impl Tokenizer {
    /// Builds the tokenizer that a checkpoint describes.
    ///
    /// # Errors
    ///
    /// The vocabulary names a model or pre-tokenizer that is not built in, or contradicts itself.
    pub fn new(vocabulary: Vocabulary) -> Result<Self, Error> {
        let mut vocabulary = vocabulary.checked()?;
        let kinds = vocabulary.token_kinds()?;
        let (model, adds_bos, space_prefix) = match vocabulary.model.as_str() {
            "gpt2" => {
                let name = vocabulary.pre.as_deref().unwrap_or("default");
                let pre = pre_tokenizer::by_name(name)?;
                let model = ByteLevel::new(&mut vocabulary, &kinds, pre)?;
                (Model::ByteLevel(model), pre.adds_bos, false)
            }
            "llama" => {
                let space_prefix = vocabulary.add_space_prefix.unwrap_or(true);
                let model = SentencePiece::new(&mut vocabulary, &kinds)?;
                (Model::SentencePiece(model), true, space_prefix)
            }
            _ => {
                return Err(Error::UnknownModel { found: vocabulary.model });
            }
        };
        let byte_level = matches!(model, Model::ByteLevel(_));
        Ok(Self {
            model,
            bytes: TokenBytes::new(&vocabulary.tokens, &kinds, byte_level),
            specials: Specials::new(&vocabulary.tokens, &kinds),
            bos: vocabulary.bos,
            before: vocabulary.bos.filter(|_| vocabulary.add_bos.unwrap_or(adds_bos)).into_iter().collect(),
            after: vocabulary.eos.filter(|_| vocabulary.add_eos == Some(true)).into_iter().collect(),
            end_ids: super::end_tokens::end_ids(&vocabulary, &kinds),
            space_prefix,
            special_tokens: SpecialTokens::of(&vocabulary),
            chat_template: vocabulary.chat_template,
            tool_use_template: vocabulary.tool_use_template,
            tokens: vocabulary.tokens,
            kinds,
        })
    }

    /// The token ids of `text`.
    ///
    /// # Errors
    ///
    /// [`Bos::Always`] without such a token, or a character that no token can express.
    pub fn encode(&self, text: &str, options: EncodeOptions) -> Result<Vec<u32>, Error> {
        let mut ids = Vec::with_capacity(text.len() / 3 + 2);
        match options.bos {
            Bos::Always => ids.push(self.bos.ok_or(Error::NoBos)?),
            Bos::AsModel => ids.extend(&self.before),
            Bos::Never => {}
        }
        for fragment in self.specials.split(text, options.special) {
            match (fragment, &self.model) {
                (Fragment::Token(id), _) => ids.push(id),
                (Fragment::Text(text), Model::ByteLevel(model)) => model.encode(text, &mut ids)?,
                // Every fragment begins anew after a special token, so each gets its space.
                (Fragment::Text(text), Model::SentencePiece(model)) if self.space_prefix => {
                    model.encode(&format!(" {text}"), &mut ids)?;
                }
                (Fragment::Text(text), Model::SentencePiece(model)) => {
                    model.encode(text, &mut ids)?;
                }
                (Fragment::Text(text), Model::Library(model)) => model.encode(text, options.special, &mut ids)?,
            }
        }
        if options.bos == Bos::AsModel {
            ids.extend(&self.after);
        }
        Ok(ids)
    }

    /// The bytes that `ids` stand for as a text of its own, so without the space that encoding
    /// put in front. Encoded plain text comes back unchanged, but where a vocabulary adds spaces:
    /// there `▁` comes back as a space, and text after a user-defined token keeps the added one.
    /// Other sequences of tokens need not be valid UTF-8. Ids outside the vocabulary stand for
    /// nothing.
    #[must_use]
    pub fn decode(&self, ids: &[u32], controls: Controls) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut begins = self.space_prefix;
        for &id in ids {
            bytes.extend_from_slice(self.piece(id, controls, &mut begins));
        }
        bytes
    }

    /// What a token adds to a text. While `begins` is set, the text is still empty and a leading
    /// space is the one that encoding puts in front.
    pub(super) fn piece(&self, id: u32, controls: Controls, begins: &mut bool) -> &[u8] {
        let hidden = matches!(self.kinds.get(id as usize), Some(Kind::Control | Kind::Unknown));
        let piece = match controls {
            Controls::Show if hidden => self.tokens[id as usize].as_bytes(),
            _ => self.bytes.get(id),
        };
        if piece.is_empty() || !std::mem::replace(begins, false) {
            return piece;
        }
        piece.strip_prefix(b" ").unwrap_or(piece)
    }

    /// The bytes a token stands for: none for control, unknown and unused tokens and for ids
    /// outside the vocabulary.
    #[must_use]
    pub fn token_bytes(&self, id: u32) -> &[u8] {
        self.bytes.get(id)
    }

    /// The vocabulary entry of a token.
    #[must_use]
    pub fn token_text(&self, id: u32) -> Option<&str> {
        self.tokens.get(id as usize).map(String::as_str)
    }

    /// How it makes tokens of text, for people.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.model {
            Model::ByteLevel(_) => "byte-level BPE",
            Model::SentencePiece(_) => "SentencePiece BPE",
            Model::Library(_) => "BPE of tokenizer.json",
        }
    }

    /// Number of tokens.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.tokens.len()
    }

    /// The beginning-of-text token.
    #[must_use]
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// Whether the model wants text to begin with [`Tokenizer::bos`].
    #[must_use]
    pub fn adds_bos(&self) -> bool {
        self.bos.is_some_and(|bos| self.before.contains(&bos))
    }

    /// The beginning-of-text token, where the model wants text to begin with it.
    #[must_use]
    pub fn leading_bos(&self) -> Option<u32> {
        self.bos.filter(|_| self.adds_bos())
    }

    /// Whether encoding puts a space before text, which decoding takes away again.
    #[must_use]
    pub fn adds_space_prefix(&self) -> bool {
        self.space_prefix
    }

    /// Tokens that end generation, ascending: the checkpoint's ends of text, turn and message, and
    /// control tokens whose text is a well-known end.
    #[must_use]
    pub fn eos_ids(&self) -> &[u32] {
        &self.end_ids
    }

    /// The chat template in Jinja.
    #[must_use]
    pub fn chat_template(&self) -> Option<&str> {
        self.chat_template.as_deref()
    }

    /// The chat template for conversations with tools, where the checkpoint has one of its own for them.
    #[must_use]
    pub fn tool_use_template(&self) -> Option<&str> {
        self.tool_use_template.as_deref()
    }

    /// Texts of the special tokens, for chat templates.
    #[must_use]
    pub fn special_tokens(&self) -> &SpecialTokens {
        &self.special_tokens
    }

    /// Whether a token steers the model instead of standing for text.
    #[must_use]
    pub fn is_control(&self, id: u32) -> bool {
        self.kinds.get(id as usize) == Some(&Kind::Control)
    }
}

#[cfg(test)]
#[path = "tokenizer_tests.rs"]
mod tests;
