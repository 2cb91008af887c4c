//! Opens models that may be damaged, and holds every message to the same standard.

use ffai::Error;
use ffai::generate::{Backend, Engine, Generation, OpenOptions, Request, SamplingOptions, Session};
use ffai::text::Tokenizer;
use std::ops::ControlFlow;
use std::path::Path;

pub(crate) fn on(backend: Backend) -> OpenOptions {
    OpenOptions { backend, ..OpenOptions::default() }
}

pub(crate) fn open(path: &Path, options: &OpenOptions) -> Result<(Engine, Tokenizer), Error> {
    ffai::generate::open(path, options, &mut |_, _| {})
}

/// Greedy tokens after `prompt`, past any end of text.
pub(crate) fn generate(
    engine: &mut Engine,
    tokenizer: &Tokenizer,
    prompt: &[u32],
    most: usize,
) -> Result<Generation, Error> {
    let request = Request {
        prompt: prompt.to_vec(),
        max_tokens: most,
        sampling: SamplingOptions::greedy(),
        stop: Vec::new(),
        ignore_eos: true,
    };
    Session::new(engine, tokenizer).unwrap().generate(&request, &mut |_| ControlFlow::Continue(()))
}

/// Message and hint: something to read in a terminal, never too much of it, and no command that is not there.
pub(crate) fn message(error: &Error) -> String {
    let message = format!("{error} / {}", error.hint().unwrap_or_default());
    assert!(message.len() < 1000 && !message.contains(char::is_control), "{message:?}");
    assert!(!message.contains("ffai serve"), "{message:?} names a command that is not there");
    message
}
