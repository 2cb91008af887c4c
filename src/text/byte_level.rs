//! Byte-level BPE: words of printable characters that each spell one byte, merged by rank.

use std::collections::HashSet;

use tokenizers::Model as _;
use tokenizers::models::bpe::{BPE, Vocab};

use super::Error;
use super::pre_tokenizer::Splitter;
use super::pre_tokenizers::PreTokenizer;
use super::token_bytes::byte_characters;
use super::vocabulary::{Kind, Vocabulary};

/// A BPE model with the splitting that comes before it.
#[derive(Debug)]
pub(super) struct ByteLevel {
    splitter: Splitter,
    bpe: BPE,
    /// Ids of words that are not merged from parts; empty unless the pre-tokenizer says so.
    whole_words: Vocab,
    /// The character that spells each byte, if that is a token.
    characters: Vec<Option<char>>,
}

impl ByteLevel {
    /// Takes the merges out of `vocabulary`.
    pub(super) fn new(
        vocabulary: &mut Vocabulary,
        kinds: &[Kind],
        pre_tokenizer: &PreTokenizer,
    ) -> Result<Self, Error> {
        let merges = vocabulary.merges.take();
        let merges = merges.ok_or(Error::MissingList { model: "gpt2", list: "merges" })?;
        let tokens = vocabulary.tokens.iter().cloned().zip(0..);
        let ids: Vocab = tokens.filter(|(text, _)| !text.is_empty()).collect();
        let merges = merge_pairs(&merges, &ids)?;
        let whole_words = if pre_tokenizer.ignore_merges {
            let normal = |id: u32| kinds[id as usize] == Kind::Normal;
            ids.iter().filter(|(_, id)| normal(**id)).map(|(text, id)| (text.clone(), *id)).collect()
        } else {
            Vocab::new()
        };
        let is_token = |character: &char| ids.contains_key(character.to_string().as_str());
        let characters = byte_characters().into_iter().map(|character| Some(character).filter(is_token)).collect();
        let bpe =
            BPE::builder().vocab_and_merges(ids, merges).build().map_err(|error| Error::Library(error.to_string()))?;
        Ok(Self { splitter: Splitter::new(pre_tokenizer)?, bpe, whole_words, characters })
    }

    /// Appends the ids of `text` to `output`. A byte that the vocabulary cannot spell is left out,
    /// as in llama.cpp; vocabularies lack only bytes that UTF-8 does not use.
    pub(super) fn encode(&self, text: &str, output: &mut Vec<u32>) -> Result<(), Error> {
        let mut spelled = String::new();
        for word in self.splitter.words(text) {
            spelled.clear();
            for byte in word.bytes() {
                match self.characters[usize::from(byte)] {
                    Some(character) => spelled.push(character),
                    // What stood on both sides of a missing byte must not merge.
                    None => {
                        self.encode_word(&spelled, output)?;
                        spelled.clear();
                    }
                }
            }
            self.encode_word(&spelled, output)?;
        }
        Ok(())
    }

    fn encode_word(&self, spelled: &str, output: &mut Vec<u32>) -> Result<(), Error> {
        if let Some(&id) = self.whole_words.get(spelled) {
            output.push(id);
            return Ok(());
        }
        let tokens = self.bpe.tokenize(spelled).map_err(|error| Error::Library(error.to_string()))?;
        output.extend(tokens.iter().map(|token| token.id));
        Ok(())
    }
}

/// The two tokens of a merge, if it has two.
pub(super) fn merge_parts(merge: &str) -> Option<(&str, &str)> {
    // The first character may itself be a space.
    let from = merge.chars().next().map_or(0, char::len_utf8);
    let space = merge[from..].find(' ').map(|position| position + from);
    let parts = space.map(|space| (&merge[..space], &merge[space + 1..]));
    parts.filter(|(left, right)| !left.is_empty() && !right.is_empty())
}

/// Splits merges at their space and checks that parts and result are tokens. Of equal merges the
/// first counts.
fn merge_pairs(merges: &[String], ids: &Vocab) -> Result<Vec<(String, String)>, Error> {
    let mut seen = HashSet::with_capacity(merges.len());
    let mut pairs = Vec::with_capacity(merges.len());
    let mut joined = String::new();
    for (rank, merge) in merges.iter().enumerate() {
        let Some((left, right)) = merge_parts(merge) else {
            return Err(Error::MergeFormat { rank, found: merge.clone() });
        };
        joined.clear();
        joined.push_str(left);
        joined.push_str(right);
        for token in [left, right, &joined] {
            if !ids.contains_key(token) {
                let (merge, token) = (merge.clone(), token.to_string());
                return Err(Error::MergeToken { rank, merge, token });
            }
        }
        if seen.insert(merge.as_str()) {
            pairs.push((left.to_string(), right.to_string()));
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::pre_tokenizer::by_name;

    fn model(tokens: &[&str], merges: &[&str], pre: &str) -> Result<ByteLevel, Error> {
        let strings = |texts: &[&str]| texts.iter().map(|text| (*text).to_string()).collect();
        let kinds = vec![Kind::Normal; tokens.len()];
        let mut vocabulary =
            Vocabulary { tokens: strings(tokens), merges: Some(strings(merges)), ..Vocabulary::default() };
        ByteLevel::new(&mut vocabulary, &kinds, by_name(pre).unwrap())
    }

    fn ids(model: &ByteLevel, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        model.encode(text, &mut ids).unwrap();
        ids
    }

    #[test]
    fn merges_apply_by_rank() {
        let tokens = ["a", "b", "c", "ab", "bc", "abc", "Ġ"];
        let model = model(&tokens, &["b c", "a b", "a bc"], "gpt-2").unwrap();
        assert_eq!(ids(&model, "abc ab"), [5, 6, 3]);
    }

    #[test]
    fn the_first_of_equal_merges_counts() {
        let tokens = ["a", "b", "c", "ab", "bc"];
        let model = model(&tokens, &["a b", "b c", "a b"], "gpt-2").unwrap();
        assert_eq!(ids(&model, "abc"), [3, 2]);
    }

    #[test]
    fn of_equal_tokens_the_last_counts() {
        let model = model(&["a", "a"], &[], "gpt-2").unwrap();
        assert_eq!(ids(&model, "a"), [1]);
    }

    #[test]
    fn llama3_takes_a_word_that_is_a_token_whole() {
        let tokens = ["a", "b", "c", "ab", "abc"];
        assert_eq!(ids(&model(&tokens, &["a b"], "llama-bpe").unwrap(), "abc"), [4]);
        assert_eq!(ids(&model(&tokens, &["a b"], "gpt-2").unwrap(), "abc"), [3, 2]);
    }

    #[test]
    fn a_missing_byte_is_left_out_and_nothing_merges_across_it() {
        let model = model(&["a", "b", "ab"], &["a b"], "gpt-2").unwrap();
        assert_eq!(ids(&model, "axb"), [0, 1]);
    }

    #[test]
    fn merges_that_make_no_sense_are_refused() {
        for merge in ["ab", "", "a ", " b", "é"] {
            let error = model(&["a", "b", "ab"], &["a b", merge], "gpt-2").unwrap_err();
            assert!(matches!(error, Error::MergeFormat { rank: 1, .. }), "{merge:?}: {error}");
        }
        let error = model(&["a", "b"], &["a b"], "gpt-2").unwrap_err();
        assert_eq!(error.to_string(), "merge 0 (`a b`): `ab` is not in the vocabulary");
    }
}
