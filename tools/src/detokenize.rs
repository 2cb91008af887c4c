//! `tools detokenize`: ids to text.

use crate::common;
use crate::failure::Failure;
use clap::Args;
use ffai::text::Controls;
use std::io::IsTerminal as _;

/// Which ids.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// A GGUF file, or a folder that holds one
    #[arg(short, long)]
    model: String,
    /// Token ids such as 1,2,3
    #[arg(long, allow_hyphen_values = true)]
    ids: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let ids = common::ids(&arguments.ids).map_err(|message| Failure::usage(format!("--ids: {message}")))?;
    let tokenizer = common::tokenizer(&arguments.model)?;
    let vocab = tokenizer.vocab_size() as u32;
    if let Some(&found) = ids.iter().find(|&&id| id >= vocab) {
        return Err(ffai::Error::UnknownToken { found, vocab }.into());
    }
    // Special tokens are written out, so that tokenizing again gives the same ids. Elsewhere than on a terminal the bytes
    // are those of the tokens and no more.
    let mut text = tokenizer.decode(&ids, Controls::Show);
    if std::io::stdout().is_terminal() {
        text.push(b'\n');
    }
    common::print(text)
}
