//! Splits text into the words that byte-level BPE merges within.

use tokenizers::utils::SysRegex;

use super::Error;
use super::pre_tokenizers::{PRE_TOKENIZERS, PreTokenizer};

/// The compiled expressions of one pre-tokenizer.
#[derive(Debug)]
pub(super) struct Splitter {
    expressions: Vec<SysRegex>,
}

/// The pre-tokenizer of a name in `tokenizer.ggml.pre`.
pub(super) fn by_name(name: &str) -> Result<&'static PreTokenizer, Error> {
    PRE_TOKENIZERS
        .iter()
        .find(|pre_tokenizer| pre_tokenizer.names.contains(&name))
        .ok_or_else(|| Error::UnknownPreTokenizer { found: name.into() })
}

impl Splitter {
    pub(super) fn new(pre_tokenizer: &PreTokenizer) -> Result<Self, Error> {
        let compile = |expression: &&str| SysRegex::new(expression).map_err(|error| Error::Library(error.to_string()));
        let expressions = pre_tokenizer.expressions.iter().map(compile).collect::<Result<_, _>>()?;
        Ok(Self { expressions })
    }

    /// The words of `text`; put together they are `text`. Each expression splits what the ones
    /// before it left: its matches and the gaps between them become words of their own.
    pub(super) fn words<'a>(&self, text: &'a str) -> Vec<&'a str> {
        let mut words = vec![text];
        for expression in &self.expressions {
            let mut split = Vec::with_capacity(words.len());
            for word in words {
                let mut position = 0;
                for (start, end) in expression.find_iter(word) {
                    split.push(&word[position..start]);
                    split.push(&word[start..end]);
                    position = end;
                }
                split.push(&word[position..]);
            }
            // An empty match, a lookahead alone, is a cut without a word.
            split.retain(|word| !word.is_empty());
            words = split;
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::random::Random;

    fn words<'a>(name: &str, text: &'a str) -> Vec<&'a str> {
        Splitter::new(by_name(name).unwrap()).unwrap().words(text)
    }

    #[test]
    fn smollm_splits_digits_one_by_one() {
        let expected = ["In", " ", "2", "0", "2", "6", ",", " it", "'s", " ", " ok"];
        assert_eq!(words("smollm", "In 2026, it's  ok"), expected);
    }

    #[test]
    fn digit_groups_follow_the_name() {
        assert_eq!(words("gpt-2", "a 12345"), ["a", " 12345"]);
        assert_eq!(words("llama-bpe", "12345"), ["123", "45"]);
        assert_eq!(words("qwen2", "123"), ["1", "2", "3"]);
        assert_eq!(words("superbpe", "x1234567"), ["x", "1", "234", "567"]);
    }

    #[test]
    fn case_and_newlines_follow_the_name() {
        assert_eq!(words("gpt-2", "I'LL go"), ["I", "'", "LL", " go"]);
        assert_eq!(words("llama3", "I'LL go"), ["I", "'LL", " go"]);
        assert_eq!(words("llama3", "a.\n\n b"), ["a", ".\n\n", " b"]);
        assert_eq!(words("gpt-4o", "camelCase it's"), ["camel", "Case", " it's"]);
        assert_eq!(words("tekken", "camelCase it's"), ["camel", "Case", " it", "'s"]);
        assert_eq!(words("deepseek-coder", "\nab 12"), ["\n", "ab", " ", "1", "2"]);
    }

    #[test]
    fn words_put_together_are_the_text() {
        let alphabet: Vec<char> = "aZé日1٣ \n\r\t'sl.!(｜😀\u{301}\u{a0}_".chars().collect();
        let mut random = Random(2);
        for pre_tokenizer in PRE_TOKENIZERS {
            let splitter = Splitter::new(pre_tokenizer).unwrap();
            for _ in 0..200 {
                let text = random.text(&alphabet, 40);
                let words = splitter.words(&text);
                assert_eq!(words.concat(), text, "{:?}", pre_tokenizer.names);
                assert!(words.iter().all(|word| !word.is_empty()));
            }
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = by_name("nonsense").unwrap_err();
        assert_eq!(error.to_string(), "pre-tokenizer `nonsense` is not known");
        assert!(error.hint().unwrap().contains("llama-bpe"));
    }

    #[test]
    fn names_are_listed_once() {
        let mut names = crate::text::pre_tokenizers::known_names();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
