//! Writes a vocabulary as `tokenizer.json`, the format of the tokenizers library, for checkpoints that are converted.
//!
//! The library merges by a list of pairs, most urgent first. Byte-level vocabularies have one; that of SentencePiece ones is
//! derived from the scores of their tokens, as Hugging Face's converter does it (`generate_merges` in transformers'
//! `convert_slow_tokenizer.py`). What cannot be said so is refused: [`Vocabulary::tokenizer_files`] reads the result back and
//! compares ids.

use super::byte_level::merge_parts;
use super::pre_tokenizer;
use super::token_bytes::SPACE;
use super::tokenizer::{Bos, EncodeOptions, Special, Tokenizer};
use super::vocabulary::{Kind, Vocabulary};
use super::{Error, samples};
use rayon::prelude::*;
use serde::Serialize;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// The file's outline, in the order in which the library writes it.
#[derive(Serialize)]
struct File<'a> {
    version: &'static str,
    truncation: Option<()>,
    padding: Option<()>,
    added_tokens: Vec<AddedToken<'a>>,
    normalizer: Value,
    pre_tokenizer: Value,
    post_processor: Value,
    decoder: Value,
    model: Model<'a>,
}

/// A token that is found in text before anything else happens to it.
#[derive(Serialize)]
struct AddedToken<'a> {
    id: u32,
    content: &'a str,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    normalized: bool,
    special: bool,
}

#[derive(Serialize)]
struct Model<'a> {
    r#type: &'static str,
    dropout: Option<()>,
    unk_token: Option<&'a str>,
    continuing_subword_prefix: Option<()>,
    end_of_word_suffix: Option<()>,
    fuse_unk: bool,
    byte_fallback: bool,
    ignore_merges: bool,
    #[serde(serialize_with = "by_id")]
    vocab: &'a [String],
    merges: Vec<(&'a str, &'a str)>,
}

fn by_id<S: serde::Serializer>(tokens: &&[String], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(tokens.iter().zip(0_u32..))
}

/// What differs between the kinds of vocabularies.
struct Parts<'a> {
    normalizer: Value,
    pre_tokenizer: Value,
    decoder: Value,
    model: Model<'a>,
}

/// What stands beside the weights of a converted checkpoint.
#[derive(Debug)]
pub struct TokenizerFiles {
    /// The content of `tokenizer.json`.
    pub tokenizer: Vec<u8>,
    /// `tokenizer_config.json`: named tokens and the chat template.
    pub config: Value,
    /// The token that begins a text.
    pub bos: Option<u32>,
    /// The token that ends a text.
    pub eos: Option<u32>,
    /// The token that fills up a batch.
    pub padding: Option<u32>,
    /// Every token that ends a text or a turn, ascending.
    pub end_ids: Vec<u32>,
}

impl Vocabulary {
    /// The vocabulary as the files of a Hugging Face checkpoint, whose ids are those that [`Tokenizer::new`] gives: for every
    /// token's own text, and for samples of many kinds of text.
    ///
    /// # Errors
    /// What [`Tokenizer::new`] refuses, and [`Error::Inexpressible`] where the format cannot say what this vocabulary means.
    pub fn tokenizer_files(self) -> Result<TokenizerFiles, Error> {
        let own = Tokenizer::new(self.clone())?;
        let vocabulary = self.checked()?;
        let (config, tokenizer) = (vocabulary.config(&own), vocabulary.written(&own)?);
        let added =
            vocabulary.added_tokens(&vocabulary.token_kinds()?).iter().map(|token| token.id).collect::<Vec<_>>();
        let Self { bos, eos, padding, .. } = vocabulary;
        // Its lists are as large as the library's own, which come next.
        drop(vocabulary);
        check(&tokenizer, &own, &added)?;
        Ok(TokenizerFiles { tokenizer, config, bos, eos, padding, end_ids: own.eos_ids().to_vec() })
    }

    fn written(&self, own: &Tokenizer) -> Result<Vec<u8>, Error> {
        let mut seen = HashSet::with_capacity(self.tokens.len());
        if let Some(twice) = self.tokens.iter().find(|token| !seen.insert(token.as_str())) {
            return Err(inexpressible(format!("token {} occurs twice", shown(twice))));
        }
        drop(seen);
        let kinds = self.token_kinds()?;
        let Parts { normalizer, pre_tokenizer, decoder, model } = match self.model.as_str() {
            "gpt2" => self.byte_level()?,
            _ => self.sentencepiece(&kinds)?,
        };
        let file = File {
            version: "1.0",
            truncation: None,
            padding: None,
            added_tokens: self.added_tokens(&kinds),
            normalizer,
            pre_tokenizer,
            post_processor: self.post_processor(own),
            decoder,
            model,
        };
        serde_json::to_vec(&file).map_err(|error| Error::Library(error.to_string()))
    }

