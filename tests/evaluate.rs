//! What models think of texts: scores against logits, batches against single runs, divergences against sums over dumped logits.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

#[path = "support/model.rs"]
mod model;

use ffai::Error;
use ffai::evaluate::{
    Against, Divergence, Job, Likelihood, Method, Perplexity, PerplexityOptions, Query, SavedLogits, continuation,
    divergence, divergence_of, likelihoods, perplexity, rolling_likelihoods, same_vocabulary, save_reference,
    score_all,
};
use ffai::generate::{Backend, Engine, OpenOptions, TokenScore};
use ffai::graph::{Element, Rng};
use ffai::text::Tokenizer;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn open(name: &str, options: &OpenOptions) -> (Engine, Tokenizer) {
    ffai::generate::open(&golden(name), options, &mut |_, _| {}).unwrap()
}

fn exact() -> OpenOptions {
    OpenOptions { kv: Element::F32, ..OpenOptions::default() }
}

fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("evaluate-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

fn text(engine: &Engine, len: usize, seed: u64) -> Vec<u32> {
    let (mut rng, vocab) = (Rng(seed), engine.model().config().vocab);
    (0..len).map(|_| rng.below(vocab)).collect()
}

/// log p of every token, in f64, from logits as they are copied out.
fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::MIN, f32::max);
    let sum: f64 = logits.iter().map(|&x| (f64::from(x) - f64::from(largest)).exp()).sum();
    logits.iter().map(|&x| f64::from(x) - f64::from(largest) - sum.ln()).collect()
}

fn all_logits(engine: &mut Engine, tokens: &[u32]) -> Vec<Vec<f32>> {
    let sequence = engine.open().unwrap();
    let logits = engine.logits(sequence, tokens, &(0..tokens.len()).collect::<Vec<_>>()).unwrap();
    engine.close(sequence);
    logits
}

fn close(got: f64, want: f64, within: f64) {
    assert!((got - want).abs() <= within * want.abs().max(1.0), "{got} instead of {want}");
}

#[test]
fn scores_are_those_of_the_logits() {
    for backend in [Backend::Gpu, Backend::Cpu] {
        for name in ["llama/llama2.gguf", "llama/llama3.gguf", "gemma2/gemma2.gguf"] {
            let (mut engine, _) = open(name, &OpenOptions { backend, ..exact() });
            let tokens = text(&engine, 40, 1);
            let logits = all_logits(&mut engine, &tokens);
            let scores = continuation(&mut engine, &tokens, 1).unwrap();
            assert_eq!(scores.len(), 39);
            for ((score, logits), &token) in scores.iter().zip(&logits).zip(&tokens[1..]) {
                close(score.log_probability(), log_softmax(logits)[token as usize], 2e-6);
                let best = logits.iter().copied().fold(f32::MIN, f32::max);
                assert_eq!(logits.iter().position(|&x| x == best).unwrap(), score.best as usize, "{name} {backend:?}");
                close(score.log_sum_exp(), f64::from(score.logit) - score.log_probability(), 1e-12);
            }
        }
    }
}

fn scored(engine: &mut Engine, jobs: &[Job]) -> Vec<Vec<TokenScore>> {
    let mut results = Vec::new();
    score_all(engine, &mut jobs.iter().cloned().map(Ok), &mut |index, scores| {
        assert_eq!(index, results.len(), "in order");
        results.push(scores);
        ControlFlow::Continue(())
    })
    .unwrap();
    results
}

/// Lengths around tiles of rows, common beginnings, jobs longer than a batch: what a job gets does not depend on its company.
#[test]
fn a_job_gets_the_same_scores_whatever_shares_its_batch() {
    let (mut engine, _) = open("llama/llama3.gguf", &OpenOptions { chunk: 48, ..exact() });
    let most = engine.context() as usize;
    let mut rng = Rng(7);
    let common = text(&engine, 40, 2);
    let jobs: Vec<Job> = (0..40)
        .map(|index| {
            let own = text(&engine, [1, 2, 15, 16, 17, 33, 70][index % 7].min(most - 40), 100 + index as u64);
            let tokens: Vec<u32> =
                if index % 3 == 0 { [common.as_slice(), &own].concat() } else { [&own[..], &[3]].concat() };
            let first = 1 + rng.below(tokens.len() as u32 - 1) as usize;
            let scored = first..tokens.len();
            Job { tokens, scored }
        })
        .collect();
    let together = scored(&mut engine, &jobs);
    assert_eq!(together.len(), jobs.len());
    for (job, together) in jobs.iter().zip(&together) {
        let alone = continuation(&mut engine, &job.tokens, job.scored.start).unwrap();
        assert_eq!(alone.len(), together.len());
        for (alone, together) in alone.iter().zip(together) {
            close(together.log_probability(), alone.log_probability(), 1e-5);
        }
    }
    // Every sequence is free again.
    let sequences: Vec<_> = (0..8).map(|_| engine.open().unwrap()).collect();
    sequences.into_iter().for_each(|sequence| engine.close(sequence));
}

