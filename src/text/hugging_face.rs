//! Tokenizers of Hugging Face checkpoints: `tokenizer.json`, and the settings beside it.
//!
//! Encoding goes through the tokenizers library, which defines the format. Tokens become text by the table that GGUF
//! vocabularies use too, so that text comes out as soon as it is certain. Byte-pair encoding is read, in the two forms
//! that language models have: over bytes (GPT-2, Llama 3, Qwen) and over text with `▁` for spaces and bytes for the rest
//! (Llama 2, Gemma).
//!
//! A folder is not to be trusted. Everything that would make the library panic, or take memory out of proportion to the
//! file, is refused before it is built.

mod components;
mod definition;
pub(super) mod files;
mod generation_defaults;
mod library;
mod settings;

use std::collections::HashMap;
use std::path::Path;

use tokenizers::models::bpe::{BPE, Vocab};

use super::end_tokens;
use super::special::Specials;
use super::token_bytes::{TokenBytes, byte_value};
use super::tokenizer::{Model, Tokenizer};
use super::vocabulary::{Kind, Vocabulary};
use super::{Error, SpecialTokens};
use components::Decoding;
use definition::{Added, Definition};
use files::{invalid, quoted};
use settings::Named;

pub use generation_defaults::GenerationDefaults;
pub(super) use library::Library;

const TOKENIZER: &str = "tokenizer.json";
/// The largest tokenizers in use have 40 MB.
const MOST_TOKENIZER_BYTES: u64 = 128 << 20;
/// Added tokens are looked for at every place of a text, and what finds them takes many times their length.
const MOST_ADDED_BYTES: usize = 8 << 20;

impl Tokenizer {
    /// Builds the tokenizer of a checkpoint's folder from `tokenizer.json`, `tokenizer_config.json`,
    /// `special_tokens_map.json`, `generation_config.json` and `config.json`. All but the first may be missing. The chat
    /// template is not read.
    ///
    /// Encoding gives the ids that the tokenizers library gives. [`Tokenizer::eos_ids`] unites what all files name.
    ///
    /// # Errors
    ///
    /// There is no `tokenizer.json`, it does what is not built in, or one of the files contradicts itself. The message
    /// names the file.
    pub fn from_folder(folder: &Path) -> Result<Self, Error> {
        let file = &folder.join(TOKENIZER);
        let Some(bytes) = files::bytes(file, MOST_TOKENIZER_BYTES)? else {
            let sentencepiece = folder.join("tokenizer.model").exists();
            return Err(Error::NoTokenizer { folder: folder.to_owned(), sentencepiece });
        };
        let mut definition: Definition = files::parse(&bytes, file, "a tokenizer")?;
        drop(bytes);
        let named = Named::read(folder)?;
        definition.model.check_kind(file)?;
        let decoding = components::decoding(&definition.decoder, file)?;
        let vocab = definition.model.vocab(file)?;
        let added = added(std::mem::take(&mut definition.added_tokens), &vocab, &named, file)?;
        let mut table = Table::new(&vocab, &added, decoding, file)?;
        let unknown = definition.model.unknown(&vocab, file)?.map(str::to_owned);
        table.vocabulary.unknown = unknown.as_ref().and_then(|token| vocab.get(token).copied());
        let merges = definition.model.merges(&vocab, file)?;
        let mut bpe = BPE::builder()
            .vocab_and_merges(vocab, merges)
            .fuse_unk(definition.model.fuse_unk == Some(true))
            .byte_fallback(definition.model.byte_fallback == Some(true))
            .ignore_merges(definition.model.ignore_merges == Some(true));
        if let Some(unknown) = unknown {
            bpe = bpe.unk_token(unknown);
        }
        let library =
            |error: tokenizers::Error| invalid(file, "model", "one that can be built", quoted(&error.to_string()));
        let library = Library::new(
            components::normalizer(&definition.normalizer, file)?,
            components::pre_tokenizer(&definition.pre_tokenizer, file)?,
            bpe.build().map_err(library)?,
            &added,
        )
        .map_err(|error| invalid(file, "added_tokens", "tokens that can be told apart", quoted(&error.to_string())))?;
        check_ids(&library, &added, file)?;
        table.name(&named)?;
        let mut frame = components::frame(&definition.post_processor, file)?;
        let length = table.vocabulary.tokens.len();
        if let Some(id) = frame.before.iter().chain(&frame.after).find(|id| **id as usize >= length) {
            return Err(invalid(file, "post_processor", &format!("ids below {length}"), id));
        }
        named.adjust(&mut frame, table.vocabulary.bos, table.vocabulary.eos)?;
        let mut ends = end_tokens::end_ids(&table.vocabulary, &table.kinds);
        ends.extend(named.end_ids(length)?);
        ends.sort_unstable();
        ends.dedup();
        let Table { vocabulary, kinds } = table;
        Ok(Self {
            model: Model::Library(Box::new(library)),
            bytes: TokenBytes::new(&vocabulary.tokens, &kinds, decoding.byte_level),
            // The library finds them itself, and so gets text in one piece.
            specials: Specials::new(&[], &[]),
            bos: vocabulary.bos,
            before: frame.before,
            after: frame.after,
            end_ids: ends,
            space_prefix: decoding.strips_space,
            special_tokens: SpecialTokens::of(&vocabulary),
            // A folder's template is a file of its own: ChatTemplate::from_folder reads it.
            chat_template: None,
            tool_use_template: None,
            tokens: vocabulary.tokens,
            kinds,
        })
    }
}

