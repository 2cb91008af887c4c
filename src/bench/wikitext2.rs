//! `wikitext2`: perplexity of the test part of WikiText-2, in chunks, as `tools perplexity` scores it.

use super::measured::Rates;
use super::runner::BenchRunner;
use super::{BenchOptions, BenchRow, Error, Method};
use crate::evaluate::{self, Job, Perplexity, PerplexityOptions, corpus, perplexity};
use crate::measure::median;
use std::ops::ControlFlow;
use std::time::Instant;

const METHOD: Method = Method::WikiText2;

/// Tokens of a chunk, unless said otherwise.
const CHUNK: u32 = 512;

/// A row for each length of chunks.
pub(super) fn run(runner: &mut BenchRunner<'_>, options: &BenchOptions) -> Result<Vec<BenchRow>, Error> {
    let mut tokens = corpus(&options.corpus(), runner.tokenizer, Some(options.corpus_tokens))?.tokens;
    tokens.truncate(options.corpus_tokens);
    let contexts = runner.contexts(options, &[CHUNK], 0)?;
    contexts.into_iter().map(|context| scored(runner, options, &tokens, context)).collect()
}

fn scored(
    runner: &mut BenchRunner<'_>,
    options: &BenchOptions,
    tokens: &[u32],
    context: u32,
) -> Result<BenchRow, Error> {
    let how = PerplexityOptions {
        method: evaluate::Method::Chunked,
        context: context as usize,
        chunks: None,
        bos: runner.tokenizer.leading_bos(),
    };
    let baseline = runner.engine().memory().bytes();
    let measured = runner.repeat(options, |runner| {
        let started = Instant::now();
        let found = perplexity(runner.engine(), tokens, &[], &how, Perplexity::default(), &mut |so_far| {
            let (chunks, running) = (so_far.chunks.len(), so_far.total.all.perplexity());
            tracing::debug!(target: "ffai::bench", "{chunks} chunks of {context} tokens: perplexity {running:?}");
            ControlFlow::Continue(())
        })?;
        Ok((found.total.all, started.elapsed().as_secs_f64()))
    })?;
    let mut row = runner.row(METHOD, options, measured.load);
    let rate = |tokens: usize, seconds: f64| if seconds > 0.0 { tokens as f64 / seconds } else { 0.0 };
    let rates =
        measured.runs.iter().map(|(sum, seconds)| Rates { prefill: rate(sum.tokens, *seconds), ..Rates::default() });
    row.set_rates(&rates.collect::<Vec<_>>());
    // Nothing is decoded: of these there is no spread.
    row.spread.retain(|field, _| field == "prefillTokensPerSecond");
    if let Some((sum, _)) = measured.runs.first() {
        row.prompt_tokens = sum.tokens as u64;
        row.gen_perplexity = sum.perplexity();
        row.gen_perplexity_error = sum.standard_error();
    }
    let memory = runner.engine().memory();
    row.baseline_gpu_bytes = baseline;
    row.peak_gpu_bytes = memory.bytes().max(baseline);
    row.weights_bytes = runner.engine().model().weight_bytes();
    row.wired_ticket_bytes = memory.working_set.unwrap_or(0);
    let own = runner.engine().model().config().context;
    row.context_size = u64::from(if options.contexts.is_empty() { own } else { context });
    let seconds: Vec<f64> = measured.runs.iter().map(|run| run.1).collect();
    row.scores.extend(median(&seconds).map(|seconds| ("scoringSeconds".to_owned(), seconds)));
    row.scores.insert("chunkTokens".to_owned(), f64::from(context));

    let jobs: Vec<Job> = how.jobs(tokens, runner.engine().context() as usize)?.collect();
    if let Some(found) = runner.diverged(options, &jobs)? {
        let mean = found.statistics().map(|statistics| statistics.mean_kld);
        row.gen_kl_divergence = mean.map(|mean| mean.value);
        row.gen_kl_divergence_error = mean.map(|mean| mean.error);
    }
    Ok(row)
}
