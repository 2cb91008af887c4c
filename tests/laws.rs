//! Laws of the engine, on a tiny random model: what is bitwise equal, and what is equal within rounding.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

use ffai::cache::SequenceId;
use ffai::generate::{Backend, Engine, Event, FinishReason, OpenOptions, Request, SamplingOptions, Session};
use ffai::graph::Element;
use ffai::measure::difference;
use ffai::text::Tokenizer;
use std::ops::ControlFlow;
use std::path::Path;

fn open(model: &str, kv: Element) -> (Engine, Tokenizer) {
    open_in_chunks(model, kv, ffai::generate::CHUNK)
}

fn open_in_chunks(model: &str, kv: Element, chunk: usize) -> (Engine, Tokenizer) {
    open_as(model, OpenOptions { kv, chunk, ..OpenOptions::default() })
}

/// With attention's softmax done in one way.
fn open_with(model: &str, kv: Element, softmax: &str) -> (Engine, Tokenizer) {
    let forced = ffai::kernels::forced([("FFAI_KERNEL_SOFTMAX".to_owned(), softmax.to_owned())]).unwrap();
    open_as(model, OpenOptions { kv, forced, ..OpenOptions::default() })
}

fn open_as(model: &str, options: OpenOptions) -> (Engine, Tokenizer) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/llama").join(model);
    let options = OpenOptions { backend: Backend::Gpu, ..options };
    ffai::generate::open(&path, &options, &mut |_, _| {}).unwrap()
}

/// The ways to do attention's softmax; laws of attention hold for each.
const SOFTMAX: [&str; 2] = ["two-pass", "online"];

/// Tokens that mean nothing, the same ones each time.
fn tokens(count: usize, from: u32) -> Vec<u32> {
    let mut rng = ffai::graph::Rng(u64::from(from));
    (0..count).map(|_| 3 + rng.below(250)).collect()
}

fn bits(logits: &[f32]) -> Vec<u32> {
    logits.iter().map(|value| value.to_bits()).collect()
}

/// Greedy steps after a prompt, with the logits of each.
fn steps(
    engine: &mut Engine,
    batch: &[SequenceId],
    prompts: &[Vec<u32>],
    count: usize,
) -> (Vec<Vec<u32>>, Vec<Vec<f32>>) {
    let sampling = SamplingOptions::greedy();
    let (mut ids, mut all) = (vec![Vec::new(); batch.len()], vec![Vec::new(); batch.len()]);
    let vocab = engine.model().config().vocab as usize;
    for (place, (&sequence, prompt)) in batch.iter().zip(prompts).enumerate() {
        engine.set_sampling(sequence, sampling.settings(), None).unwrap();
        let step = engine.prefill(sequence, prompt, place as u32, sampling.parts(), true).unwrap();
        let (tokens, logits) = engine.finish(step).unwrap();
        ids[place].push(tokens[0]);
        all[place].extend(logits);
    }
    for _ in 0..count {
        let step = engine.step(batch, sampling.parts(), true).unwrap();
        let (tokens, logits) = engine.finish(step).unwrap();
        for (place, (token, row)) in tokens.iter().zip(logits.chunks_exact(vocab)).enumerate() {
            ids[place].push(*token);
            all[place].extend_from_slice(row);
        }
    }
    (ids, all)
}

#[test]
fn rewind_then_replay_gives_the_same_logits() {
    for (kv, softmax) in [Element::F16, Element::F32].into_iter().flat_map(|kv| SOFTMAX.map(|softmax| (kv, softmax))) {
        let (mut engine, _) = open_with("llama3.gguf", kv, softmax);
        let sequence = engine.open().unwrap();
        let prompt = tokens(40, 1);
        let all: Vec<usize> = (0..8).collect();
        engine.logits(sequence, &prompt[..32], &[]).unwrap();
        let first = engine.logits(sequence, &prompt[32..], &all).unwrap();
        engine.rewind(sequence, 32);
        let again = engine.logits(sequence, &prompt[32..], &all).unwrap();
        assert_eq!(bits(&first.concat()), bits(&again.concat()), "{kv:?}, {softmax}");
        // Single steps, replayed after running past the place with other tokens.
        engine.rewind(sequence, 32);
        let first = engine.logits(sequence, &prompt[32..33], &[0]).unwrap();
        engine.logits(sequence, &tokens(5, 9), &[]).unwrap();
        engine.rewind(sequence, 32);
        let again = engine.logits(sequence, &prompt[32..33], &[0]).unwrap();
        assert_eq!(bits(&first.concat()), bits(&again.concat()), "{kv:?}, {softmax}");
    }
}