/// The four choices of a question share what is asked: it runs once.
#[test]
fn a_common_beginning_runs_once() {
    let (mut engine, _) = open("llama/llama3.gguf", &exact());
    let common = text(&engine, 100, 3);
    let jobs: Vec<Job> =
        (0..4).map(|choice| Job { tokens: [common.as_slice(), &[choice, 5]].concat(), scored: 100..102 }).collect();
    engine.time_ops(true);
    scored(&mut engine, &jobs);
    engine.time_ops(false);
    let rows: u64 = engine
        .take_timings()
        .iter()
        .map(|timed| {
            let embed = timed.plan.ops.iter().find(|op| op.name == "embed").unwrap();
            embed.cost.activation_bytes
        })
        .sum();
    engine.time_ops(true);
    scored(&mut engine, &jobs[..1]);
    let once: u64 = engine
        .take_timings()
        .iter()
        .map(|timed| timed.plan.ops.iter().find(|op| op.name == "embed").unwrap().cost.activation_bytes)
        .sum();
    assert!(rows < 2 * once, "embeddings of {rows} bytes for four choices, {once} for one");
}

#[test]
fn a_run_can_be_ended_and_what_does_not_fit_is_refused() {
    let (mut engine, _) = open("llama/llama3.gguf", &exact());
    let context = engine.context() as usize;
    let jobs: Vec<Job> = (0..20).map(|seed| Job { tokens: text(&engine, 30, seed), scored: 10..30 }).collect();
    let mut heard = 0;
    score_all(&mut engine, &mut jobs.into_iter().map(Ok), &mut |_, _| {
        heard += 1;
        if heard == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap();
    assert_eq!(heard, 3);
    let long = text(&engine, context + 2, 1);
    let refused = continuation(&mut engine, &long, 1).unwrap_err();
    assert!(
        matches!(refused, Error::PromptTooLong { found, context: c } if (found, c) == (context + 1, context)),
        "{refused}"
    );
    assert_eq!(continuation(&mut engine, &long[..=context], 1).unwrap().len(), context);
}

fn options(context: usize, method: Method) -> PerplexityOptions {
    PerplexityOptions { method, context, chunks: None, bos: None }
}

#[test]
fn perplexity_is_that_of_the_logits_and_goes_on_where_it_stopped() {
    let (mut engine, _) = open("llama/llama3.gguf", &exact());
    let tokens = text(&engine, 150, 4);
    for method in [Method::Chunked, Method::Stride] {
        let options = options(32, method);
        let go_on = &mut |_: &Perplexity| ControlFlow::Continue(());
        let whole = perplexity(&mut engine, &tokens, &[], &options, Perplexity::default(), go_on).unwrap();
        let mut nll = Vec::new();
        for index in 0..options.count(tokens.len(), 32).unwrap() {
            let job = options.job(&tokens, index);
            let logits = all_logits(&mut engine, &job.tokens[..job.scored.end - 1]);
            nll.extend(job.scored.map(|at| -log_softmax(&logits[at - 1])[job.tokens[at] as usize]));
        }
        let mean = nll.iter().sum::<f64>() / nll.len() as f64;
        let variance = nll.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (nll.len() as f64 - 1.0);
        assert_eq!(whole.total.all.tokens, nll.len());
        close(whole.total.all.perplexity().unwrap(), mean.exp(), 1e-5);
        close(whole.total.all.standard_error().unwrap(), mean.exp() * (variance / nll.len() as f64).sqrt(), 1e-4);
        let stop = &mut |so_far: &Perplexity| {
            if so_far.chunks.len() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let half = perplexity(&mut engine, &tokens, &[], &options, Perplexity::default(), stop).unwrap();
        assert_eq!(half.chunks.len(), 2);
        let resumed = perplexity(&mut engine, &tokens, &[], &options, half, go_on).unwrap();
        assert_eq!(resumed.chunks.len(), whole.chunks.len());
        close(resumed.total.all.mean(), whole.total.all.mean(), 1e-6);
    }
}

fn diverge(against: Against<'_>, candidate: &mut Engine, tokens: &[u32]) -> Result<Divergence, Error> {
    divergence(against, candidate, tokens, &options(32, Method::Chunked), &mut |_| ControlFlow::Continue(()))
}

#[test]
fn a_model_does_not_diverge_from_itself() {
    let (mut one, _) = open("llama/llama3.gguf", &OpenOptions::default());
    let (mut other, _) = open("llama/llama3.gguf", &OpenOptions::default());
    let tokens = text(&one, 100, 5);
    let statistics = diverge(Against::Engine(&mut one), &mut other, &tokens).unwrap().statistics().unwrap();
    assert_eq!(statistics.scored_tokens, 3 * 15);
    assert!(statistics.max_kld.value.abs() < 1e-9 && statistics.rms_delta_p.value < 1e-9, "{statistics:?}");
    assert_eq!(statistics.same_top.value, 100.0);
    let path = scratch("own.logits");
    save_reference(&mut one, &tokens, &options(32, Method::Chunked), &path, &mut |_| {}).unwrap();
    let mut saved = SavedLogits::open(&path).unwrap();
    assert_eq!((saved.chunks(), saved.context(), saved.tokens()), (3, 32, &tokens[..96]));
    let statistics = diverge(Against::Saved(&mut saved), &mut other, &tokens).unwrap().statistics().unwrap();
    assert!(statistics.mean_kld.value.abs() < 1e-3 && statistics.max_kld.value < 1e-3, "{statistics:?}");
    assert_eq!(statistics.same_top.value, 100.0);
}

/// Between numbers in ascending order as numpy's `quantile` has it.
fn quantile(values: &mut [f64], q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = q * (values.len() - 1) as f64;
    let (low, high) = (rank.floor() as usize, rank.ceil() as usize);
    values[low] * (1.0 - rank.fract()) + values[high] * rank.fract()
}

/// The definitions, written down once more over logits that were copied out, between two models of different weights.
#[test]
fn statistics_are_those_of_the_dumped_logits() {
    let (mut reference, _) = open("llama/llama3.gguf", &exact());
    let (mut candidate, _) = open("llama/llama3.gguf", &OpenOptions { kv: Element::F16, ..OpenOptions::default() });
    let tokens = text(&reference, 120, 6);
    let s = diverge(Against::Engine(&mut reference), &mut candidate, &tokens).unwrap().statistics().unwrap();
    let (mut klds, mut deltas, mut same) = (Vec::new(), Vec::new(), 0.0);
    for chunk in tokens.chunks_exact(32) {
        let (left, right) = (all_logits(&mut reference, &chunk[..31]), all_logits(&mut candidate, &chunk[..31]));
        for at in 16..31 {
            let (p, q) = (log_softmax(&left[at]), log_softmax(&right[at]));
            klds.push(p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum::<f64>());
            let token = chunk[at + 1] as usize;
            deltas.push(q[token].exp() - p[token].exp());
            let top = |l: &[f64]| (0..l.len()).max_by(|&a, &b| l[a].total_cmp(&l[b]).then(b.cmp(&a))).unwrap();
            same += f64::from(u8::from(top(&p) == top(&q)));
        }
    }
    let count = klds.len() as f64;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let deviation = |values: &[f64]| {
        let m = mean(values);
        (values.iter().map(|v| (v - m).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0)).sqrt()
    };
    let near =
        |got: f64, want: f64| assert!((got - want).abs() <= 1e-6 * want.abs() + 1e-12, "{got} instead of {want}");
    assert_eq!(s.scored_tokens, klds.len());
    assert!(s.mean_kld.value > 0.0);
    near(s.mean_kld.value, mean(&klds));
    near(s.mean_kld.error, deviation(&klds) / count.sqrt());
    near(s.max_kld.value, klds.iter().copied().fold(0.0, f64::max));
    near(s.median_kld.value, quantile(&mut klds.clone(), 0.5));
    for (q, got) in [(0.9, s.p90), (0.95, s.p95), (0.99, s.p99), (0.999, s.p999)] {
        near(got.value, quantile(&mut klds.clone(), q));
    }
    near(s.same_top.value, 100.0 * same / count);
    near(s.mean_delta_p.value, mean(&deltas));
    near(s.mean_delta_p.error, deviation(&deltas) / count.sqrt());
    near(s.rms_delta_p.value, mean(&deltas.iter().map(|d| d * d).collect::<Vec<_>>()).sqrt());
}

#[test]
fn models_of_different_vocabularies_are_not_compared() {
    let (mut one, _) = open("llama/llama3.gguf", &OpenOptions::default());
    let (mut other, _) = open("gemma2/gemma2.gguf", &OpenOptions::default());
    let sizes = [&one, &other].map(|engine| engine.model().config().vocab.to_string());
    assert_ne!(sizes[0], sizes[1], "the test needs two different ones");
    let error = diverge(Against::Engine(&mut one), &mut other, &[1; 64]).unwrap_err().to_string();
    assert!(sizes.iter().all(|size| error.contains(size)), "{error}");
    let mut jobs = std::iter::once(Job { tokens: vec![1; 8], scored: 2..8 });
    let error = divergence_of(Against::Engine(&mut one), &mut other, &mut jobs, &mut |_| ControlFlow::Continue(()))
        .unwrap_err()
        .to_string();
    assert!(sizes.iter().all(|size| error.contains(size)), "{error}");
}

#[test]
fn vocabularies_of_one_size_may_differ_all_the_same() {
    let [(_, one), (_, other)] = ["llama/llama2.gguf", "llama/llama3.gguf"].map(|name| open(name, &exact()));
    assert_eq!(one.vocab_size(), other.vocab_size(), "the test needs two of one size");
    assert!(same_vocabulary(&one, &one).is_ok());
    let error = same_vocabulary(&one, &other).unwrap_err().to_string();
    assert!(error.contains("; token ") && error.contains(&one.vocab_size().to_string()), "{error}");
}

/// A file as llama.cpp's perplexity.cpp writes it: two chunks of four tokens of a vocabulary of five, one position each.
#[test]
fn the_file_of_llama_perplexity_is_read() {
    let mut bytes = b"_logits_".to_vec();
    for number in [4i32, 5, 2] {
        bytes.extend(number.to_le_bytes());
    }
    for token in [0i32, 1, 2, 3, 4, 3, 2, 1] {
        bytes.extend(token.to_le_bytes());
    }
    let steps = [[0u16, 10, 20, 30, 65535], [7, 6, 5, 4, 3]];
    for (row, steps) in steps.iter().enumerate() {
        bytes.extend((0.5f32 + row as f32).to_le_bytes());
        bytes.extend((-3.25f32).to_le_bytes());
        // An odd vocabulary is filled to an even number.
        steps.iter().chain([&9]).for_each(|step| bytes.extend(step.to_le_bytes()));
    }
    let path = scratch("theirs.logits");
    std::fs::write(&path, &bytes).unwrap();
    let mut saved = SavedLogits::open(&path).unwrap();
    assert_eq!((saved.context(), saved.vocab(), saved.chunks()), (4, 5, 2));
    assert_eq!(saved.tokens(), [0, 1, 2, 3, 4, 3, 2, 1]);
    for (chunk, want) in steps.iter().enumerate() {
        saved.read(chunk).unwrap();
        let ffai::evaluate::Reference::Saved { scale, least, steps } = saved.row(0) else { panic!("not saved") };
        assert_eq!((scale, least, steps), (0.5 + chunk as f32, -3.25, want.as_slice()));
    }
    for (cut, part) in [(bytes.len() - 1, "incomplete"), (21, "incomplete"), (8, "8 bytes"), (0, "0 bytes")] {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        let error = SavedLogits::open(&path).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("theirs.logits"), "{error}");
    }
    let mut other = bytes.clone();
    other[0] = b'X';
    std::fs::write(&path, &other).unwrap();
    assert!(SavedLogits::open(&path).unwrap_err().to_string().contains("_logits_"));
    let mut absurd = bytes;
    absurd[8..12].copy_from_slice(&(-1i32).to_le_bytes());
    std::fs::write(&path, &absurd).unwrap();
    assert!(SavedLogits::open(&path).unwrap_err().to_string().contains("cannot be"));
}

fn likely(engine: &mut Engine, tokenizer: &Tokenizer, queries: &[(&str, &str)]) -> Vec<Likelihood> {
    let mut queries = queries.iter().map(|(context, continuation)| {
        Ok(Query { context: (*context).to_owned(), continuation: (*continuation).to_owned() })
    });
    let mut results = Vec::new();
    likelihoods(engine, tokenizer, &mut queries, &mut |_, likelihood| {
        results.push(likelihood);
        ControlFlow::Continue(())
    })
    .unwrap();
    results
}

/// p(ab | c) = p(a | c) p(b | ca), where tokens end where the pieces do.
#[test]
fn likelihoods_of_pieces_multiply() {
    let (mut engine, tokenizer) = open("llama/llama3.gguf", &exact());
    let parts =
        likely(&mut engine, &tokenizer, &[("Once", " upon a time"), ("Once", " upon"), ("Once upon", " a time")]);
    close(parts[0].logprob, parts[1].logprob + parts[2].logprob, 1e-5);
    assert_eq!(parts[0].tokens, parts[1].tokens + parts[2].tokens);
    // Spaces at the end of the context are the continuation's.
    let moved = likely(&mut engine, &tokenizer, &[("Once ", "upon a time"), ("", "Once"), ("", "Once upon a time")]);
    close(moved[0].logprob, parts[0].logprob, 1e-6);
    let mut texts = ["Once", "Once upon a time"].map(|text| Ok(text.to_owned())).into_iter();
    let mut rolled = Vec::new();
    rolling_likelihoods(&mut engine, &tokenizer, &mut texts, &mut |_, likelihood| {
        rolled.push(likelihood.logprob);
        ControlFlow::Continue(())
    })
    .unwrap();
    close(rolled[0], moved[1].logprob, 1e-6);
    close(rolled[1], moved[2].logprob, 1e-6);
}

/// What greedy decoding says is greedy, and another token in its place is not.
#[test]
fn greedy_continuations_are_known_as_such() {
    let (mut engine, _) = open("llama/llama3.gguf", &exact());
    let prompt = text(&engine, 9, 8);
    let mut tokens = prompt.clone();
    for _ in 0..6 {
        let last = all_logits(&mut engine, &tokens).pop().unwrap();
        let best = (0..last.len()).max_by(|&a, &b| last[a].total_cmp(&last[b]).then(b.cmp(&a))).unwrap();
        tokens.push(best as u32);
    }
    let scores = continuation(&mut engine, &tokens, prompt.len()).unwrap();
    assert!(scores.iter().zip(&tokens[prompt.len()..]).all(|(score, &token)| score.best == token));
}

/// The first two chunks of WikiText-2's test split as an established engine scores them in f32 (tests/golden/smollm2/ORIGIN.md).
#[test]
fn smollm2_is_as_surprised_as_the_established_engine_says() {
    let Some(path) = model::real("smollm2") else { return };
    let options = OpenOptions { context: Some(512), ..OpenOptions::default() };
    let (mut engine, tokenizer) = ffai::generate::open(&path, &options, &mut |_, _| {}).unwrap();
    let reference: serde_json::Value =
        serde_json::from_slice(&std::fs::read(golden("smollm2/perplexity_f32.json")).unwrap()).unwrap();
    let want: Vec<f64> = reference["running"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
    let chunks = 2;
    let corpus =
        ffai::evaluate::corpus(&golden("smollm2/wikitext2-beginning.txt"), &tokenizer, Some(chunks * 512)).unwrap();
    let options = PerplexityOptions { chunks: Some(chunks), ..self::options(512, Method::Chunked) };
    engine.time_ops(true);
    let result = perplexity(&mut engine, &corpus.tokens, &[], &options, Perplexity::default(), &mut |_| {
        ControlFlow::Continue(())
    })
    .unwrap();
    // What scoring takes beside a prefill that leaves the logits: a tenth at most.
    let (mut scoring, mut whole) = (0.0, 0.0);
    for timed in engine.take_timings() {
        for (op, span) in timed.plan.ops.iter().zip(&timed.timing.spans) {
            let seconds = span.map_or(0.0, |span| span.seconds());
            whole += seconds;
            scoring += if op.name == "log_prob" { seconds } else { 0.0 };
        }
    }
    println!("scores take {scoring:.3} s of {whole:.3} s");
    assert!(scoring > 0.0 && scoring < 0.1 * (whole - scoring), "{scoring} s of {whole} s");
    for (got, want) in result.running().iter().zip(&want) {
        println!("{got} against {want}");
        assert!((got / want - 1.0).abs() < 1e-3, "{got} instead of {want}");
    }
    assert_eq!(result.total.all.tokens, chunks * 255);
}
