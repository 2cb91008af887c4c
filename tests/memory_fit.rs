//! What a model takes of a device is computed before it is loaded, and is what it takes.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

#[path = "support/changes.rs"]
#[expect(dead_code, reason = "files are changed in few ways here")]
mod changes;
#[path = "support/damaged.rs"]
mod damaged;
#[path = "support/gguf_writer.rs"]
#[expect(dead_code, reason = "no file is damaged here")]
mod gguf_writer;
#[path = "support/model.rs"]
mod model;
#[path = "support/opening.rs"]
#[expect(dead_code, reason = "this has its own way of running a model")]
mod opening;

use damaged::{Temporary, golden};
use ffai::generate::{Backend, Engine, Fit, OpenOptions, RehearsedModel, Request, SamplingOptions, Session, executor};
use ffai::graph::{Element, MemoryReport};
use ffai::text::Tokenizer;
use ffai::weights::Checkpoint;
use ffai::{Error, Misfit, Shortage};
use gguf_writer::Item;
use opening::{message, open};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

const BACKENDS: [Backend; 2] = [Backend::Cpu, Backend::Gpu];

/// The golden model, said to have been made for `context` tokens.
fn long(context: u32) -> Temporary {
    Temporary::new(&damaged::model().with("llama.context_length", Item::U32(context)).finish())
}

fn rehearsed(path: &Path, options: &OpenOptions) -> RehearsedModel {
    RehearsedModel::new(&Checkpoint::open(path).unwrap(), &*executor(options).unwrap(), options).unwrap()
}

/// What does not fit, and what would.
#[track_caller]
fn misfit(path: &Path, options: &OpenOptions) -> Misfit {
    match open(path, options) {
        Err(Error::Misfit(misfit)) => *misfit,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("what should not fit was loaded"),
    }
}

/// Runs prompts of all kinds of lengths and then fills the context to its last token, with everything that takes memory.
fn fill(engine: &mut Engine, tokenizer: &Tokenizer) -> Result<(), Error> {
    let context = engine.context() as usize;
    let sampling = SamplingOptions {
        temperature: 1.0,
        top_k: 5,
        top_p: 0.9,
        repetition_penalty: 1.1,
        ..SamplingOptions::default()
    };
    for prompt in [1, 2, 31, 64, 65, context / 2, context - 2] {
        let prompt: Vec<u32> = (0..prompt.clamp(1, context - 1) as u32).map(|i| 3 + i % 200).collect();
        let most = if prompt.len() == context - 2 { 3 } else { 1 };
        let request = Request { prompt, max_tokens: most, sampling, stop: Vec::new(), ignore_eos: true };
        let mut session = Session::new(engine, tokenizer).unwrap();
        session.generate(&request, &mut |_| ControlFlow::Continue(()))?;
    }
    // A session leaves room for an answer; an engine need not.
    let sequence = engine.open().unwrap();
    let step = engine.prefill(sequence, &vec![3; context], 0, sampling.parts(), false)?;
    engine.finish(step)?;
    engine.close(sequence);
    Ok(())
}

/// The sum without what is only needed while the cache grows.
fn settled(fit: &Fit) -> u64 {
    fit.needs.total() - fit.needs.growth
}

#[test]
fn a_full_context_takes_what_was_predicted() {
    let file = long(4096);
    let folder = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    for backend in BACKENDS {
        for (path, context, chunk) in [
            (file.0.clone(), 1300, 512),
            (file.0.clone(), 700, 64),
            (file.0.clone(), 600, 1),
            (file.0.clone(), 5, 512),
            (golden(), 256, 100),
            (folder("gemma3/gemma3.gguf"), 256, 512),
            (folder("qwen2/hf"), 200, 7),
            (folder("llama/mlx"), 256, 512),
        ] {
            for kv in [Element::F16, Element::F32] {
                let options = OpenOptions { backend, context: Some(context), chunk, kv, ..OpenOptions::default() };
                let fit = rehearsed(&path, &options).fit(context).unwrap();
                let (mut engine, tokenizer) = open(&path, &options).unwrap();
                fill(&mut engine, &tokenizer).unwrap();
                let case = format!("{} {backend:?} {kv:?} {context} {chunk}: {fit:?}", path.display());
                assert_eq!(engine.model().weight_bytes(), fit.needs.weights, "{case}");
                assert_eq!(engine.cache().allocated_bytes(), fit.needs.cache, "{case}");
                assert_eq!(engine.memory().allocated, settled(&fit), "{case}");
            }
        }
    }
}

#[test]
fn the_largest_context_named_runs_to_its_end_and_a_page_more_is_refused() {
    let file = long(4096);
    for backend in BACKENDS {
        let options = OpenOptions { backend, chunk: 64, ..OpenOptions::default() };
        let at = |context| settled(&rehearsed(&file.0, &options).fit(context).unwrap());
        for budget in [at(64) + 5000, at(600), at(900), at(1500) + 100_000] {
            let asked = |context| OpenOptions { context, memory_budget: Some(budget), ..options.clone() };
            let refusal = misfit(&file.0, &asked(Some(4096)));
            let largest = refusal.largest_context.unwrap();
            assert!(largest.is_multiple_of(32) && largest < 4096, "{refusal:?}");
            let text = message(&Error::Misfit(Box::new(refusal)));
            assert!(text.contains(&format!("use --ctx {largest} or less")) && text.contains("--ctx 4096"), "{text}");
            let (mut engine, tokenizer) = open(&file.0, &asked(Some(largest))).unwrap();
            fill(&mut engine, &tokenizer).unwrap();
            assert_eq!(misfit(&file.0, &asked(Some(largest + 1))).largest_context, Some(largest));
            let (mut engine, tokenizer) = open(&file.0, &asked(None)).unwrap();
            assert_eq!(engine.context(), largest, "what auto takes");
            fill(&mut engine, &tokenizer).unwrap();
        }
    }
}