#[test]
fn two_sequences_in_a_batch_equal_each_alone() {
    for (width, softmax) in (1..=8).flat_map(|width| SOFTMAX.map(|softmax| (width, softmax))) {
        let (mut engine, _) = open_with("llama2.gguf", Element::F16, softmax);
        // Lengths on both sides of a page and of a split, so that neighbours need other numbers of splits.
        let prompts: Vec<Vec<u32>> =
            (0..width).map(|i| tokens([5, 31, 33, 126, 60, 130, 1, 90][i as usize % 8], 100 + i)).collect();
        let batch: Vec<SequenceId> = prompts.iter().map(|_| engine.open().unwrap()).collect();
        let (together, together_logits) = steps(&mut engine, &batch, &prompts, 4);
        for &sequence in &batch {
            engine.close(sequence);
        }
        for (place, prompt) in prompts.iter().enumerate() {
            let alone = engine.open().unwrap();
            let (ids, logits) = steps(&mut engine, &[alone], std::slice::from_ref(prompt), 4);
            engine.close(alone);
            assert_eq!(ids[0], together[place], "{softmax}, width {width}, place {place}");
            assert_eq!(bits(&logits[0]), bits(&together_logits[place]), "{softmax}, width {width}, place {place}");
        }
    }
}

#[test]
fn chunked_prefill_equals_whole_prefill() {
    for softmax in SOFTMAX {
        let (mut engine, _) = open_with("llama3.gguf", Element::F32, softmax);
        let prompt = tokens(100, 2);
        let whole = engine.open().unwrap();
        let want = engine.logits(whole, &prompt, &[99]).unwrap();
        for chunk in [1, 7, 16, 33, 64] {
            let chunked = engine.open().unwrap();
            let mut got = Vec::new();
            for part in prompt.chunks(chunk) {
                got = engine.logits(chunked, part, &[part.len() - 1]).unwrap();
            }
            engine.close(chunked);
            let nmse = difference(&got[0], &want[0]).nmse;
            assert!(nmse <= 1e-9, "{softmax}, chunks of {chunk}: nmse {nmse:e}");
        }
    }
}

#[test]
fn prefill_then_decode_equals_prefill() {
    for softmax in SOFTMAX {
        let (mut engine, _) = open_with("llama2.gguf", Element::F32, softmax);
        let prompt = tokens(60, 3);
        let sequence = engine.open().unwrap();
        let (ids, logits) = steps(&mut engine, &[sequence], std::slice::from_ref(&prompt), 12);
        let text: Vec<u32> = prompt.iter().chain(&ids[0][..12]).copied().collect();
        let all: Vec<usize> = (59..72).collect();
        let whole = engine.open().unwrap();
        let want = engine.logits(whole, &text, &all).unwrap().concat();
        let nmse = difference(&logits[0], &want).nmse;
        assert!(nmse <= 1e-9, "{softmax}: nmse {nmse:e}");
    }
}

/// Several splits and tiles of keys; the ways to do a softmax differ in rounding, or one of them did not run.
#[test]
fn ways_to_do_a_softmax_agree_within_rounding() {
    let logits = SOFTMAX.map(|softmax| {
        let (mut engine, _) = open_with("llama3.gguf", Element::F32, softmax);
        let sequence = engine.open().unwrap();
        let prompt = tokens(200, 13);
        let mut logits = engine.logits(sequence, &prompt[..199], &[150, 198]).unwrap().concat();
        logits.extend(engine.logits(sequence, &prompt[199..], &[0]).unwrap().concat());
        logits
    });
    let nmse = difference(&logits[0], &logits[1]).nmse;
    assert!(nmse <= 1e-9 && bits(&logits[0]) != bits(&logits[1]), "nmse {nmse:e}");
}

