//! Text to tokens and back: tokenizer, incremental detokenizer, stop strings, thinking split from the answer.
//!
//! A [`Tokenizer`] is built from a [`Vocabulary`], which is what a GGUF file says about its
//! tokens, or from the folder of a Hugging Face checkpoint ([`Tokenizer::from_folder`]). Of
//! vocabularies two kinds are known: byte-level BPE (`gpt2`) and SentencePiece BPE (`llama`). Both
//! are to give the ids that llama.cpp gives, because the GGUF files in circulation were checked
//! against it; folders give those of the tokenizers library.
//!
//! A conversation becomes text by the checkpoint's [`ChatTemplate`].
//!
//! Generation goes the other way: token ids → [`Detokenizer`] → [`StopMatcher`] → [`ThinkingSplit`] → screen. None
//! of the three ever takes back what it has given out.

mod byte_level;
mod chat;
mod detokenizer;
mod end_tokens;
mod error;
mod hugging_face;
mod pre_tokenizer;
mod pre_tokenizers;
#[cfg(test)]
mod random;
mod samples;
mod sentencepiece;
mod special;
mod stop;
mod thinking;
mod token_bytes;
mod tokenizer;
mod tokenizer_json;
mod vocabulary;

pub use chat::{ChatFeatures, ChatInput, ChatTemplate, Message, SpecialTokens};
pub use detokenizer::{Detokenizer, Start};
pub use error::Error;
pub use hugging_face::GenerationDefaults;
pub use stop::{StopMatcher, StopOutput};
pub use thinking::{Segment, TagPair, ThinkingCounts, ThinkingSplit, ThinkingStyle};
pub use tokenizer::{Bos, Controls, EncodeOptions, Special, Tokenizer};
pub use tokenizer_json::TokenizerFiles;
pub use vocabulary::Vocabulary;