/// The added tokens by id: those of `tokenizer.json`, with what the settings say of them, and special tokens that are
/// named elsewhere.
fn added(listed: Vec<Added>, vocab: &Vocab, named: &Named, file: &Path) -> Result<Vec<Added>, Error> {
    let mut added = listed;
    let mut places: HashMap<String, usize> =
        added.iter().enumerate().map(|(place, token)| (token.content.clone(), place)).collect();
    for token in named.added()? {
        match places.get(&token.content) {
            Some(&place) if added[place].id != token.id => {
                let what = format!("id of added token {}", quoted(&token.content));
                return Err(invalid(named.file(), &what, &format!("{}, as in {TOKENIZER}", added[place].id), token.id));
            }
            Some(&place) => added[place] = token,
            None => {
                places.insert(token.content.clone(), added.len());
                added.push(token);
            }
        }
    }
    for text in named.specials()? {
        match (places.get(text), vocab.get(text)) {
            (Some(&place), _) => added[place].special = true,
            (None, Some(&id)) => {
                places.insert(text.to_owned(), added.len());
                added.push(Added::special(text, id));
            }
            // Without an id the model can have no use for it.
            (None, None) => {}
        }
    }
    added.retain(|token| !token.content.is_empty());
    added.sort_by_key(|token| token.id);
    if added.iter().map(|token| token.content.len()).sum::<usize>() > MOST_ADDED_BYTES {
        return Err(invalid(file, "added_tokens", &format!("at most {MOST_ADDED_BYTES} bytes of text"), "more"));
    }
    Ok(added)
}

/// The library numbers added tokens by itself. A file that says otherwise is not what its model was trained with.
fn check_ids(library: &Library, added: &[Added], file: &Path) -> Result<(), Error> {
    let other = |token: &&Added| library.id(&token.content) != Some(token.id);
    match added.iter().find(other) {
        None => Ok(()),
        Some(token) => {
            let what = format!("id of added token {}", quoted(&token.content));
            let expected = library.id(&token.content).map_or("one".to_owned(), |id| format!("{id}, the next free one"));
            Err(invalid(file, &what, &expected, token.id))
        }
    }
}

/// All tokens by id.
struct Table {
    vocabulary: Vocabulary,
    kinds: Vec<Kind>,
}

impl Table {
    fn new(vocab: &Vocab, added: &[Added], decoding: Decoding, file: &Path) -> Result<Self, Error> {
        let entries = vocab.values().copied().chain(added.iter().map(|token| token.id));
        let length = definition::table_length(entries.collect::<Vec<_>>().into_iter(), file)?;
        if length == 0 {
            return Err(invalid(file, "vocabulary", "at least one token", "none"));
        }
        let mut tokens = vec![String::new(); length];
        let mut kinds = vec![Kind::Unused; length];
        for (text, &id) in vocab {
            let byte = decoding.byte_fallback && byte_value(text).is_some();
            tokens[id as usize].clone_from(text);
            kinds[id as usize] = if byte { Kind::Byte } else { Kind::Normal };
        }
        for token in added {
            tokens[token.id as usize].clone_from(&token.content);
            kinds[token.id as usize] = match (token.special, decoding.byte_level) {
                (true, _) => Kind::Control,
                (false, true) => Kind::UserDefined,
                // `▁` is a space in these tokens as in all others.
                (false, false) => Kind::Normal,
            };
        }
        Ok(Self { vocabulary: Vocabulary { tokens, ..Vocabulary::default() }, kinds })
    }

    /// Looks the named tokens up.
    fn name(&mut self, named: &Named) -> Result<(), Error> {
        let Self { vocabulary, kinds } = self;
        if let Some(id) = vocabulary.unknown
            && kinds[id as usize] == Kind::Normal
        {
            kinds[id as usize] = Kind::Unknown;
        }
        vocabulary.bos = named.bos(&vocabulary.tokens)?;
        vocabulary.eos = named.eos(&vocabulary.tokens)?;
        Ok(())
    }
}
