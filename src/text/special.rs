//! Finds special tokens that are written out in text.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::tokenizer::Special;
use super::vocabulary::Kind;

/// Special tokens by their text.
#[derive(Debug)]
pub(super) struct Specials {
    /// Id, and whether the token is found in plain text too.
    ids: HashMap<String, (u32, bool)>,
    /// Lengths of the special tokens that begin with a byte, so that text without any is passed
    /// over at the price of one look-up per byte.
    lengths: Vec<Vec<usize>>,
}

/// A piece of text: a special token, or what lies between two of them.
#[derive(Debug, PartialEq)]
pub(super) enum Fragment<'a> {
    Text(&'a str),
    Token(u32),
}

impl Specials {
    /// Control, unknown and user-defined tokens. User-defined ones are plain text that the vocabulary wants kept
    /// whole, so they are found even where control tokens are not to be.
    pub(super) fn new(tokens: &[String], kinds: &[Kind]) -> Self {
        let mut specials = Self { ids: HashMap::new(), lengths: vec![Vec::new(); 256] };
        for (id, (text, kind)) in tokens.iter().zip(kinds).enumerate() {
            let plain = *kind == Kind::UserDefined;
            let Some(first) = text.bytes().next() else {
                continue;
            };
            if !plain && !matches!(kind, Kind::Control | Kind::Unknown) {
                continue;
            }
            specials.ids.insert(text.clone(), (id as u32, plain));
            let lengths = &mut specials.lengths[usize::from(first)];
            if !lengths.contains(&text.len()) {
                lengths.push(text.len());
            }
        }
        specials
    }

    /// Cuts `text` at its special tokens. A longer token is looked for in the whole text before a
    /// shorter one, and of equally long ones the leftmost comes first, as in llama.cpp; that is
    /// not the same as the longest at the leftmost place.
    pub(super) fn split<'a>(&self, text: &'a str, special: Special) -> Vec<Fragment<'a>> {
        let mut found = self.occurrences(text, special);
        found.sort_by_key(|(range, _)| (std::cmp::Reverse(range.len()), range.start));
        let mut taken: BTreeMap<usize, (usize, u32)> = BTreeMap::new(); // start → end, id
        for (range, id) in found {
            let before = taken.range(..range.end).next_back();
            if before.is_none_or(|(_, &(end, _))| end <= range.start) {
                taken.insert(range.start, (range.end, id));
            }
        }
        let mut fragments = Vec::with_capacity(2 * taken.len() + 1);
        let mut position = 0;
        for (start, (end, id)) in taken {
            if start > position {
                fragments.push(Fragment::Text(&text[position..start]));
            }
            fragments.push(Fragment::Token(id));
            position = end;
        }
        if position < text.len() {
            fragments.push(Fragment::Text(&text[position..]));
        }
        fragments
    }

    /// Every place where a special token is written, overlaps included.
    fn occurrences(&self, text: &str, special: Special) -> Vec<(Range<usize>, u32)> {
        let mut found = Vec::new();
        for (start, first) in text.bytes().enumerate() {
            for length in &self.lengths[usize::from(first)] {
                let range = start..start + length;
                let hit = text.get(range.clone()).and_then(|candidate| self.ids.get(candidate));
                if let Some(&(id, plain)) = hit
                    && (plain || special == Special::Parse)
                {
                    found.push((range, id));
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::random::Random;

    fn specials(tokens: &[(&str, Kind)]) -> Specials {
        let (texts, kinds): (Vec<_>, Vec<_>) = tokens.iter().map(|(text, kind)| ((*text).to_string(), *kind)).unzip();
        Specials::new(&texts, &kinds)
    }

    #[test]
    fn control_tokens_are_text_when_text_is_plain() {
        let specials = specials(&[("<s>", Kind::Control), ("  ", Kind::UserDefined)]);
        let parsed = [Fragment::Text("a"), Fragment::Token(0), Fragment::Token(1)];
        assert_eq!(specials.split("a<s>  ", Special::Parse), parsed);
        let plain = [Fragment::Text("a<s>"), Fragment::Token(1), Fragment::Text("b")];
        assert_eq!(specials.split("a<s>  b", Special::Plain), plain);
        assert_eq!(specials.split("", Special::Parse), []);
    }

    #[test]
    fn a_longer_token_wins_even_if_it_starts_later() {
        let specials = specials(&[("ab", Kind::Control), ("bcd", Kind::Control)]);
        let expected = [Fragment::Text("a"), Fragment::Token(1), Fragment::Text("e")];
        assert_eq!(specials.split("abcde", Special::Parse), expected);
    }

    /// One token after the other over the whole text, as llama.cpp does it.
    fn one_by_one<'a>(text: &'a str, by_length: &[(String, u32)]) -> Vec<Fragment<'a>> {
        let Some(((token, id), shorter)) = by_length.split_first() else {
            return if text.is_empty() { Vec::new() } else { vec![Fragment::Text(text)] };
        };
        let mut fragments = Vec::new();
        for (index, between) in text.split(token.as_str()).enumerate() {
            if index > 0 {
                fragments.push(Fragment::Token(*id));
            }
            fragments.extend(one_by_one(between, shorter));
        }
        fragments
    }

    #[test]
    fn one_pass_equals_one_search_per_token() {
        let mut random = Random(1);
        for _ in 0..2000 {
            let mut tokens: Vec<(String, u32)> = Vec::new();
            for id in 0..1 + random.below(5) {
                let text = random.text(&['a', 'b', 'é'], 4);
                // Equally long tokens that overlap are searched in no defined order.
                if tokens.iter().all(|(other, _)| other.len() != text.len()) && !text.is_empty() {
                    tokens.push((text, id as u32));
                }
            }
            tokens.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
            let mut texts = vec![String::new(); 5];
            for (text, id) in &tokens {
                texts[*id as usize].clone_from(text);
            }
            let specials = Specials::new(&texts, &[Kind::Control; 5]);
            let text = random.text(&['a', 'b', 'é', 'c'], 30);
            assert_eq!(specials.split(&text, Special::Parse), one_by_one(&text, &tokens), "{text:?} {tokens:?}");
        }
    }
}
