//! What can go wrong between text and tokens.

use std::path::PathBuf;

/// A vocabulary that contradicts itself, or text that it cannot express.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `tokenizer.ggml.model` names an algorithm that is not built in.
    #[error("tokenizer model: expected `gpt2` or `llama`, found `{found}`")]
    UnknownModel {
        /// The name in the checkpoint.
        found: String,
    },
    /// `tokenizer.ggml.pre` names a way to split text that is not built in.
    #[error("pre-tokenizer `{found}` is not known")]
    UnknownPreTokenizer {
        /// The name in the checkpoint.
        found: String,
    },
    /// The checkpoint lists no tokens at all.
    #[error("vocabulary: expected at least one token, found none")]
    NoTokens,
    /// The algorithm needs a list that the checkpoint does not have.
    #[error("tokenizer model `{model}` needs `{list}`, which the checkpoint does not have")]
    MissingList {
        /// The tokenizer model.
        model: &'static str,
        /// The missing list.
        list: &'static str,
    },
    /// A list with one entry per token has another length than the token list.
    #[error("`{list}`: expected {expected} entries, one per token, found {found}")]
    Length {
        /// The list.
        list: &'static str,
        /// Number of tokens.
        expected: usize,
        /// Number of entries.
        found: usize,
    },
    /// A token type that GGUF does not define.
    #[error("token {id}: expected a token type from 0 to 6, found {found}")]
    Kind {
        /// The token.
        id: usize,
        /// Its type.
        found: i32,
    },
    /// A special token that is not in the vocabulary.
    #[error("{what} token: expected an id below {vocab}, found {id}")]
    IdOutOfRange {
        /// Which special token.
        what: &'static str,
        /// Its id.
        id: u32,
        /// Number of tokens.
        vocab: usize,
    },
    /// A merge that is not two tokens with a space between them.
    #[error("merge {rank}: expected two tokens with a space between them, found `{found}`")]
    MergeFormat {
        /// Position in the list of merges.
        rank: usize,
        /// The merge.
        found: String,
    },
    /// A merge whose part or result is not in the vocabulary.
    #[error("merge {rank} (`{merge}`): `{token}` is not in the vocabulary")]
    MergeToken {
        /// Position in the list of merges.
        rank: usize,
        /// The merge.
        merge: String,
        /// The token that is missing.
        token: String,
    },
    /// Text is to begin with a token that the vocabulary does not name.
    #[error("a beginning-of-text token was asked for, but the checkpoint names none")]
    NoBos,
    /// No token, byte token or unknown token stands for this part of the text.
    #[error("no token stands for `{character}` and the vocabulary has no byte or unknown token")]
    Unencodable {
        /// The character.
        character: char,
    },
    /// A stop string without characters, which would stop everything at once.
    #[error("stop string {index}: expected at least one character, found none")]
    EmptyStop {
        /// Position among the stop strings.
        index: usize,
    },
    /// A file of a tokenizer could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A folder without a tokenizer that can be read.
    #[error("no tokenizer.json in {folder}{}", if *.sentencepiece { ", only a tokenizer.model" } else { "" })]
    NoTokenizer {
        /// The folder.
        folder: PathBuf,
        /// Whether there is one of SentencePiece.
        sentencepiece: bool,
    },
    /// A file of a tokenizer says something that no sound one says, or that is not built in.
    #[error("{file}: {what}: expected {expected}, found {found}")]
    Entry {
        /// The file.
        file: PathBuf,
        /// The entry.
        what: String,
        /// What it may say.
        expected: String,
        /// What it says.
        found: String,
    },
    /// A chat template is not Jinja.
    #[error("chat template{}: {}", place(.line), printable(.what))]
    TemplateSyntax {
        /// Where, if that is known.
        line: Option<usize>,
        /// What is wrong.
        what: String,
    },
    /// A chat template is longer than any.
    #[error("chat template: expected at most {most} bytes, found {found}")]
    TemplateSize {
        /// Its length in bytes.
        found: usize,
        /// The longest that is read.
        most: usize,
    },
    /// A chat template did something that cannot be done.
    #[error("chat template{}: {}", place(.line), printable(.what))]
    TemplateRun {
        /// Where, if that is known.
        line: Option<usize>,
        /// What it did.
        what: String,
    },
    /// A chat template called `raise_exception`.
    #[error("the chat template refuses this conversation: {}", printable(.message))]
    TemplateRefused {
        /// What it said.
        message: String,
    },
    /// A chat template does not come to an end within reason.
    #[error("the chat template was stopped: {what} went beyond all bounds")]
    TemplateLimit {
        /// What there was too much of.
        what: &'static str,
    },
    /// The system gave no thread to render a chat template on.
    #[error("cannot render the chat template: {0}")]
    TemplateThread(String),
    /// A vocabulary means something that `tokenizer.json` has no words for.
    #[error("the vocabulary cannot be written as a tokenizer.json: {what}")]
    Inexpressible {
        /// What stands against it.
        what: String,
    },
    /// The tokenizer library refused what it was given.
    #[error("tokenizer library: {0}")]
    Library(String),
}

impl Error {
    /// What to do about it, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownPreTokenizer { .. } => {
                Some(format!("known are: {}", super::pre_tokenizers::known_names().join(", ")))
            }
            Self::UnknownModel { .. } => Some("use a model with a byte-level BPE or SentencePiece vocabulary".into()),
            Self::NoBos => Some("encode without it, or name it in the checkpoint".into()),
            Self::EmptyStop { .. } => Some("leave it out".into()),
            Self::NoTokens
            | Self::MissingList { .. }
            | Self::Length { .. }
            | Self::Kind { .. }
            | Self::IdOutOfRange { .. }
            | Self::MergeFormat { .. }
            | Self::MergeToken { .. } => {
                Some("the file is damaged or was converted wrongly; download or convert it again".into())
            }
            Self::NoTokenizer { sentencepiece: true, .. } => Some(
                "make one with transformers: `AutoTokenizer.from_pretrained(folder).save_pretrained(folder)`, or use a \
                 GGUF file of the model"
                    .into(),
            ),
            Self::NoTokenizer { .. } => Some("fetch tokenizer.json along with the model's weights".into()),
            Self::Entry { .. } => {
                Some("the file is damaged or of an unknown kind: fetch it again, or use a GGUF file of the model".into())
            }
            Self::Read { .. } => None,
            Self::TemplateSyntax { .. } | Self::TemplateSize { .. } => {
                Some("mend the template, or fetch the checkpoint again".into())
            }
            Self::TemplateRun { .. } | Self::TemplateRefused { .. } => {
                Some("change the roles or contents of the messages to what this model's template takes".into())
            }
            Self::TemplateLimit { .. } => Some("the template is at fault; use another, or a raw prompt".into()),
            Self::Unencodable { .. } | Self::TemplateThread(_) | Self::Library(_) => None,
            Self::Inexpressible { .. } => {
                Some("convert the original checkpoint in safetensors, which brings its own tokenizer.json".into())
            }
        }
    }
}

fn place(line: &Option<usize>) -> String {
    line.map(|line| format!(", line {line}")).unwrap_or_default()
}

/// A message that quotes an untrusted file, as it may stand in a terminal.
fn printable(message: &str) -> String {
    const LONGEST: usize = 300;
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    message.chars().take(LONGEST).map(escape).collect()
}
