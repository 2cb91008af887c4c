//! The one error that the library's front door gives.

mod misfit;

pub use misfit::{Misfit, Offered, Shortage, Smaller};

use crate::graph::ExecuteError;
use crate::{convert, text, weights};
use std::path::PathBuf;

/// What went wrong in the world outside: a file, the device, what the user asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A checkpoint could not be used.
    #[error(transparent)]
    Weights(#[from] weights::Error),
    /// A vocabulary or a text could not be used.
    #[error(transparent)]
    Text(#[from] text::Error),
    /// A file's vocabulary contradicts itself or is of an unknown kind.
    #[error("{file}: {}", printable(.source))]
    Vocabulary {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        source: text::Error,
    },
    /// A checkpoint could not be converted.
    #[error(transparent)]
    Convert(#[from] convert::Error),
    /// The device could not do what was asked.
    #[error(transparent)]
    Device(#[from] ExecuteError),
    /// The model is too large for the device.
    #[error("{0}")]
    Misfit(Box<Misfit>),
    /// There is nothing to continue.
    #[error("the prompt is empty: expected at least one token, found none")]
    EmptyPrompt,
    /// The prompt leaves no room for an answer.
    #[error("the prompt has {found} tokens, but the context holds {context} and needs room for at least one more")]
    PromptTooLong {
        /// Tokens of the prompt.
        found: usize,
        /// Tokens of the context.
        context: usize,
    },
    /// A token id that the vocabulary does not have.
    #[error("token {found} is not in the vocabulary: expected an id below {vocab}")]
    UnknownToken {
        /// The id.
        found: u32,
        /// Entries of the vocabulary.
        vocab: u32,
    },
    /// An option outside its range.
    #[error("{option}: expected {expected}, found {found}")]
    Option {
        /// The option, as users spell it.
        option: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it was.
        found: String,
    },
    /// The model family is not known to this build.
    #[error("unknown model family `{found}` in {file}: this build knows {known}")]
    Family {
        /// What the file says.
        found: String,
        /// The file.
        file: PathBuf,
        /// Families of this build.
        known: String,
    },
    /// The model computed something that is not a number.
    #[error("the model's logits are not finite at position {position}: its weights are damaged or overflow")]
    NotFinite {
        /// Where in the sequence.
        position: usize,
    },
    /// A text has too few tokens to be scored.
    #[error("the text is too short: expected at least {needed} tokens, found {found}")]
    TextTooShort {
        /// Tokens of the text.
        found: usize,
        /// Tokens it must have.
        needed: usize,
    },
    /// There is nothing to score.
    #[error("the continuation is empty: expected at least one token, found none")]
    EmptyContinuation,
    /// A continuation of nothing cannot be scored.
    #[error(
        "there is nothing before the first token: the context is empty, and the vocabulary has no token that begins or ends a text"
    )]
    NoBeginning,
    /// A file that should hold a text holds none.
    #[error("{path}: expected a text, found an empty file")]
    EmptyText {
        /// The file.
        path: PathBuf,
    },
    /// A file that should hold a text holds something else.
    #[error("{path}: expected UTF-8 text, found something else at byte {at}")]
    NotText {
        /// The file.
        path: PathBuf,
        /// The first byte that does not belong.
        at: usize,
    },
    /// A text is larger than what is read whole.
    #[error("{path}: expected a text of at most {most} bytes, found {found}")]
    CorpusTooLarge {
        /// The file.
        path: PathBuf,
        /// Its bytes.
        found: u64,
        /// The most that is read.
        most: u64,
    },
    /// Two models that are to be compared have different vocabularies.
    #[error("the vocabularies differ: the reference has {reference} tokens, the candidate {candidate}{what}")]
    Vocabularies {
        /// Entries of the reference's.
        reference: u64,
        /// Entries of the candidate's.
        candidate: u64,
        /// Where the sizes are equal, what differs.
        what: String,
    },
    /// A file of saved logits cannot be used.
    #[error("{path}: {what}")]
    SavedLogits {
        /// The file.
        path: PathBuf,
        /// What was expected, and what was found.
        what: String,
    },
    /// A file that is not a checkpoint could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A message that quotes an untrusted file, as it may stand in a terminal.
fn printable(message: &text::Error) -> String {
    const LONGEST: usize = 300;
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    message.to_string().chars().take(LONGEST).map(escape).collect()
}

impl Error {
    /// What to do next, where there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Weights(error) => error.hint(),
            Self::Text(error) | Self::Vocabulary { source: error, .. } => error.hint(),
            Self::Convert(error) => error.hint(),
            Self::Device(error) => error.hint(),
            Self::Misfit(misfit) => Some(misfit.hint()),
            Self::EmptyPrompt => Some("give a prompt with --prompt, --prompt-file or on standard input".to_owned()),
            Self::PromptTooLong { .. } => {
                Some("shorten the prompt, or raise --ctx if the model's context allows".to_owned())
            }
            Self::NotFinite { .. } => {
                Some("compare with `--backend cpu`; fetch the checkpoint again if both fail".to_owned())
            }
            Self::Family { .. } => Some("convert the model to a family of this build, or use a newer ffai".to_owned()),
            Self::TextTooShort { .. } => Some("give a longer text, or smaller chunks with --ctx".to_owned()),
            Self::EmptyText { .. } | Self::NotText { .. } => Some("give a plain text file in UTF-8".to_owned()),
            Self::CorpusTooLarge { .. } => Some("score its beginning: --chunks N, with fewer of them".to_owned()),
            Self::Vocabularies { .. } => {
                Some("divergence compares a model with its quantizations: give two that share a vocabulary".to_owned())
            }
            Self::SavedLogits { .. } => Some(
                "write it anew with `tools kld --save-logits FILE`, or llama-perplexity's --kl-divergence-base"
                    .to_owned(),
            ),
            Self::NoBeginning => Some("give a context".to_owned()),
            Self::EmptyContinuation | Self::UnknownToken { .. } | Self::Option { .. } | Self::File { .. } => None,
        }
    }
}