    /// Control and unknown tokens are special: what people read leaves them out.
    fn added_tokens(&self, kinds: &[Kind]) -> Vec<AddedToken<'_>> {
        let mut added = Vec::new();
        for ((content, kind), id) in self.tokens.iter().zip(kinds).zip(0..) {
            let special = matches!(kind, Kind::Control | Kind::Unknown);
            if !content.is_empty() && (special || *kind == Kind::UserDefined) {
                let (single_word, lstrip, rstrip, normalized) = (false, false, false, false);
                added.push(AddedToken { id, content, single_word, lstrip, rstrip, normalized, special });
            }
        }
        added
    }

    fn byte_level(&self) -> Result<Parts<'_>, Error> {
        let pre = pre_tokenizer::by_name(self.pre.as_deref().unwrap_or("default"))?;
        let splits = pre.expressions.iter().map(|expression| {
            json!({"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": false})
        });
        let letters = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
        // Of equal merges the first counts.
        let mut seen = HashSet::new();
        let merges = self.merges.iter().flatten().filter(|merge| seen.insert(merge.as_str()));
        let model = Model {
            ignore_merges: pre.ignore_merges,
            merges: merges.filter_map(|merge| merge_parts(merge)).collect(),
            ..self.bare_model()
        };
        let split: Vec<Value> = splits.chain([letters.clone()]).collect();
        Ok(Parts {
            normalizer: Value::Null,
            pre_tokenizer: json!({"type": "Sequence", "pretokenizers": split}),
            decoder: letters,
            model,
        })
    }

    fn sentencepiece(&self, kinds: &[Kind]) -> Result<Parts<'_>, Error> {
        let spaces = json!({"type": "Replace", "pattern": {"String": " "}, "content": SPACE});
        let back = json!({"type": "Replace", "pattern": {"String": SPACE}, "content": " "});
        let mut decoders = vec![back, json!({"type": "ByteFallback"}), json!({"type": "Fuse"})];
        let mut normalizer = spaces.clone();
        if self.add_space_prefix.unwrap_or(true) {
            let prefix = json!({"type": "Prepend", "prepend": SPACE});
            normalizer = json!({"type": "Sequence", "normalizers": [prefix, spaces]});
            decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
        }
        let unknown = self.unknown.and_then(|id| self.tokens.get(id as usize)).map(String::as_str);
        let merges = self.merges_by_score(kinds)?;
        let model = Model { unk_token: unknown, fuse_unk: true, byte_fallback: true, merges, ..self.bare_model() };
        let decoder = json!({"type": "Sequence", "decoders": decoders});
        Ok(Parts { normalizer, pre_tokenizer: Value::Null, decoder, model })
    }

    fn bare_model(&self) -> Model<'_> {
        Model {
            r#type: "BPE",
            dropout: None,
            unk_token: None,
            continuing_subword_prefix: None,
            end_of_word_suffix: None,
            fuse_unk: false,
            byte_fallback: false,
            ignore_merges: false,
            vocab: &self.tokens,
            merges: Vec::new(),
        }
    }

    /// Every way to put a token together from two others, by falling score. Tokens that no plain text holds take no part:
    /// control, unknown and byte tokens, and user-defined ones, which are cut out of it before.
    fn merges_by_score(&self, kinds: &[Kind]) -> Result<Vec<(&str, &str)>, Error> {
        let scores = self.scores.as_deref().ok_or(Error::MissingList { model: "llama", list: "scores" })?;
        let plain = |(_, kind): &(usize, &Kind)| matches!(kind, Kind::Normal | Kind::Unused);
        let ids: Vec<usize> = kinds.iter().enumerate().filter(plain).map(|(id, _)| id).collect();
        let known: HashSet<&str> = ids.iter().map(|&id| self.tokens[id].as_str()).collect();
        let mut merges = Vec::new();
        let mut by_score: HashMap<u32, usize> = HashMap::new();
        for &id in &ids {
            let token = self.tokens[id].as_str();
            let cuts = token.char_indices().skip(1).map(|(at, _)| token.split_at(at));
            let before = merges.len();
            // Adding 0 turns -0 into 0.
            let score = scores[id] + 0.0;
            for (left, right) in cuts.filter(|(left, right)| known.contains(left) && known.contains(right)) {
                merges.push((score, left.chars().count(), left, right));
            }
            if merges.len() > before
                && let Some(other) = by_score.insert(score.to_bits(), id)
            {
                let other = shown(&self.tokens[other]);
                let what = format!("tokens {other} and {} share the score {score}", shown(token));
                return Err(inexpressible(what));
            }
        }
        merges.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
        Ok(merges.into_iter().map(|(_, _, left, right)| (left, right)).collect())
    }

    /// What is put around a text: a beginning, an end, or nothing.
    fn post_processor(&self, own: &Tokenizer) -> Value {
        let bos = self.bos.filter(|_| own.adds_bos());
        let eos = self.eos.filter(|_| self.add_eos == Some(true));
        let named = |id: u32| self.tokens.get(id as usize).map(|text| (id, text.as_str()));
        let (bos, eos) = (bos.and_then(named), eos.and_then(named));
        if bos.is_none() && eos.is_none() {
            return Value::Null;
        }
        let special = |(_, text): (u32, &str), kind: u32| json!({"SpecialToken": {"id": text, "type_id": kind}});
        let around = |name: &str, kind: u32| -> Vec<Value> {
            let text = json!({"Sequence": {"id": name, "type_id": kind}});
            let before = bos.map(|token| special(token, kind));
            before.into_iter().chain([text]).chain(eos.map(|token| special(token, kind))).collect()
        };
        let specials: serde_json::Map<String, Value> = [bos, eos]
            .into_iter()
            .flatten()
            .map(|(id, text)| (text.to_owned(), json!({"id": text, "ids": [id], "tokens": [text]})))
            .collect();
        let pair: Vec<Value> = around("A", 0).into_iter().chain(around("B", 1)).collect();
        json!({"type": "TemplateProcessing", "single": around("A", 0), "pair": pair, "special_tokens": specials})
    }

    /// The content of `tokenizer_config.json`.
    fn config(&self, own: &Tokenizer) -> Value {
        let text = |id: Option<u32>| id.and_then(|id| self.tokens.get(id as usize)).cloned();
        let mut config = json!({
            "add_bos_token": own.adds_bos(),
            "add_eos_token": self.add_eos == Some(true),
            "clean_up_tokenization_spaces": false,
            // What reads `tokenizer.json` as it is; classes of their own build theirs anew.
            "tokenizer_class": "PreTrainedTokenizerFast",
        });
        let named = [
            ("bos_token", text(self.bos)),
            ("eos_token", text(self.eos)),
            ("unk_token", text(self.unknown)),
            ("pad_token", text(self.padding)),
            ("chat_template", self.chat_template.clone()),
        ];
        for (name, text) in named {
            if let Some(text) = text {
                config[name] = Value::String(text);
            }
        }
        config
    }
}

