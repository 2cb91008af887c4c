//! The bytes each token stands for.

use super::vocabulary::Kind;

/// SentencePiece writes a space as U+2581, so that tokens may hold one visibly.
pub(super) const SPACE: &str = "\u{2581}";

/// Bytes of all tokens, end to end: one allocation for a quarter of a million tokens.
#[derive(Debug)]
pub(super) struct TokenBytes {
    bytes: Vec<u8>,
    /// Token `id` is `bytes[starts[id]..starts[id + 1]]`.
    starts: Vec<usize>,
}

impl TokenBytes {
    /// `byte_level` tokens spell bytes as printable characters; the others are UTF-8 with `▁`.
    /// Control, unknown and unused tokens stand for nothing.
    pub(super) fn new(tokens: &[String], kinds: &[Kind], byte_level: bool) -> Self {
        let mut bytes = Vec::with_capacity(tokens.iter().map(String::len).sum());
        let mut starts = Vec::with_capacity(tokens.len() + 1);
        starts.push(0);
        for (text, kind) in tokens.iter().zip(kinds) {
            match (kind, byte_value(text)) {
                (Kind::Control | Kind::Unknown | Kind::Unused, _) => {}
                (Kind::Byte, Some(byte)) => bytes.push(byte),
                (Kind::UserDefined, _) => bytes.extend_from_slice(text.as_bytes()),
                (Kind::Normal | Kind::Byte, _) if byte_level => spelled(text, &mut bytes),
                (Kind::Normal | Kind::Byte, _) => {
                    bytes.extend_from_slice(text.replace(SPACE, " ").as_bytes());
                }
            }
            starts.push(bytes.len());
        }
        Self { bytes, starts }
    }

    /// The bytes of a token; none for an id outside the vocabulary.
    pub(super) fn get(&self, id: u32) -> &[u8] {
        let id = id as usize;
        match (self.starts.get(id), self.starts.get(id + 1)) {
            (Some(&start), Some(&end)) => &self.bytes[start..end],
            _ => &[],
        }
    }
}

/// The byte that `<0x0A>` and its like stand for.
pub(super) fn byte_value(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() != 2 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    u8::from_str_radix(digits, 16).ok()
}

/// The printable character that GPT-2 vocabularies write for a byte: itself where it is printable
/// in Latin-1, else the next free one from U+0100 on (`bytes_to_unicode` in GPT-2's encoder.py).
pub(super) fn byte_characters() -> [char; 256] {
    let mut next = 0x100;
    std::array::from_fn(|byte| {
        if matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff) {
            return char::from(byte as u8);
        }
        let character = char::from_u32(next).unwrap_or(char::REPLACEMENT_CHARACTER);
        next += 1;
        character
    })
}

/// Undoes [`byte_characters`]. A token with any other character is meant as UTF-8.
fn spelled(text: &str, bytes: &mut Vec<u8>) {
    let start = bytes.len();
    for character in text.chars() {
        match byte_of(character) {
            Some(byte) => bytes.push(byte),
            None => {
                bytes.truncate(start);
                bytes.extend_from_slice(text.as_bytes());
                return;
            }
        }
    }
}

/// The 68 unprintable bytes got U+0100 to U+0143 in ascending order: 0x00..=0x20, 0x7f..=0xa0, 0xad.
fn byte_of(character: char) -> Option<u8> {
    let code = u32::from(character);
    let byte = match code {
        0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => code,
        0x100..=0x120 => code - 0x100,
        0x121..=0x142 => code - 0x121 + 0x7f,
        0x143 => 0xad,
        _ => return None,
    };
    Some(byte as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_own_character_and_back() {
        for (byte, character) in byte_characters().into_iter().enumerate() {
            assert_eq!(byte_of(character), Some(byte as u8), "{character:?}");
        }
        assert_eq!(byte_of(' '), None);
        assert_eq!(byte_of('\u{144}'), None);
    }

    #[test]
    fn byte_tokens_are_two_hexadecimal_digits() {
        assert_eq!(byte_value("<0x0A>"), Some(10));
        assert_eq!(byte_value("<0xff>"), Some(255));
        for text in ["<0x0A", "<0x+A>", "<0x00A>", "<0xé>", "0x0A", ""] {
            assert_eq!(byte_value(text), None, "{text}");
        }
    }

    #[test]
    fn a_token_that_spells_no_bytes_is_taken_as_text() {
        let tokens = ["Ġa", "日", "<s>", "▁", "<0x41>"].map(String::from);
        let kinds = [Kind::Normal, Kind::Normal, Kind::Control, Kind::UserDefined, Kind::Byte];
        let bytes = TokenBytes::new(&tokens, &kinds, true);
        assert_eq!(bytes.get(0), b" a");
        assert_eq!(bytes.get(1), "日".as_bytes());
        assert_eq!(bytes.get(2), b"");
        assert_eq!(bytes.get(3), "▁".as_bytes());
        assert_eq!(bytes.get(4), b"A");
        assert_eq!(bytes.get(5), b"");
        assert_eq!(bytes.get(u32::MAX), b"");
    }
}
