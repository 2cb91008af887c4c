//! Two models that do not fit the device together: one after the other, some chunks at a time.

use super::Arguments;
use crate::failure::Failure;
use crate::progress::Progress;
use ffai::evaluate::{Against, Divergence, Method, PerplexityOptions, divergence, save_raw};
use std::fs::File;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// Bytes of the reference's logits that lie on disk at a time.
const DISK_BYTES: usize = 2 << 30;

/// Compares as if both ran side by side: the reference's logits go through a file as they are.
pub(super) fn compare(
    arguments: &Arguments,
    reference: &str,
    tokens: &[u32],
    options: &PerplexityOptions,
) -> Result<Divergence, Failure> {
    let context = arguments.cutting.context(Method::Chunked);
    let mut result = Divergence::default();
    let mut first = 0;
    let count = options.count(tokens.len(), usize::MAX)?;
    let progress = Progress::new(0, count);
    while first < count {
        let scratch = Scratch::new()?;
        let mut raw = {
            let (mut engine, _) = arguments.running.open_model(reference, context)?;
            let row = engine.model().config().vocab as usize * 4;
            let chunk = row * options.job(tokens, 0).scored.len();
            let end = count.min(first + (DISK_BYTES / chunk).max(1));
            let raw = save_raw(&mut engine, tokens, options, first..end, scratch.file()?, &scratch.0)?;
            (raw, end)
        };
        let (mut candidate, _) = arguments.running.open_for(context)?;
        let group = PerplexityOptions { chunks: Some(raw.1), ..*options };
        let part = divergence(Against::Raw(&mut raw.0), &mut candidate, tokens, &group, first, &mut |_| {
            ControlFlow::Continue(())
        })?;
        result.positions.extend(part.positions);
        first = raw.1;
        progress.at(first, String::new());
    }
    Ok(result)
}

/// A file that is gone when this is.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, Failure> {
        let nanoseconds =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        Ok(Self(std::env::temp_dir().join(format!("ffai-kld-{}-{nanoseconds}", std::process::id()))))
    }

    fn file(&self) -> Result<File, Failure> {
        let file = File::options().read(true).write(true).create_new(true).open(&self.0);
        file.map_err(|source| ffai::Error::File { path: self.0.clone(), source }.into())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It may never have been made; one that stays lies where such files are cleared away.
        let _ = std::fs::remove_file(&self.0);
    }
}
