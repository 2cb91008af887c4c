//! A byte-level vocabulary of any size, made on the spot: it encodes every text, and every id decodes to something or to nothing.

use ffai::text::Vocabulary;

/// The token that ends a text, and that begins one where somebody asks.
const END: &str = "<|endoftext|>";
/// Merges of common English, in bytes as they are spelled; a space is `Ġ`. Each has its parts before it.
const MERGES: &[(&str, &str)] = &[
    ("Ġ", "t"),
    ("h", "e"),
    ("Ġ", "a"),
    ("i", "n"),
    ("r", "e"),
    ("o", "n"),
    ("Ġt", "he"),
    ("e", "r"),
    ("Ġ", "s"),
    ("a", "t"),
    ("Ġ", "w"),
    ("Ġ", "o"),
    ("e", "n"),
    ("Ġ", "c"),
    ("i", "t"),
    ("i", "s"),
    ("a", "n"),
    ("o", "r"),
    ("e", "s"),
    ("Ġ", "b"),
    ("e", "d"),
    ("Ġ", "f"),
    ("in", "g"),
    ("Ġ", "p"),
    ("o", "u"),
    ("Ġa", "n"),
    ("a", "l"),
    ("a", "r"),
    ("Ġt", "o"),
    ("Ġ", "m"),
    ("Ġo", "f"),
    ("Ġ", "in"),
    ("Ġ", "d"),
    ("Ġ", "h"),
    ("Ġan", "d"),
    ("i", "c"),
    ("l", "e"),
    ("o", "m"),
    ("en", "t"),
    ("i", "on"),
];
/// Kinds of tokens, as GGUF numbers them.
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const UNUSED: i32 = 5;

/// A vocabulary of `size` tokens: bytes, as many merges as there is room for, the end of a text, and tokens that no text holds.
/// `None` where there is no room for bytes and an end.
pub(super) fn vocabulary(size: u64) -> Option<Vocabulary> {
    let size = usize::try_from(size).ok()?;
    let room = size.checked_sub(257)?;
    let merges = &MERGES[..MERGES.len().min(room)];
    let mut tokens: Vec<String> = (0..=255).map(|byte| spelled(byte).to_string()).collect();
    tokens.extend(merges.iter().map(|(left, right)| format!("{left}{right}")));
    let mut kinds = vec![NORMAL; tokens.len()];
    let end = tokens.len() as u32;
    tokens.push(END.to_owned());
    kinds.push(CONTROL);
    let unused = tokens.len()..size;
    tokens.extend(unused.map(|id| format!("<|unused_{id}|>")));
    kinds.resize(size, UNUSED);
    Some(Vocabulary {
        model: "gpt2".to_owned(),
        pre: Some("gpt-2".to_owned()),
        tokens,
        kinds: Some(kinds),
        merges: Some(merges.iter().map(|(left, right)| format!("{left} {right}")).collect()),
        bos: Some(end),
        eos: Some(end),
        add_bos: Some(false),
        ..Vocabulary::default()
    })
}

/// How GPT-2 writes a byte: as itself where it is printable in Latin-1, else as the next free character from U+0100 on.
fn spelled(byte: u8) -> char {
    let printable = |byte: u8| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    if printable(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|&byte| !printable(byte)).count() as u32;
    char::from_u32(0x100 + before).unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ffai::text::{Bos, EncodeOptions, Special, Tokenizer};

    const PLAIN: EncodeOptions = EncodeOptions { special: Special::Plain, bos: Bos::AsModel };

    #[test]
    fn every_text_is_encoded_and_comes_back() {
        let vocabulary = vocabulary(1000).unwrap();
        assert_eq!(vocabulary.tokens.len(), 1000);
        let tokenizer = Tokenizer::new(vocabulary).unwrap();
        for text in ["the king and the ring", "grüße 🦀\n\t\0", ""] {
            let ids = tokenizer.encode(text, PLAIN).unwrap();
            let bytes: Vec<u8> = ids.iter().flat_map(|&id| tokenizer.token_bytes(id).to_vec()).collect();
            assert_eq!(bytes, text.as_bytes());
        }
        let merged = tokenizer.encode(" the", PLAIN).unwrap();
        assert_eq!(merged.len(), 1, "merges apply");
    }

    #[test]
    fn it_fits_any_size_that_holds_all_bytes() {
        for size in [257, 258, 271, 300, 128_256] {
            assert_eq!(vocabulary(size).unwrap().tokens.len() as u64, size);
        }
        assert!(vocabulary(256).is_none());
    }
}