fn greedy(prompt: &[u32], max_tokens: usize) -> Request {
    let sampling = SamplingOptions::greedy();
    Request { prompt: prompt.to_vec(), max_tokens, sampling, stop: Vec::new(), ignore_eos: true }
}

fn generate(session: &mut Session<'_>, prompt: &[u32], sampling: SamplingOptions, max_tokens: usize) -> Vec<u32> {
    let request = Request { sampling, ..greedy(prompt, max_tokens) };
    session.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap().ids
}

#[test]
fn same_seed_same_text() {
    let (mut engine, tokenizer) = open("llama2.gguf", Element::F16);
    let mut session = Session::new(&mut engine, &tokenizer).unwrap();
    let prompt = tokens(20, 4);
    let options = [
        SamplingOptions { temperature: 1.0, seed: 7, ..SamplingOptions::default() },
        SamplingOptions {
            temperature: 1.3,
            top_k: 40,
            top_p: 0.9,
            min_p: 0.01,
            seed: 1 << 40,
            ..SamplingOptions::default()
        },
        SamplingOptions {
            repetition_penalty: 1.2,
            presence_penalty: 0.3,
            frequency_penalty: 0.1,
            seed: 3,
            ..SamplingOptions::default()
        },
    ];
    for sampling in options {
        let first = generate(&mut session, &prompt, sampling, 60);
        assert_eq!(first.len(), 60);
        assert_eq!(first, generate(&mut session, &prompt, sampling, 60), "{sampling:?}");
        let other = SamplingOptions { seed: sampling.seed + 1, ..sampling };
        assert_ne!(first, generate(&mut session, &prompt, other, 60), "{sampling:?}");
    }
}

