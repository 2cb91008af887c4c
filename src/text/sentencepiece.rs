//! SentencePiece BPE: merges whatever neighbours make the token with the best score.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use tokenizers::models::bpe::Vocab;

use super::Error;
use super::token_bytes::{SPACE, byte_value};
use super::vocabulary::{Kind, Vocabulary};

/// The vocabulary as SentencePiece merges it.
///
/// Not a `BPE` of the tokenizers library with merges derived from the scores: its merges have
/// distinct ranks, but here tokens may share a score, and both ways to split one token do. Then
/// the leftmost pair comes first, which no list of merges can say.
#[derive(Debug)]
pub(super) struct SentencePiece {
    /// Ids of the tokens that text can become.
    ids: Vocab,
    scores: Vec<f32>,
    /// The token of each byte, for characters that are no token.
    bytes: Vec<Option<u32>>,
    unknown: Option<u32>,
}

/// A stretch of text that has become one token, or is still one character.
struct Symbol {
    start: usize,
    /// 0 once it was merged into the symbol before it.
    length: usize,
    previous: Option<usize>,
    next: Option<usize>,
}

/// Two neighbours that make a token.
struct Pair {
    score: f32,
    left: usize,
    right: usize,
    /// Bytes of both, to tell whether one has changed since.
    length: usize,
}

impl SentencePiece {
    /// Takes over the scores of `vocabulary`. Control, unknown and byte tokens cannot be written
    /// in plain text, as in SentencePiece itself, so they take no part in merging.
    pub(super) fn new(vocabulary: &mut Vocabulary, kinds: &[Kind]) -> Result<Self, Error> {
        let scores = vocabulary.scores.take();
        let scores = scores.ok_or(Error::MissingList { model: "llama", list: "scores" })?;
        let mut ids = Vocab::with_capacity(kinds.len());
        let mut bytes = vec![None; 256];
        for (id, (text, kind)) in vocabulary.tokens.iter().zip(kinds).enumerate() {
            let id = id as u32;
            match kind {
                Kind::Byte => {
                    if let Some(byte) = byte_value(text) {
                        bytes[usize::from(byte)] = Some(id);
                    }
                }
                Kind::Normal | Kind::UserDefined | Kind::Unused => {
                    ids.insert(text.clone(), id);
                }
                Kind::Control | Kind::Unknown => {}
            }
        }
        // Adding 0 turns -0 into 0, which `total_cmp` would tell apart.
        let scores = scores.into_iter().map(|score| score + 0.0).collect();
        Ok(Self { ids, scores, bytes, unknown: vocabulary.unknown })
    }

    /// Appends the ids of `text` to `output`.
    pub(super) fn encode(&self, text: &str, output: &mut Vec<u32>) -> Result<(), Error> {
        let text = text.replace(' ', SPACE);
        let mut symbols: Vec<Symbol> = text
            .char_indices()
            .enumerate()
            .map(|(index, (start, character))| Symbol {
                start,
                length: character.len_utf8(),
                previous: index.checked_sub(1),
                next: Some(index + 1),
            })
            .collect();
        if let Some(last) = symbols.last_mut() {
            last.next = None;
        }
        self.merge(&text, &mut symbols);
        for symbol in symbols.iter().filter(|symbol| symbol.length > 0) {
            self.emit(&text[symbol.start..][..symbol.length], output)?;
        }
        Ok(())
    }

    fn merge(&self, text: &str, symbols: &mut [Symbol]) {
        let mut queue: BinaryHeap<Pair> =
            (1..symbols.len()).filter_map(|right| self.pair(text, symbols, Some(right - 1), Some(right))).collect();
        while let Some(Pair { left, right, length, .. }) = queue.pop() {
            let (first, second) = (&symbols[left], &symbols[right]);
            let stale = first.length == 0 || second.length == 0 || first.length + second.length != length;
            if stale {
                continue;
            }
            let (previous, next) = (first.previous, second.next);
            symbols[left].length = length;
            symbols[left].next = next;
            symbols[right].length = 0;
            if let Some(next) = next {
                symbols[next].previous = Some(left);
            }
            queue.extend(self.pair(text, symbols, previous, Some(left)));
            queue.extend(self.pair(text, symbols, Some(left), next));
        }
    }

    fn pair(&self, text: &str, symbols: &[Symbol], left: Option<usize>, right: Option<usize>) -> Option<Pair> {
        let (left, right) = (left?, right?);
        let length = symbols[left].length + symbols[right].length;
        let id = *self.ids.get(&text[symbols[left].start..][..length])?;
        Some(Pair { score: self.scores[id as usize], left, right, length })
    }

    /// A symbol's token; else the tokens of its bytes; else the unknown token, once for a run.
    fn emit(&self, symbol: &str, output: &mut Vec<u32>) -> Result<(), Error> {
        if let Some(&id) = self.ids.get(symbol) {
            output.push(id);
            return Ok(());
        }
        let bytes: Option<Vec<u32>> = symbol.bytes().map(|byte| self.bytes[usize::from(byte)]).collect();
        match (bytes, self.unknown) {
            (Some(bytes), _) => output.extend(bytes),
            (None, Some(unknown)) if output.last() == Some(&unknown) => {}
            (None, Some(unknown)) => output.push(unknown),
            (None, None) => {
                let character = symbol.chars().next().unwrap_or(char::REPLACEMENT_CHARACTER);
                return Err(Error::Unencodable { character });
            }
        }
        Ok(())
    }
}

impl Ord for Pair {
    /// The best score comes first, then the leftmost pair.
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then_with(|| other.left.cmp(&self.left))
    }
}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Pair {}

#[cfg(test)]
#[path = "sentencepiece_tests.rs"]
mod tests;
