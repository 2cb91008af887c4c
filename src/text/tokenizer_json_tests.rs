use super::*;

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_string()).collect()
}

/// The bytes of GPT-2 and a few merges, one of which digits that stand alone never meet, with a control and a user-defined token.
fn byte_level() -> Vocabulary {
    let letters = super::super::token_bytes::byte_characters().map(String::from);
    let words = strings(&["th", "the", "Ġthe", "  ", "<|end|>", "12"]);
    let tokens: Vec<String> = letters.into_iter().chain(words).collect();
    let mut kinds = vec![1; tokens.len()];
    kinds[259] = 4;
    kinds[260] = 3;
    Vocabulary {
        model: "gpt2".into(),
        pre: Some("smollm".into()),
        tokens,
        kinds: Some(kinds),
        merges: Some(strings(&["t h", "th e", "Ġ the", "t h", "1 2"])),
        bos: Some(260),
        eos: Some(260),
        ..Vocabulary::default()
    }
}

/// Special and byte tokens, then `pieces`, each with the score of its rank.
fn sentencepiece(pieces: &[&str]) -> Vocabulary {
    let bytes = (0..256).map(|byte| format!("<0x{byte:02X}>"));
    let tokens: Vec<String> =
        strings(&["<unk>", "<s>", "</s>"]).into_iter().chain(bytes).chain(strings(pieces)).collect();
    let kinds: Vec<i32> = [2, 3, 3].into_iter().chain([6; 256]).chain(pieces.iter().map(|_| 1)).collect();
    let scores = (0..pieces.len()).map(|rank| -(rank as f32));
    let scores = std::iter::repeat_n(0.0, 259).chain(scores).collect();
    Vocabulary { model: "llama".into(), tokens, scores: Some(scores), kinds: Some(kinds), ..Vocabulary::default() }
}

const PIECES: &[&str] = &["▁t", "he", "▁the", "▁", "t", "h", "e", "a"];

fn library(vocabulary: Vocabulary) -> tokenizers::Tokenizer {
    tokenizers::Tokenizer::from_bytes(vocabulary.tokenizer_files().unwrap().tokenizer).unwrap()
}

fn ids(library: &tokenizers::Tokenizer, text: &str) -> Vec<u32> {
    library.encode(text, true).unwrap().get_ids().to_vec()
}

/// Ids by hand, not by our own tokenizer.
#[test]
fn byte_level_merges_and_added_tokens_are_the_files() {
    let library = library(byte_level());
    let letter = |byte: u8| u32::from(byte);
    assert_eq!(ids(&library, "the the"), [257, 258]);
    assert_eq!(ids(&library, "a1<|end|>"), [letter(b'a'), letter(b'1'), 260]);
    // A run of two spaces is cut out before anything is merged.
    assert_eq!(ids(&library, "  the"), [259, 257]);
    assert_eq!(library.decode(&[258, 259, 260], true).unwrap(), " the  ");
}

#[test]
fn sentencepiece_merges_follow_scores() {
    let library = library(sentencepiece(PIECES));
    let id = |piece: &str| 259 + PIECES.iter().position(|known| *known == piece).unwrap() as u32;
    assert_eq!(ids(&library, "the"), [1, id("▁the")]);
    assert_eq!(ids(&library, "a"), [1, id("▁"), id("a")]);
    // No token of its own: its bytes.
    assert_eq!(ids(&library, "é"), [1, id("▁"), 3 + 0xC3, 3 + 0xA9]);
    assert_eq!(library.decode(&[id("▁the"), id("▁the")], true).unwrap(), "the the");
}

#[test]
fn text_begins_and_ends_as_the_vocabulary_says() {
    let with = |add_bos, add_eos| Vocabulary { add_bos, add_eos, ..sentencepiece(PIECES) };
    let ends = |vocabulary| {
        let ids = ids(&library(vocabulary), "the");
        (ids[0] == 1, ids[ids.len() - 1] == 2)
    };
    assert_eq!(ends(with(None, None)), (true, false));
    assert_eq!(ends(with(Some(false), None)), (false, false));
    assert_eq!(ends(with(Some(true), Some(true))), (true, true));
    assert_eq!(ends(with(Some(false), Some(true))), (false, true));
}

#[test]
fn the_settings_name_tokens_and_template() {
    let template = Some("{{ messages }}".to_owned());
    let files = Vocabulary { chat_template: template, ..sentencepiece(PIECES) }.tokenizer_files().unwrap();
    let config = &files.config;
    assert_eq!((&config["bos_token"], &config["eos_token"]), (&json!("<s>"), &json!("</s>")));
    assert_eq!((&config["unk_token"], config.get("pad_token")), (&json!("<unk>"), None));
    assert_eq!((&config["chat_template"], &config["add_bos_token"]), (&json!("{{ messages }}"), &json!(true)));
    assert_eq!((files.bos, files.eos, files.end_ids), (Some(1), Some(2), vec![2]));
}

fn refusal(vocabulary: Vocabulary) -> String {
    let error = vocabulary.tokenizer_files().unwrap_err();
    assert!(matches!(error, Error::Inexpressible { .. }) && error.hint().is_some(), "{error}");
    error.to_string()
}

/// A list of merges says which of two goes first; scores may say that neither does.
#[test]
fn what_a_list_of_merges_cannot_say_is_refused() {
    let mut tied = sentencepiece(PIECES);
    let scores = tied.scores.as_mut().unwrap();
    scores[260] = scores[259];
    assert!(refusal(tied).contains("\"▁t\" and \"he\" share the score"));
    let mut twice = byte_level();
    twice.tokens[259] = "the".into();
    assert!(refusal(twice).contains("\"the\" occurs twice"));
    // Its parts are no tokens, so that no merge makes it; SentencePiece needs none.
    let orphan = sentencepiece(&["▁", "xy", "a"]);
    assert!(refusal(orphan).contains("it splits \"xy\" otherwise"));
}

/// What was written is compared with what was meant: a wrong merge does not pass.
#[test]
fn a_wrong_file_is_found() {
    let own = Tokenizer::new(byte_level()).unwrap();
    let good = String::from_utf8(byte_level().tokenizer_files().unwrap().tokenizer).unwrap();
    assert!(check(good.as_bytes(), &own, &[259, 260]).is_ok());
    for (from, to) in [
        ("[\"th\",\"e\"],", ""),
        ("\\\\p{N}", "\\\\p{N}{2}"),
        ("\"content\":\"<|end|>\",\"single_word\":false", "\"content\":\"<|end|>\",\"single_word\":true"),
    ] {
        assert!(good.contains(from), "{from}");
        let wrong = good.replacen(from, to, 1);
        assert!(check(wrong.as_bytes(), &own, &[259, 260]).is_err(), "{from} became {to:?} and nobody saw it");
    }
}
