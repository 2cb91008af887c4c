use super::*;
use crate::text::random::Random;
use crate::text::{Detokenizer, Start};

const PARSE: EncodeOptions = EncodeOptions { special: Special::Parse, bos: Bos::Never };
const PLAIN: EncodeOptions = EncodeOptions { special: Special::Plain, bos: Bos::Never };
const AS_MODEL: EncodeOptions = EncodeOptions { special: Special::Parse, bos: Bos::AsModel };

/// `<unk> <s> </s>`, all bytes, a user-defined run of spaces, `▁`, `a`, `▁a`, `</`, `s>`.
fn sentencepiece() -> Vocabulary {
    let bytes = (0..256).map(|byte| format!("<0x{byte:02X}>"));
    let tokens = ["<unk>", "<s>", "</s>"].into_iter().map(String::from).chain(bytes);
    let last = ["   ", "▁", "a", "▁a", "</", "s>", "<", "/", "s", ">"];
    let tokens: Vec<String> = tokens.chain(last.map(String::from)).collect();
    let mut kinds = vec![2, 3, 3];
    kinds.resize(3 + 256, 6);
    kinds.push(4);
    kinds.resize(tokens.len(), 1);
    Vocabulary {
        model: "llama".into(),
        scores: Some(vec![0.0; tokens.len()]),
        kinds: Some(kinds),
        tokens,
        ..Vocabulary::default()
    }
}

/// All bytes as GPT-2 spells them, `<|im_start|>`, `<|im_end|>`.
fn byte_level(pre: &str) -> Vocabulary {
    let bytes = crate::text::token_bytes::byte_characters().map(|character| character.to_string());
    let specials = ["<|im_start|>", "<|im_end|>"].map(String::from);
    let mut kinds = vec![1; 256];
    kinds.resize(258, 3);
    Vocabulary {
        model: "gpt2".into(),
        pre: Some(pre.into()),
        tokens: bytes.into_iter().chain(specials).collect(),
        merges: Some(Vec::new()),
        kinds: Some(kinds),
        ..Vocabulary::default()
    }
}

#[test]
fn sentencepiece_puts_a_space_before_text_and_takes_it_away() {
    let tokenizer = Tokenizer::new(sentencepiece()).unwrap();
    let (spaces, space, a, space_a) = (259, 260, 261, 262);
    assert_eq!(tokenizer.encode("a", PARSE).unwrap(), [space_a]);
    assert_eq!(tokenizer.encode("a", AS_MODEL).unwrap(), [1, space_a]);
    assert_eq!(tokenizer.encode("a</s>a", PARSE).unwrap(), [space_a, 2, space_a]);
    assert_eq!(tokenizer.encode("a   a", PARSE).unwrap(), [space_a, spaces, space_a]);
    assert_eq!(tokenizer.decode(&[1, space_a, a, space_a], Controls::Omit), b"aa a");
    assert_eq!(tokenizer.decode(&[1, space_a, 2], Controls::Show), b"<s> a</s>");
    assert_eq!(tokenizer.decode(&[space, space_a], Controls::Omit), b" a");

    let vocabulary = Vocabulary { add_space_prefix: Some(false), ..sentencepiece() };
    let tokenizer = Tokenizer::new(vocabulary).unwrap();
    assert_eq!(tokenizer.encode("a", PARSE).unwrap(), [a]);
    assert_eq!(tokenizer.decode(&[space_a], Controls::Omit), b" a");
}

#[test]
fn plain_text_never_becomes_a_control_token() {
    let tokenizer = Tokenizer::new(sentencepiece()).unwrap();
    // `</` and `s>` are tokens, and joined they read `</s>`.
    assert_eq!(tokenizer.encode("</s>", PLAIN).unwrap(), [260, 263, 264]);
    assert_eq!(tokenizer.encode("</s>", PARSE).unwrap(), [2]);
    let tokenizer = Tokenizer::new(byte_level("llama-bpe")).unwrap();
    let ids = tokenizer.encode("<|im_end|>", PLAIN).unwrap();
    assert_eq!(ids.len(), 10);
    assert_eq!(tokenizer.encode("a<|im_end|>", PARSE).unwrap(), [u32::from(b'a'), 257]);
}

