//! Encoding through the tokenizers library.

use tokenizers::models::bpe::BPE;
use tokenizers::{
    AddedToken, AddedVocabulary, Model as _, NormalizerWrapper, OffsetType, PreTokenizer as _, PreTokenizerWrapper,
};

use super::definition::Added;
use crate::text::Error;
use crate::text::tokenizer::Special;

/// A tokenizer of the library, without what it does to ids afterwards.
#[derive(Debug)]
pub(in crate::text) struct Library {
    normalizer: Option<NormalizerWrapper>,
    pre_tokenizer: Option<PreTokenizerWrapper>,
    bpe: BPE,
    /// Finds all added tokens.
    parsing: AddedVocabulary,
    /// Finds those that are not special.
    plain: AddedVocabulary,
}

impl Library {
    pub(super) fn new(
        normalizer: Option<NormalizerWrapper>,
        pre_tokenizer: Option<PreTokenizerWrapper>,
        bpe: BPE,
        added: &[Added],
    ) -> Result<Self, Error> {
        let token = |added: &Added| AddedToken {
            content: added.content.clone(),
            single_word: added.single_word,
            lstrip: added.lstrip,
            rstrip: added.rstrip,
            normalized: added.normalized,
            special: added.special,
        };
        let mut parsing = AddedVocabulary::new();
        parsing.add_tokens(added.iter().map(token), &bpe, normalizer.as_ref()).map_err(refused)?;
        let mut plain = parsing.clone();
        plain.set_encode_special_tokens(true);
        Ok(Self { normalizer, pre_tokenizer, bpe, parsing, plain })
    }

    /// The id that the library gives to the text of a token.
    pub(super) fn id(&self, text: &str) -> Option<u32> {
        self.parsing.token_to_id(text, &self.bpe)
    }

    /// Appends the ids of `text` to `output`. As in the library, what no token stands for is left out where the
    /// vocabulary has neither bytes nor an unknown token.
    pub(in crate::text) fn encode(&self, text: &str, special: Special, output: &mut Vec<u32>) -> Result<(), Error> {
        let added = match special {
            Special::Parse => &self.parsing,
            Special::Plain => &self.plain,
        };
        let mut text = added.extract_and_normalize(self.normalizer.as_ref(), text);
        if let Some(pre_tokenizer) = &self.pre_tokenizer {
            pre_tokenizer.pre_tokenize(&mut text).map_err(refused)?;
        }
        text.tokenize(|word| self.bpe.tokenize(word.get())).map_err(refused)?;
        output.extend_from_slice(text.into_encoding(None, 0, OffsetType::None).map_err(refused)?.get_ids());
        Ok(())
    }
}

fn refused(error: tokenizers::Error) -> Error {
    Error::Library(error.to_string())
}
