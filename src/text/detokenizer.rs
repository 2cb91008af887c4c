//! Tokens to text, one at a time, never in the middle of a character.

use super::tokenizer::{Controls, Tokenizer};

/// Where in a text the first token stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// It begins the text: the space that SentencePiece puts in front is dropped.
    Text,
    /// It continues a prompt: its space belongs to the text.
    Continuation,
}

/// Turns tokens into text as they come.
///
/// A token may end in the middle of a character; its bytes are held back until the rest arrives.
/// All the text given out, put together, is `String::from_utf8_lossy` of all the bytes.
#[derive(Clone, Debug)]
pub struct Detokenizer {
    controls: Controls,
    start: Start,
    begins: bool,
    pending: Utf8,
}

impl Detokenizer {
    /// A detokenizer that has seen no token.
    #[must_use]
    pub fn new(start: Start, controls: Controls) -> Self {
        Self { controls, start, begins: true, pending: Utf8::default() }
    }

    /// The text that is certain once `id` has been seen; often empty.
    pub fn push(&mut self, tokenizer: &Tokenizer, id: u32) -> String {
        let mut text = String::new();
        self.push_as(tokenizer, id, self.controls, &mut text);
        text
    }

    /// As [`Detokenizer::push`], behind what `text` holds, and with `controls` for this token alone.
    pub fn push_as(&mut self, tokenizer: &Tokenizer, id: u32, controls: Controls, text: &mut String) {
        let mut begins = self.begins && self.start == Start::Text && tokenizer.adds_space_prefix();
        let was_beginning = begins;
        let piece = tokenizer.piece(id, controls, &mut begins);
        if was_beginning && !begins {
            self.begins = false;
        }
        self.pending.push(piece, text);
    }

    /// What becomes of control tokens.
    pub fn controls(&self) -> Controls {
        self.controls
    }

    /// The rest: U+FFFD for a character that stayed incomplete.
    #[must_use]
    pub fn finish(self) -> String {
        self.pending.finish()
    }
}

/// The beginning of a character, at most three bytes.
#[derive(Clone, Debug, Default)]
struct Utf8(Vec<u8>);

impl Utf8 {
    fn push(&mut self, bytes: &[u8], text: &mut String) {
        self.0.extend_from_slice(bytes);
        let mut rest = self.0.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    rest = &[];
                }
                Err(error) => {
                    let (valid, broken) = rest.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(valid));
                    rest = broken;
                    // Without a length the bytes end too early, and more may yet come.
                    if let Some(length) = error.error_len() {
                        text.push(char::REPLACEMENT_CHARACTER);
                        rest = &rest[length..];
                        continue;
                    }
                }
            }
            break;
        }
        let kept = rest.len();
        self.0.drain(..self.0.len() - kept);
    }

    fn finish(self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::random::Random;

    #[test]
    fn pieces_put_together_are_the_lossy_text() {
        // Beginnings, middles and ends of characters of every length, and bytes that are neither.
        let alphabet = [
            0x41, 0xc3, 0xa9, 0xe6, 0x97, 0xa5, 0xf0, 0x9f, 0x98, 0x80, 0xff, 0xc0, 0xed, 0xa0, 0xf4, 0x90, 0xe0, 0x80,
        ];
        let whole = "aé日😀".as_bytes();
        let mut random = Random(4);
        for _ in 0..20_000 {
            let mut bytes: Vec<u8> = (0..random.below(12)).map(|_| *random.pick(&alphabet)).collect();
            if random.below(2) == 0 {
                let place = random.below(bytes.len() + 1);
                bytes.splice(place..place, whole.iter().copied());
            }
            let mut utf8 = Utf8::default();
            let mut text = String::new();
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(1 + random.below(rest.len()));
                utf8.push(piece, &mut text);
                assert!(utf8.0.len() < 4, "holds back a whole character");
                rest = after;
            }
            text.push_str(&utf8.finish());
            assert_eq!(text, String::from_utf8_lossy(&bytes), "{bytes:x?}");
        }
    }

    #[test]
    fn a_character_is_given_out_with_its_last_byte() {
        let mut utf8 = Utf8::default();
        let mut push = |bytes: &[u8]| {
            let mut text = String::new();
            utf8.push(bytes, &mut text);
            text
        };
        assert_eq!(push(b"a\xf0\x9f"), "a");
        assert_eq!(push(b"\x98"), "");
        assert_eq!(push(b"\x80b"), "😀b");
        assert_eq!(push(b"\xf0\x9fc"), "\u{fffd}c");
        assert_eq!(push(b"\xe6"), "");
        assert_eq!(utf8.finish(), "\u{fffd}");
    }
}