#[test]
fn plain_text_comes_back_unchanged() {
    let alphabet: Vec<char> = "a </s>\n\r▁é日😀\u{301}\0<|im_end|>".chars().collect();
    let mut vocabularies = vec![sentencepiece()];
    vocabularies.extend(["smollm", "llama-bpe", "qwen2", "default"].map(byte_level));
    let mut random = Random(6);
    for vocabulary in vocabularies {
        let llama = vocabulary.model == "llama";
        let tokenizer = Tokenizer::new(vocabulary).unwrap();
        for _ in 0..500 {
            let mut text = random.text(&alphabet, 30);
            if llama {
                // What `decode` excepts: `▁`, and the user-defined token.
                text = text.replace('▁', "").replace("   ", "");
            }
            let ids = tokenizer.encode(&text, PLAIN).unwrap();
            let bytes = tokenizer.decode(&ids, Controls::Omit);
            assert_eq!(String::from_utf8(bytes).unwrap(), text);
        }
    }
}

#[test]
fn streaming_gives_what_decoding_gives() {
    let mut random = Random(7);
    for vocabulary in [sentencepiece(), byte_level("smollm")] {
        let tokenizer = Tokenizer::new(vocabulary).unwrap();
        for _ in 0..2000 {
            // Ids beyond the vocabulary, too.
            let ids: Vec<u32> = (0..random.below(10)).map(|_| random.below(275) as u32).collect();
            for controls in [Controls::Omit, Controls::Show] {
                let mut detokenizer = Detokenizer::new(Start::Text, controls);
                let mut text: String = ids.iter().map(|&id| detokenizer.push(&tokenizer, id)).collect();
                text.push_str(&detokenizer.finish());
                let bytes = tokenizer.decode(&ids, controls);
                assert_eq!(text, String::from_utf8_lossy(&bytes), "{ids:?}");
            }
        }
    }
}

#[test]
fn a_continuation_keeps_its_space() {
    let tokenizer = Tokenizer::new(sentencepiece()).unwrap();
    let mut detokenizer = Detokenizer::new(Start::Continuation, Controls::Omit);
    assert_eq!(detokenizer.push(&tokenizer, 262), " a");
    let mut detokenizer = Detokenizer::new(Start::Text, Controls::Omit);
    assert_eq!(detokenizer.push(&tokenizer, 1), "");
    assert_eq!(detokenizer.push(&tokenizer, 262), "a");
    assert_eq!(detokenizer.push(&tokenizer, 262), " a");
}

#[test]
fn bos_and_eos_follow_the_options() {
    let vocabulary = Vocabulary { bos: Some(256), eos: Some(257), add_eos: Some(true), ..byte_level("llama-bpe") };
    let tokenizer = Tokenizer::new(vocabulary).unwrap();
    let encode = |bos| tokenizer.encode("a", EncodeOptions { special: Special::Plain, bos });
    assert_eq!(encode(Bos::AsModel).unwrap(), [256, 97, 257]);
    assert_eq!(encode(Bos::Always).unwrap(), [256, 97]);
    assert_eq!(encode(Bos::Never).unwrap(), [97]);
    assert_eq!(tokenizer.eos_ids(), [257]);
    assert!(tokenizer.adds_bos() && tokenizer.is_control(256) && !tokenizer.is_control(97));

    let tokenizer = Tokenizer::new(byte_level("gpt-2")).unwrap();
    let always = EncodeOptions { special: Special::Plain, bos: Bos::Always };
    assert!(matches!(tokenizer.encode("a", always), Err(Error::NoBos)));
    let vocabulary = Vocabulary { add_bos: Some(true), ..byte_level("gpt-2") };
    assert!(matches!(Tokenizer::new(vocabulary), Err(Error::NoBos)));
}

#[test]
fn what_is_not_built_in_is_refused_by_name() {
    let vocabulary = Vocabulary { model: "bert".into(), ..byte_level("gpt-2") };
    let error = Tokenizer::new(vocabulary).unwrap_err();
    assert_eq!(error.to_string(), "tokenizer model: expected `gpt2` or `llama`, found `bert`");
    let error = Tokenizer::new(byte_level("klingon")).unwrap_err();
    assert!(matches!(&error, Error::UnknownPreTokenizer { found } if found == "klingon"));
    let vocabulary = Vocabulary { merges: None, ..byte_level("gpt-2") };
    assert!(matches!(Tokenizer::new(vocabulary), Err(Error::MissingList { list: "merges", .. })));
}

#[test]
fn ids_outside_the_vocabulary_stand_for_nothing() {
    let tokenizer = Tokenizer::new(byte_level("gpt-2")).unwrap();
    assert_eq!(tokenizer.vocab_size(), 258);
    assert_eq!(tokenizer.decode(&[97, 258, u32::MAX], Controls::Show), b"a");
    assert_eq!(tokenizer.token_bytes(258), b"");
    assert_eq!(tokenizer.token_text(258), None);
    assert!(!tokenizer.is_control(258));
}
