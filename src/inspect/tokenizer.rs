//! What a tokenizer does, tried out.

use crate::text::{Bos, Controls, EncodeOptions, Special, Tokenizer};
use serde::Serialize;

/// What is encoded and decoded again: letters of one, two, three and four bytes, digits, spaces, a line.
const PROBE: &str = "Hello, world! 1234  naïve 你好 🦀\n";

/// Control tokens that are listed.
const LISTED: usize = 64;

/// What there is to tell of a tokenizer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenizerReport {
    /// How it makes tokens of text.
    pub kind: &'static str,
    /// Tokens.
    pub vocab_size: usize,
    /// What begins a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bos: Option<TokenText>,
    /// Whether the model wants every text to begin so.
    pub adds_bos: bool,
    /// What ends one.
    pub eos: Vec<TokenText>,
    /// Tokens that steer the model.
    pub control_tokens: usize,
    /// The first of them.
    pub control: Vec<TokenText>,
    /// A text, tried out.
    pub probe: Probe,
}

/// A token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenText {
    /// Its id.
    pub id: u32,
    /// Its text in the vocabulary.
    pub text: String,
}

/// A text, encoded and decoded again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// The text.
    pub text: &'static str,
    /// Its tokens, without one that begins every text.
    pub ids: Vec<u32>,
    /// Whether the same text comes back.
    pub round_trip: bool,
}

impl TokenizerReport {
    pub(super) fn of(tokenizer: &Tokenizer) -> Self {
        let token = |id| TokenText { id, text: tokenizer.token_text(id).unwrap_or_default().to_owned() };
        let control: Vec<u32> = (0..tokenizer.vocab_size() as u32).filter(|&id| tokenizer.is_control(id)).collect();
        let options = EncodeOptions { special: Special::Plain, bos: Bos::Never };
        let ids = tokenizer.encode(PROBE, options).unwrap_or_default();
        let round_trip = tokenizer.decode(&ids, Controls::Show) == PROBE.as_bytes();
        Self {
            kind: tokenizer.kind(),
            vocab_size: tokenizer.vocab_size(),
            bos: tokenizer.bos().map(token),
            adds_bos: tokenizer.adds_bos(),
            eos: tokenizer.eos_ids().iter().copied().map(token).collect(),
            control_tokens: control.len(),
            control: control.into_iter().take(LISTED).map(token).collect(),
            probe: Probe { text: PROBE, ids, round_trip },
        }
    }
}
