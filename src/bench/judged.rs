//! What the model itself, and a reference beside it, think of what was generated.

use super::runner::BenchRunner;
use super::{BenchOptions, BenchRow, Error};
use crate::evaluate::{Divergence, Job, NllSum, Part, continuation, parts};
use crate::text::ThinkingStyle;

impl BenchRunner<'_> {
    /// Adds perplexity, and divergence where there is a reference, over `ids`, which the model generated after `prompt`: of the
    /// answer and of what was thought apart, where the model thinks.
    pub(super) fn judge(
        &mut self,
        row: &mut BenchRow,
        options: &BenchOptions,
        prompt: &[u32],
        ids: &[u32],
    ) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        let tokens = [prompt, ids].concat();
        let style = self.session().thinking_style().clone();
        let parts = match style {
            ThinkingStyle::None => vec![Part::Answer; ids.len()],
            style => parts(self.tokenizer, &style, prompt, ids),
        };
        let scores = continuation(self.engine(), &tokens, prompt.len())?;
        let of = |wanted| NllSum::of(scores.iter().zip(&parts).filter(|(_, part)| **part == wanted).map(|pair| pair.0));
        let answer = of(Part::Answer);
        row.gen_perplexity = answer.perplexity();
        row.gen_perplexity_error = answer.standard_error();
        row.think_perplexity = of(Part::Thinking).perplexity();
        tracing::debug!(target: "ffai::bench", "{} generated tokens scored: {:?}", ids.len(), row.gen_perplexity);

        let job = Job { scored: prompt.len()..tokens.len(), tokens };
        let Some(divergence) = self.diverged(options, &[job])? else { return Ok(()) };
        let mean = |wanted| {
            let pairs = divergence.positions.iter().zip(&parts).filter(|(_, part)| **part == wanted);
            Divergence { positions: pairs.map(|pair| *pair.0).collect() }.statistics().map(|found| found.mean_kld)
        };
        let (answer, thinking) = (mean(Part::Answer), mean(Part::Thinking));
        row.gen_kl_divergence = answer.map(|mean| mean.value);
        row.gen_kl_divergence_error = answer.map(|mean| mean.error);
        row.think_kl_divergence = thinking.map(|mean| mean.value);
        tracing::debug!(target: "ffai::bench", "compared with the reference: {:?} nats", row.gen_kl_divergence);
        Ok(())
    }
}