/// A second request that continues the first runs only what is new, and gives what a fresh session gives.
#[test]
fn a_common_prefix_is_not_run_again() {
    let (mut engine, tokenizer) = open("llama3.gguf", Element::F32);
    let prompt = tokens(50, 5);
    let mut longer = prompt.clone();
    longer.extend(tokens(10, 6));
    let run = |session: &mut Session<'_>, prompt: &[u32]| {
        let mut ran = 0;
        let request = greedy(prompt, 8);
        let generation = session
            .generate(&request, &mut |event| {
                if let Event::Prefilled { tokens, .. } = event {
                    ran = tokens;
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        (ran, generation.ids)
    };
    let fresh = run(&mut Session::new(&mut engine, &tokenizer).unwrap(), &longer);
    assert_eq!(fresh.0, 60);
    let mut session = Session::new(&mut engine, &tokenizer).unwrap();
    assert_eq!(run(&mut session, &prompt).0, 50);
    assert_eq!(run(&mut session, &longer), (10, fresh.1.clone()));
    assert_eq!(run(&mut session, &longer), (1, fresh.1));
}

/// Turn after turn on one session, with an answer that is taken back and a beginning that changes: each time the tokens of a
/// session of its own, and no more run than is new.
#[test]
fn a_conversation_on_one_session_equals_each_turn_on_its_own() {
    for sampling in
        [SamplingOptions::greedy(), SamplingOptions { temperature: 1.0, seed: 5, ..SamplingOptions::default() }]
    {
        let (mut engine, tokenizer) = open("llama3.gguf", Element::F32);
        let answer = |session: &mut Session<'_>, prompt: &[u32]| {
            let request = Request { sampling, ..greedy(prompt, 12) };
            session.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap()
        };
        let mut turns: Vec<(Vec<u32>, Vec<u32>, usize)> = Vec::new();
        let mut session = Session::new(&mut engine, &tokenizer).unwrap();
        let mut prompt = tokens(30, 20);
        for turn in 0..4 {
            let common = session.held().iter().zip(&prompt).take_while(|(held, wanted)| held == wanted).count();
            let generation = answer(&mut session, &prompt);
            let cached = generation.stats.cached_prompt_tokens;
            assert_eq!(cached, common, "turn {turn}");
            turns.push((prompt.clone(), generation.ids.clone(), cached));
            prompt.extend(&generation.ids);
            prompt.extend(tokens(10, 30 + turn));
            match turn {
                // The last answer was all held but its last token, which nothing has followed yet.
                0 => assert_eq!(session.held().len(), prompt.len() - 11),
                // Another answer than the one that was given.
                1 => prompt[62] = (prompt[62] + 1) % 250,
                // Another beginning.
                2 => prompt[3] = (prompt[3] + 1) % 250,
                _ => {}
            }
        }
        assert_eq!(turns.iter().map(|turn| turn.2).collect::<Vec<_>>(), [0, 41, 62, 3]);
        // All of a prompt is held: its last token runs again.
        assert_eq!(session.sync(&turns[3].0), turns[3].0.len() - 1);
        drop(session);
        for (turn, (prompt, ids, _)) in turns.iter().enumerate() {
            let fresh = answer(&mut Session::new(&mut engine, &tokenizer).unwrap(), prompt);
            assert_eq!((&fresh.ids, fresh.stats.cached_prompt_tokens), (ids, 0), "turn {turn}");
        }
    }
}

#[test]
fn a_cancelled_run_leaves_the_session_usable() {
    let (mut engine, tokenizer) = open("llama2.gguf", Element::F16);
    let mut session = Session::new(&mut engine, &tokenizer).unwrap();
    let prompt = tokens(20, 7);
    let want = generate(&mut session, &prompt, SamplingOptions::greedy(), 20);
    let request = greedy(&prompt, 20);
    let mut seen = 0;
    let cancelled = session
        .generate(&request, &mut |_| {
            seen += 1;
            if seen == 6 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    assert_eq!(cancelled.finish_reason, FinishReason::Cancelled);
    assert_eq!(cancelled.ids, want[..cancelled.ids.len()]);
    assert_eq!(generate(&mut session, &prompt, SamplingOptions::greedy(), 20), want);
}

/// A long prompt can be given up between its chunks; what has run of it is kept.
#[test]
fn a_long_prompt_can_be_cancelled() {
    let (mut engine, tokenizer) = open_in_chunks("llama2.gguf", Element::F16, 16);
    let prompt = tokens(60, 12);
    let mut session = Session::new(&mut engine, &tokenizer).unwrap();
    let request = greedy(&prompt, 4);
    let cancelled = session
        .generate(&request, &mut |event| match event {
            Event::Prefilling { done: 32, .. } => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
        .unwrap();
    assert_eq!((cancelled.finish_reason, cancelled.ids.len()), (FinishReason::Cancelled, 0));
    let mut ran = 0;
    let after = session
        .generate(&request, &mut |event| {
            if let Event::Prefilled { tokens, .. } = event {
                ran = tokens;
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!((ran, after.ids.len()), (28, 4));
    let (mut engine, tokenizer) = open("llama2.gguf", Element::F16);
    let mut fresh = Session::new(&mut engine, &tokenizer).unwrap();
    assert_eq!(fresh.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap().ids, after.ids);
}

#[test]
fn generation_ends_where_the_context_does() {
    let (mut engine, tokenizer) = open("llama2.gguf", Element::F16);
    let context = engine.context() as usize;
    let prompt = tokens(context - 3, 8);
    let mut session = Session::new(&mut engine, &tokenizer).unwrap();
    assert_eq!(generate(&mut session, &prompt, SamplingOptions::greedy(), 100).len(), 4);
    let request = greedy(&tokens(context, 8), 1);
    let error = session.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(error.to_string().contains(&context.to_string()), "{error}");
}

/// A steady step is one pass and one submission, waits at most once and reads one token.
#[test]
fn a_steady_step_is_lean() {
    let (mut engine, tokenizer) = open("llama2.gguf", Element::F16);
    let layers = u64::from(engine.model().config().layers);
    let mut session = Session::new(&mut engine, &tokenizer).unwrap();
    let request = greedy(&tokens(140, 10), 24);
    let step = session.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap().step.unwrap();
    assert!(step.dispatches <= 9 * layers + 10, "{step:?}");
    assert_eq!((step.passes, step.submits, step.readback_bytes), (1, 1, 4), "{step:?}");
    assert!(step.syncs <= 1, "{step:?}");
}
