//! `tools tokenize`: text to ids.

use crate::common;
use crate::failure::Failure;
use clap::Args;
use ffai::text::{Bos, EncodeOptions, Special};
use std::path::PathBuf;

/// What to tokenize, and how.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// A GGUF file, or a folder that holds one
    #[arg(short, long)]
    model: String,
    /// The text [default: standard input, where it is no terminal]
    #[arg(long, allow_hyphen_values = true)]
    text: Option<String>,
    /// A file with the text, every byte of which counts
    #[arg(long, conflicts_with = "text")]
    file: Option<PathBuf>,
    /// Read special tokens that are written out in the text as plain text
    #[arg(long)]
    no_special: bool,
    /// Put the beginning-of-text token first
    #[arg(long)]
    add_bos: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let text = match &arguments.text {
        Some(text) => text.clone(),
        None => common::text(arguments.file.as_deref())?,
    };
    let options = EncodeOptions {
        special: if arguments.no_special { Special::Plain } else { Special::Parse },
        bos: if arguments.add_bos { Bos::Always } else { Bos::Never },
    };
    let ids = common::tokenizer(&arguments.model)?.encode(&text, options)?;
    common::print(format!("{}\n", serde_json::json!(ids)))
}
