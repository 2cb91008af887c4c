//! `tokenizer.json` as it stands in the file, and its tokens checked.

use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use tokenizers::models::bpe::{Merges, Vocab};

use super::files::{invalid, quoted};
use crate::text::Error;

/// Ids that no token has cost memory too; a table may be about twice as long as it has tokens.
const MOST_UNUSED_IDS: usize = 1 << 16;

/// The parts of `tokenizer.json` that matter here. Truncation and padding are for training.
#[derive(Deserialize)]
#[serde(expecting = "an object as the tokenizers library writes it")]
pub(super) struct Definition {
    #[serde(default)]
    pub(super) added_tokens: Vec<Added>,
    #[serde(default)]
    pub(super) normalizer: Value,
    #[serde(default)]
    pub(super) pre_tokenizer: Value,
    #[serde(default)]
    pub(super) post_processor: Value,
    #[serde(default)]
    pub(super) decoder: Value,
    pub(super) model: Model,
}

/// A token that is looked for in text before anything else happens to it.
#[derive(Clone, Deserialize)]
#[serde(expecting = "an added token: an object with `id` and `content`")]
pub(super) struct Added {
    #[serde(default)]
    pub(super) id: u32,
    pub(super) content: String,
    #[serde(default)]
    pub(super) single_word: bool,
    #[serde(default)]
    pub(super) lstrip: bool,
    #[serde(default)]
    pub(super) rstrip: bool,
    #[serde(default)]
    pub(super) normalized: bool,
    #[serde(default)]
    pub(super) special: bool,
}

/// The model: byte-pair encoding, or something that is refused by its name.
#[derive(Deserialize)]
#[serde(expecting = "a tokenizer model: an object with `vocab`")]
pub(super) struct Model {
    #[serde(rename = "type")]
    kind: Option<String>,
    vocab: Tokens,
    #[serde(default)]
    merges: Vec<Merge>,
    dropout: Option<f64>,
    unk_token: Option<String>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    pub(super) fuse_unk: Option<bool>,
    pub(super) byte_fallback: Option<bool>,
    pub(super) ignore_merges: Option<bool>,
}

/// Tokens in file order; none for the lists of models that are not byte-pair encoding.
struct Tokens(Vec<(String, u32)>);

struct Merge(String, String);

impl Model {
    /// Refuses what is not byte-pair encoding, or an unusual kind of it.
    pub(super) fn check_kind(&self, file: &Path) -> Result<(), Error> {
        match self.kind.as_deref() {
            // Files from before 2020 do not name the model.
            None | Some("BPE") => {}
            Some(other) => return Err(invalid(file, "model", "byte-pair encoding, `BPE`", quoted(other))),
        }
        if let Some(dropout) = self.dropout.filter(|dropout| *dropout != 0.0) {
            return Err(invalid(
                file,
                "dropout of the model",
                "none, so that text always gives the same tokens",
                dropout,
            ));
        }
        let affixes = [
            ("continuing_subword_prefix", &self.continuing_subword_prefix),
            ("end_of_word_suffix", &self.end_of_word_suffix),
        ];
        for (what, affix) in affixes {
            if let Some(affix) = affix.as_ref().filter(|affix| !affix.is_empty()) {
                return Err(invalid(file, what, "none", quoted(affix)));
            }
        }
        Ok(())
    }

    /// The tokens by text, each with an id of its own.
    pub(super) fn vocab(&mut self, file: &Path) -> Result<Vocab, Error> {
        let tokens = std::mem::take(&mut self.vocab.0);
        let mut texts: Vec<Option<&str>> = vec![None; table_length(tokens.iter().map(|(_, id)| *id), file)?];
        for (text, id) in &tokens {
            if let Some(first) = texts[*id as usize].replace(text) {
                let found = format!("it also for {}", quoted(first));
                let what = format!("token {}", quoted(text));
                return Err(invalid(file, &what, &format!("its id {id} for no other"), found));
            }
        }
        let count = tokens.len();
        let vocab: Vocab = tokens.into_iter().collect();
        match vocab.len() == count {
            true => Ok(vocab),
            false => Err(invalid(file, "vocab", "every token once", format!("{} twice", count - vocab.len()))),
        }
    }

    /// The merges in order of urgency, each of two tokens whose text together is a token.
    pub(super) fn merges(&mut self, vocab: &Vocab, file: &Path) -> Result<Merges, Error> {
        let mut joined = String::new();
        for (rank, Merge(left, right)) in self.merges.iter().enumerate() {
            joined.clear();
            joined.push_str(left);
            joined.push_str(right);
            if let Some(missing) = [left, right, &joined].into_iter().find(|token| !vocab.contains_key(token.as_str()))
            {
                let what = format!("merge {rank} of {} and {}", quoted(left), quoted(right));
                let found = format!("no token {}", quoted(missing));
                return Err(invalid(file, &what, "two tokens that make a token", found));
            }
        }
        Ok(std::mem::take(&mut self.merges).into_iter().map(|Merge(left, right)| (left, right)).collect())
    }

    /// The token for what has none of its own.
    pub(super) fn unknown(&self, vocab: &Vocab, file: &Path) -> Result<Option<&str>, Error> {
        match self.unk_token.as_deref().filter(|token| !token.is_empty()) {
            Some(token) if !vocab.contains_key(token) => {
                Err(invalid(file, "unk_token", "a token of the vocabulary", quoted(token)))
            }
            token => Ok(token),
        }
    }
}

/// One more than the highest of `ids`, unless most of the table would be empty.
pub(super) fn table_length(ids: impl ExactSizeIterator<Item = u32>, file: &Path) -> Result<usize, Error> {
    let most = 2 * ids.len() + MOST_UNUSED_IDS;
    match ids.max() {
        Some(id) if id as usize >= most => {
            Err(invalid(file, "token id", &format!("one below {most}, for so few tokens"), id))
        }
        highest => Ok(highest.map_or(0, |id| id as usize + 1)),
    }
}

impl<'de> Deserialize<'de> for Tokens {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Tokens;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "a map from tokens to ids")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tokens, A::Error> {
                let mut tokens = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    tokens.push(entry);
                }
                Ok(Tokens(tokens))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tokens, A::Error> {
                // Unigram models list pieces with scores; `check_kind` refuses them by name.
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Tokens(Vec::new()))
            }
        }
        json.deserialize_any(Entries)
    }
}

impl<'de> Deserialize<'de> for Merge {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Pair;
        impl<'de> Visitor<'de> for Pair {
            type Value = Merge;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "two tokens, in a list or with one space between them")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Merge, E> {
                let mut parts = text.split(' ');
                match (parts.next(), parts.next(), parts.next()) {
                    (Some(left), Some(right), None) => Ok(Merge(left.to_owned(), right.to_owned())),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Merge, A::Error> {
                let missing = |length| serde::de::Error::invalid_length(length, &"two tokens");
                let left = list.next_element()?.ok_or_else(|| missing(0))?;
                let right = list.next_element()?.ok_or_else(|| missing(1))?;
                match list.next_element::<IgnoredAny>()? {
                    None => Ok(Merge(left, right)),
                    Some(_) => Err(missing(3)),
                }
            }
        }
        json.deserialize_any(Pair)
    }
}
