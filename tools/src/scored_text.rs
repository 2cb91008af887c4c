//! The text that perplexity and divergence are taken over.

use crate::failure::Failure;
use clap::Args;
use ffai::evaluate::{Method, PerplexityOptions, corpus};
use ffai::generate::Engine;
use ffai::text::Tokenizer;
use std::path::Path;

/// Tokens of a chunk, unless said otherwise.
const CONTEXT: u32 = 512;

/// How a text is cut up.
#[derive(Args, Debug)]
pub(crate) struct Cutting {
    /// Tokens of a chunk; by default 512, and for `stride` the model's context
    #[arg(long, value_name = "TOKENS")]
    ctx: Option<u32>,
    /// Only so many chunks from the beginning; without it the text may have 64 MiB
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    chunks: Option<u32>,
}

impl Cutting {
    /// Room that the engine's sequences need; `None` is as much as the model has.
    pub(crate) fn context(&self, method: Method) -> Option<u32> {
        self.ctx.or((method == Method::Chunked).then_some(CONTEXT))
    }

    /// The tokens of a chunk that were asked for.
    pub(crate) fn ctx(&self) -> Option<u32> {
        self.ctx
    }

    /// The most chunks.
    pub(crate) fn chunks(&self) -> Option<usize> {
        self.chunks.map(|chunks| chunks as usize)
    }

    /// What `engine` is asked to score of the text, which is read.
    pub(crate) fn read(
        &self,
        file: &Path,
        method: Method,
        engine: &Engine,
        tokenizer: &Tokenizer,
    ) -> Result<(Vec<u32>, PerplexityOptions), Failure> {
        let context = self.context(method).unwrap_or(engine.context()) as usize;
        let chunks = self.chunks();
        let wanted = chunks.map(|chunks| chunks.saturating_mul(context).saturating_add(1));
        let mut tokens = corpus(file, tokenizer, wanted)?.tokens;
        tokens.truncate(wanted.unwrap_or(usize::MAX));
        let options = PerplexityOptions { method, context, chunks, bos: tokenizer.leading_bos() };
        options.count(tokens.len(), engine.context() as usize)?;
        Ok((tokens, options))
    }
}

/// Refuses a text that is not there, or empty, before anything is loaded.
pub(crate) fn check(file: &Path) -> Result<(), Failure> {
    let found = std::fs::metadata(file).map_err(|source| ffai::Error::File { path: file.to_owned(), source })?;
    if found.is_dir() {
        return Err(Failure::failed(format!("{}: expected a text, found a folder", file.display())));
    }
    if found.is_file() && found.len() == 0 {
        return Err(ffai::Error::EmptyText { path: file.to_owned() }.into());
    }
    Ok(())
}