#[test]
fn a_model_without_room_for_a_page_is_refused_with_the_sum() {
    for backend in BACKENDS {
        let options = OpenOptions { backend, memory_budget: Some(100 << 10), ..OpenOptions::default() };
        let Misfit { context, shortage, largest_context, smaller, .. } = misfit(&golden(), &options);
        let Shortage::Memory { needs, used, budget } = shortage else { panic!("{shortage:?}") };
        assert_eq!((context, used, budget, largest_context, smaller), (32, 0, 100 << 10, None, None));
        assert_eq!(needs, rehearsed(&golden(), &options).fit(32).unwrap().needs);
        assert!(needs.total() > budget);
        let parts = [needs.weights, needs.cache, needs.growth, needs.arena, needs.step];
        assert_eq!(parts.iter().sum::<u64>(), needs.total());
    }
}

/// A folder with a model in two quantizations, and one that is another model.
fn quantizations() -> (PathBuf, [u64; 2]) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("quantizations-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let large = damaged::model().finish();
    let halves = |tensor: &mut gguf_writer::Tensor| {
        tensor.number = 1;
        tensor.data = vec![0; tensor.dims.iter().product::<u64>() as usize * 2];
    };
    let small = damaged::model().change("token_embd.weight", halves).finish();
    let other =
        damaged::model().with("llama.rope.freq_base", Item::F32(5e5)).with("llama.context_length", Item::U32(99));
    std::fs::write(folder.join("tiny-Q4_0.gguf"), &small).unwrap();
    std::fs::write(folder.join("tiny-F32.gguf"), &large).unwrap();
    std::fs::write(folder.join("tiny-Q2_K.gguf"), other.finish()).unwrap();
    std::fs::write(folder.join("tiny-Q3_K.gguf"), b"GGUF and no more").unwrap();
    std::fs::write(folder.join("tall-Q4_1.gguf"), &small).unwrap();
    (folder, [small.len() as u64, large.len() as u64])
}

#[test]
fn the_largest_quantization_beside_the_file_that_fits_is_named_and_runs() {
    let (folder, [small, large]) = quantizations();
    assert!(small < large);
    for backend in BACKENDS {
        let options = OpenOptions { backend, context: Some(256), ..OpenOptions::default() };
        let total = |name: &str| rehearsed(&folder.join(name), &options).fit(256).unwrap().needs.total();
        let budget = total("tiny-Q4_0.gguf");
        assert!(budget < total("tiny-F32.gguf"));
        let options = OpenOptions { memory_budget: Some(budget), ..options };
        let smaller = misfit(&folder.join("tiny-F32.gguf"), &options).smaller.unwrap();
        assert_eq!((smaller.path.clone(), smaller.context), (folder.join("tiny-Q4_0.gguf"), 256));
        let (mut engine, tokenizer) = open(&smaller.path, &options).unwrap();
        fill(&mut engine, &tokenizer).unwrap();
        let error = open(&folder.join("tiny-F32.gguf"), &options).map(drop).unwrap_err();
        assert!(error.hint().unwrap().contains("tiny-Q4_0.gguf, which fits with --ctx 256"), "{error}");
        let scarce = OpenOptions { memory_budget: Some(budget - 1), ..options };
        assert_eq!(misfit(&folder.join("tiny-F32.gguf"), &scarce).smaller, None);
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_cache_beyond_the_largest_buffer_is_refused_with_what_fits() {
    let file = long(1 << 24);
    let options = OpenOptions { context: Some(1 << 24), memory_budget: Some(u64::MAX), ..OpenOptions::default() };
    let limit = executor(&options).unwrap().target().max_binding_bytes;
    let heads = rehearsed(&file.0, &options).model().config().heads;
    let (bytes, most) = (heads.key_bytes(Element::F16), limit / heads.key_bytes(Element::F16));
    if most >= 1 << 24 {
        println!("SKIPPED: this device's buffers are large enough for everything");
        return;
    }
    let refusal = misfit(&file.0, &options);
    let Shortage::Buffer { needed, limit: told, .. } = &refusal.shortage else { panic!("{refusal:?}") };
    assert_eq!((*needed, *told), (bytes << 24, limit));
    assert_eq!(refusal.largest_context.map(u64::from), Some(most / 32 * 32));
}

#[test]
fn a_rehearsal_leaves_the_device_as_it_was() {
    for backend in BACKENDS {
        let options = OpenOptions { backend, ..OpenOptions::default() };
        let device = executor(&options).unwrap();
        let before = device.memory();
        let rehearsed = RehearsedModel::new(&Checkpoint::open(&golden()).unwrap(), &*device, &options).unwrap();
        let fit = rehearsed.fit(256).unwrap();
        assert_eq!(device.memory(), before);
        let MemoryReport { allocated, budget, .. } = before;
        assert_eq!((fit.used, fit.budget), (allocated, budget));
    }
}

#[test]
fn the_real_model_takes_what_was_predicted() {
    let Some(path) = model::real("smollm2") else { return };
    let options = OpenOptions { context: Some(160), chunk: 64, ..OpenOptions::default() };
    let fit = rehearsed(&path, &options).fit(160).unwrap();
    // Keys and values of 30 layers, 3 heads of 64, in halves: 22.5 KiB per token.
    assert_eq!(fit.needs.cache, 160 * 2 * 30 * 3 * 64 * 2);
    let (mut engine, tokenizer) = open(&path, &options).unwrap();
    fill(&mut engine, &tokenizer).unwrap();
    assert_eq!(engine.memory().allocated, settled(&fit));
}
