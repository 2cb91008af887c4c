//! The tokenizer against llama.cpp's output for a real vocabulary.
//!
//! It needs the model file that `tests/golden/smollm2/ORIGIN.md` names: at `FFAI_TEST_MODEL`, or
//! in the user's cache directory. Without it the test says so and passes, except under `CI=true`.

#[path = "support/model.rs"]
mod model;

use std::error::Error;

use ffai::text::{Bos, Controls, Detokenizer, EncodeOptions, Special, Start, Tokenizer, Vocabulary};
use ffai::weights::gguf::Gguf;
use serde_json::Value;

/// The tokenizer, or `None` where there is no model.
fn tokenizer() -> Result<Option<Tokenizer>, Box<dyn Error>> {
    let Some(path) = model::real("smollm2") else { return Ok(None) };
    let file = Gguf::open(&path)?;
    Ok(Some(Tokenizer::new(Vocabulary::from_gguf(file.metadata())?)?))
}

fn rows() -> Result<Vec<Value>, Box<dyn Error>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/smollm2/tokenization.json");
    let mut golden: Value = serde_json::from_slice(&std::fs::read(path)?)?;
    Ok(serde_json::from_value(golden["rows"].take())?)
}

fn ids(row: &Value, key: &str) -> Result<Vec<u32>, Box<dyn Error>> {
    Ok(serde_json::from_value(row[key].clone())?)
}

fn bytes(row: &Value, key: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let digits = row[key].as_str().ok_or("expected a string of hexadecimal digits")?;
    let pair = |at| u8::from_str_radix(&digits[at..at + 2], 16);
    Ok((0..digits.len()).step_by(2).map(pair).collect::<Result<_, _>>()?)
}

#[test]
fn ids_and_text_equal_llama_cpp() -> Result<(), Box<dyn Error>> {
    let Some(tokenizer) = tokenizer()? else {
        return Ok(());
    };
    let rows = rows()?;
    assert_eq!(rows.len(), 40);
    for row in &rows {
        let text = String::from_utf8(bytes(row, "utf8_hex")?)?;
        for (key, special, bos) in [
            ("ids_special", Special::Parse, Bos::AsModel),
            ("ids_parse_nobos", Special::Parse, Bos::Never),
            ("ids_plain", Special::Plain, Bos::Never),
        ] {
            let found = tokenizer.encode(&text, EncodeOptions { special, bos })?;
            assert_eq!(found, ids(row, key)?, "{key} of {text:?}");
        }
        let plain = ids(row, "ids_plain")?;
        let expected = bytes(row, "detok_plain_hex")?;
        assert_eq!(tokenizer.decode(&plain, Controls::Omit), expected, "{text:?}");

        let mut detokenizer = Detokenizer::new(Start::Text, Controls::Omit);
        let mut streamed: String = plain.iter().map(|&id| detokenizer.push(&tokenizer, id)).collect();
        streamed.push_str(&detokenizer.finish());
        assert_eq!(streamed.as_bytes(), expected, "streamed {text:?}");
    }
    Ok(())
}

#[test]
fn the_vocabulary_is_understood() -> Result<(), Box<dyn Error>> {
    let Some(tokenizer) = tokenizer()? else {
        return Ok(());
    };
    assert_eq!(tokenizer.vocab_size(), 49152);
    assert_eq!((tokenizer.bos(), tokenizer.adds_bos()), (Some(1), false));
    // <|endoftext|>, <|im_end|> and <reponame>, which begins another file.
    assert_eq!(tokenizer.eos_ids(), [0, 2, 4]);
    assert!(tokenizer.is_control(2) && !tokenizer.is_control(504));
    assert_eq!(tokenizer.token_text(38699), Some("ĠHello"));
    assert_eq!(tokenizer.token_bytes(38699), b" Hello");
    assert_eq!(tokenizer.token_bytes(2), b"");
    assert_eq!(tokenizer.decode(&[1, 504, 2], Controls::Show), b"<|im_start|>The<|im_end|>");
    assert!(tokenizer.chat_template().is_some_and(|template| template.contains("<|im_start|>")));
    Ok(())
}