/// Text from a file as it may stand in a message: escaped, 40 characters at most.
fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(40).collect::<String>())
}

fn inexpressible(what: String) -> Error {
    Error::Inexpressible { what }
}

/// Reads what was written with the library and compares it with `own`: the texts of all tokens, those of `added` ones amid others,
/// and samples.
fn check(bytes: &[u8], own: &Tokenizer, added: &[u32]) -> Result<(), Error> {
    let library = tokenizers::Tokenizer::from_bytes(bytes).map_err(|error| Error::Library(error.to_string()))?;
    let differs = |text: &str| -> Result<bool, Error> {
        let want = own.encode(text, EncodeOptions { special: Special::Parse, bos: Bos::AsModel })?;
        let got = library.encode_fast(text, true).map_err(|error| Error::Library(error.to_string()))?;
        Ok(got.get_ids() != want)
    };
    let of_tokens = (0..own.vocab_size() as u32).into_par_iter().filter_map(|id| {
        // Bytes of a character that several tokens share are no text alone.
        std::str::from_utf8(own.token_bytes(id)).ok().filter(|text| !text.is_empty()).map(Cow::Borrowed)
    });
    let amid =
        added.par_iter().filter_map(|&id| own.token_text(id).map(|text| Cow::Owned(format!("a{text}b {text} c"))));
    let samples = samples::TEXTS.par_iter().map(|text| Cow::Borrowed(*text));
    let texts = samples.chain(amid).chain(of_tokens);
    let found = texts.map(|text| Ok((differs(&text)?, text))).find_any(|result| !matches!(result, Ok((false, _))));
    match found {
        None => Ok(()),
        Some(Err(error)) => Err(error),
        Some(Ok((_, text))) => Err(inexpressible(format!("it splits {} otherwise", shown(&text)))),
    }
}

#[cfg(test)]
#[path = "tokenizer_json_tests.rs"]
mod tests;
