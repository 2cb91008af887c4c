//! Two models that do not fit the device together: one after the other, some chunks at a time.

use super::Arguments;
use crate::failure::Failure;
use crate::progress::Progress;
use ffai::evaluate::{Against, Divergence, Method, PerplexityOptions, RawLogits, divergence_of};
use std::ops::ControlFlow;

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
        let (mut engine, _) = arguments.running.open_model(reference, context)?;
        let row = engine.model().config().vocab as usize * 4;
        let chunk = row * options.job(tokens, 0).scored.len();
        let end = count.min(first + (DISK_BYTES / chunk).max(1));
        let jobs = (first..end).map(|index| options.job(tokens, index));
        let mut raw = RawLogits::of(&mut engine, &mut jobs.clone())?;
        drop(engine);
        let (mut candidate, _) = arguments.running.open_for(context)?;
        let part = divergence_of(Against::Raw(&mut raw), &mut candidate, &mut jobs.clone(), &mut |so_far| {
            progress.at(first + so_far.positions.len() / options.job(tokens, 0).scored.len(), String::new());
            ControlFlow::Continue(())
        })?;
        result.positions.extend(part.positions);
        first = end;
    }
    Ok(result)
}
