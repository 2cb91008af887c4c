//! A model that cannot run is refused with one clear error: what, expected, found, where, and what to do next.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

#[path = "support/changes.rs"]
mod changes;
#[path = "support/damaged.rs"]
mod damaged;
#[path = "support/folder.rs"]
mod folder;
#[path = "support/gguf_writer.rs"]
mod gguf_writer;
#[path = "support/opening.rs"]
mod opening;
#[path = "support/peak_memory.rs"]
mod peak_memory;

use damaged::{Temporary, golden, model};
use ffai::Error;
use ffai::generate::{Backend, OpenOptions, Request, SamplingOptions, Session};
use ffai::graph::ExecuteError;
use folder::Folder;
use gguf_writer::{GgufWriter, Item};
use opening::{generate, message, on, open};
use peak_memory::{Counting, peak_bytes};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A whole tiny model on the CPU takes less than a tenth of this.
const MOST_BYTES: usize = 32 << 20;

/// Opening must fail on `options` with a message that has all `parts`; the file's path is one of them.
#[track_caller]
fn refused_with(writer: &GgufWriter, options: &OpenOptions, parts: &[&str]) {
    let file = Temporary::new(&writer.finish());
    let start = Instant::now();
    let (result, peak) = peak_bytes(|| open(&file.0, options));
    let Err(error) = result else { panic!("a file that should fail with {parts:?} opens") };
    let message = message(&error);
    let path = file.0.display().to_string();
    for part in parts.iter().copied().chain([path.as_str()]) {
        assert!(message.contains(part), "expected {part:?} in {message:?}");
    }
    assert!(peak < MOST_BYTES || options.backend == Backend::Gpu, "{peak} bytes for: {message}");
    assert!(start.elapsed() < Duration::from_secs(10), "{message}");
}

#[track_caller]
fn refused(writer: &GgufWriter, parts: &[&str]) {
    refused_with(writer, &on(Backend::Cpu), parts);
}

#[test]
fn the_undamaged_model_runs() {
    let file = Temporary::new(&model().finish());
    for backend in [Backend::Cpu, Backend::Gpu] {
        let (mut engine, tokenizer) = open(&file.0, &on(backend)).unwrap();
        assert_eq!(generate(&mut engine, &tokenizer, &[1, 5, 9], 4).unwrap().ids.len(), 4);
    }
}

/// The model with rows of 256 weights, which K-quants need: all zeros, which is enough to be opened.
fn wide() -> GgufWriter {
    let mut writer = model().with("llama.embedding_length", Item::U32(256));
    let names: Vec<String> = writer.tensors.iter().map(|tensor| tensor.name.clone()).collect();
    for name in names {
        let stem = name.trim_end_matches(".weight").rsplit('.').next().unwrap().to_owned();
        let dims: &[u64] = match stem.as_str() {
            "token_embd" | "output" => &[256, 272],
            "attn_q" => &[256, 64],
            "attn_k" | "attn_v" => &[256, 32],
            "attn_output" => &[64, 256],
            "ffn_gate" | "ffn_up" => &[256, 96],
            "ffn_down" => &[96, 256],
            _ => &[256],
        };
        writer = writer.shape(&name, dims);
    }
    writer
}

/// Gives a tensor another type, with `bytes` zeros for each block of `elements`.
fn typed(writer: GgufWriter, name: &str, number: u32, elements: u64, bytes: u64) -> GgufWriter {
    writer.change(name, |tensor| {
        let blocks = tensor.dims.iter().product::<u64>() / elements;
        (tensor.number, tensor.data) = (number, vec![0; (blocks * bytes) as usize]);
    })
}

/// Number, name, elements and bytes of a block, from ggml.h and ggml-common.h.
const WITHOUT_KERNEL: [(u32, &str, u64, u64); 19] = [
    (9, "Q8_1", 32, 36),
    (15, "Q8_K", 256, 292),
    (16, "IQ2_XXS", 256, 66),
    (17, "IQ2_XS", 256, 74),
    (18, "IQ3_XXS", 256, 98),
    (19, "IQ1_S", 256, 50),
    (21, "IQ3_S", 256, 110),
    (22, "IQ2_S", 256, 82),
    (24, "I8", 1, 1),
    (25, "I16", 1, 2),
    (26, "I32", 1, 4),
    (27, "I64", 1, 8),
    (28, "F64", 1, 8),
    (29, "IQ1_M", 256, 56),
    (34, "TQ1_0", 256, 54),
    (35, "TQ2_0", 256, 66),
    (39, "MXFP4", 32, 17),
    (40, "NVFP4", 64, 36),
    (41, "Q1_0", 128, 18),
];

const QUANTIZED: [(u32, &str, u64, u64); 12] = [
    (2, "Q4_0", 32, 18),
    (3, "Q4_1", 32, 20),
    (6, "Q5_0", 32, 22),
    (7, "Q5_1", 32, 24),
    (8, "Q8_0", 32, 34),
    (10, "Q2_K", 256, 84),
    (11, "Q3_K", 256, 110),
    (12, "Q4_K", 256, 144),
    (13, "Q5_K", 256, 176),
    (14, "Q6_K", 256, 210),
    (20, "IQ4_NL", 32, 18),
    (23, "IQ4_XS", 256, 136),
];

#[test]
fn weight_types_without_a_kernel_are_named_with_those_that_have_one() {
    let none = |name: &str| ffai::weights::format::named(&name.to_lowercase()).is_none();
    for (number, name, elements, bytes) in WITHOUT_KERNEL.into_iter().filter(|(_, name, ..)| none(name)) {
        let writer = typed(wide(), "blk.0.attn_q.weight", number, elements, bytes);
        let first =
            format!("no GPU kernel for weight type {name}, nor one for the CPU: expected `blk.0.attn_q.weight`");
        let parts = [first.as_str(), "one of F32, F16, BF16, Q4_0, Q4_1", "fetch another variant of the same model"];
        refused(&writer, &parts);
        if elements == 32 {
            refused_with(&writer, &on(Backend::Gpu), &parts);
        }
    }
    let quantized = model().change("output_norm.weight", |tensor| (tensor.number, tensor.data) = (8, vec![0; 34]));
    refused(&quantized, &["weight type Q8_0", "`output_norm.weight`", "F32, F16 or BF16"]);
    for number in [4, 5, 31, 33, 36, 38, 42, 99, u32::MAX] {
        let unknown = model().change("output_norm.weight", |tensor| tensor.number = number);
        refused(
            &unknown,
            &["type of tensor `output_norm.weight`: expected a type that ggml defines", &number.to_string()],
        );
    }
}

#[test]
fn quantized_tensors_of_damaged_sizes_are_refused() {
    for (number, name, elements, bytes) in QUANTIZED {
        let sound = typed(wide(), "blk.0.attn_q.weight", number, elements, bytes);
        let file = Temporary::new(&sound.finish());
        let (mut engine, tokenizer) = open(&file.0, &on(Backend::Cpu)).unwrap();
        assert_eq!(generate(&mut engine, &tokenizer, &[1, 5], 1).unwrap().ids.len(), 1, "{name}");
        // One block too few, in the middle of the file and at its end.
        let shorter = |tensor: &str| {
            let writer = typed(wide(), tensor, number, elements, bytes);
            writer.change(tensor, |tensor| tensor.data.truncate(tensor.data.len() - bytes as usize))
        };
        let last = wide().tensors.last().unwrap().name.clone();
        let mut middle = shorter("blk.0.attn_q.weight");
        // The tensor that follows starts where the data ends, not where it should.
        middle.alignment = 1;
        middle = middle.with("general.alignment", Item::U32(1));
        refused(&middle, &["offset of `", "or later, where `blk.0.attn_q.weight` ends"]);
        if wide().tensors.last().unwrap().dims[0].is_multiple_of(elements) {
            refused(&shorter(&last), &["cut short", &format!("data of tensor `{last}`")]);
        }
        let ragged = wide().change("blk.0.attn_output.weight", |tensor| tensor.number = number);
        if elements == 256 {
            let shape = format!("shape of {name} tensor `blk.0.attn_output.weight`");
            refused(&ragged, &[&shape, "rows of a multiple of 256 elements", "[64, 256]"]);
        }
        for dims in [&[256, 1 << 62][..], &[1 << 63, 1 << 63], &[u64::MAX - 255, 2]] {
            let writer = typed(wide(), "blk.0.attn_q.weight", number, elements, bytes);
            let overflowing = writer.change("blk.0.attn_q.weight", |tensor| tensor.dims = dims.to_vec());
            refused(&overflowing, &["`blk.0.attn_q.weight`", "expected a size that fits 64 bits"]);
        }
    }
}

#[test]
fn missing_and_unknown_tensors_are_named() {
    for name in ["token_embd.weight", "blk.1.attn_v.weight", "blk.0.ffn_norm.weight", "output_norm.weight"] {
        refused(&model().lose(name), &["no tensor", &format!("`{name}`")]);
    }
    let misspelt =
        model().change("blk.0.attn_output.weight", |tensor| tensor.name = "blk.0.attn_outputs.weight".into());
    refused(&misspelt, &["`blk.0.attn_output.weight`", "does have `blk.0.attn_outputs.weight`"]);
    let biased = model().tensor("blk.0.attn_q.bias", &[64], 0, vec![0; 256]);
    refused(&biased, &["no tensor `blk.0.attn_k.bias`", "does have `blk.0.attn_q.bias`"]);
    let behind = model().tensor("blk.0.attn_output.bias", &[32], 0, vec![0; 128]);
    refused(&behind, &["`llama` does not use", "`blk.0.attn_output.bias`"]);
    refused(
        &model().with("llama.block_count", Item::U32(1)),
        &["`llama` does not use", "`blk.1.", "and 8 others", "block_count"],
    );
    for many in [3, 1000, 4096] {
        refused(&model().with("llama.block_count", Item::U32(many)), &["no tensor `blk.2."]);
    }
}

#[test]
fn misshapen_tensors_are_shown_with_both_shapes() {
    let shapes: [(&str, &[u64], &str); 7] = [
        ("blk.0.attn_q.weight", &[32, 63], "expected [32, 64], found [32, 63]"),
        ("blk.0.attn_q.weight", &[64, 32], "expected [32, 64], found [64, 32]"),
        ("blk.0.attn_q.weight", &[2048], "expected [32, 64], found [2048]"),
        ("blk.1.ffn_up.weight", &[32, 48, 2], "expected [32, 96], found [32, 48, 2]"),
        ("output_norm.weight", &[31], "expected [32], found [31]"),
        ("output_norm.weight", &[32, 32], "expected [32], found [32, 32]"),
        ("output.weight", &[32, 271], "expected [32, 272], found [32, 271]"),
    ];
    for (name, dims, message) in shapes {
        refused(&model().shape(name, dims), &[&format!("`{name}`"), message]);
    }
    refused_with(&model().shape("output.weight", &[32, 8]), &on(Backend::Gpu), &["`output.weight`", "found [32, 8]"]);
    let fewer = ["a row for each of the vocabulary's 272 tokens", "found 200"];
    refused(&model().shape("token_embd.weight", &[32, 200]).shape("output.weight", &[32, 200]), &fewer);
    refused(&model().tensor("rope_freqs.weight", &[9], 0, vec![0; 36]), &["[8], found [9]"]);
}

#[test]
fn hyperparameters_that_do_not_fit_are_named() {
    let number = |key: &str, value: u32, parts: &[&str]| {
        refused(&model().with(&format!("llama.{key}"), Item::U32(value)), parts);
    };
    number("embedding_length", 64, &["`token_embd.weight`", "[64, 272]", "[32, 272]"]);
    number("embedding_length", 0, &["embedding_length", "found 0"]);
    number("embedding_length", u32::MAX, &["embedding_length", "found 4294967295"]);
    number("feed_forward_length", 0, &["feed_forward_length", "found 0"]);
    number("feed_forward_length", 1 << 19, &["[32, 524288]"]);
    number("attention.head_count", 0, &["query heads", "found 0"]);
    number("attention.head_count", 5, &["query heads", "found 5 and 2"]);
    number("attention.head_count", u32::MAX, &["query heads", "4294967295"]);
    number("attention.head_count", 130, &["query heads per key head", "at most 64, found 65"]);
    number("attention.head_count_kv", 0, &["key heads", "4 and 0"]);
    number("attention.head_count_kv", 3, &["key heads", "4 and 3"]);
    for head_dim in [0, 2, 15, 260, u32::MAX] {
        number("attention.key_length", head_dim, &["elements per head", &format!("found {head_dim}")]);
    }
    number("attention.key_length", 32, &["attention.value_length", "found 16, not 32"]);
    number("block_count", 0, &["block_count", "found 0"]);
    number("block_count", 1 << 20, &["block_count: expected 1 to 4096, found 1048576"]);
    number("block_count", u32::MAX, &["block_count", "found 4294967295"]);
    number("context_length", 0, &["context_length", "found 0"]);
    for rotary in [0, 7, 18, u32::MAX] {
        number("rope.dimension_count", rotary, &["rope.dimension_count", &format!("found {rotary}")]);
    }
    for eps in [f32::NAN, f32::INFINITY, -1e-5, 2.0] {
        let writer = model().with("llama.attention.layer_norm_rms_epsilon", Item::F32(eps));
        refused(&writer, &["layer_norm_rms_epsilon", &format!("found {eps}")]);
    }
    for base in [f32::NAN, f32::INFINITY, 0.0, -10_000.0, 1e-30] {
        refused(&model().with("llama.rope.freq_base", Item::F32(base)), &["rope.freq_base", &format!("found {base}")]);
    }
}

#[test]
fn variants_that_would_compute_something_else_are_refused() {
    let scaled = model()
        .with("llama.rope.scaling.type", Item::Text("yarn\x1b[2J"))
        .with("llama.rope.scaling.factor", Item::F32(4.0));
    refused(&scaled, &["rope scaling `yarn\\u{1b}[2J`", "not supported"]);
    for factor in [0.0, -2.0, f32::NAN, f32::INFINITY] {
        let linear = model().with("llama.rope.scaling.factor", Item::F32(factor));
        refused(&linear, &["rope scaling: expected factors from 0.001 to 1e9", &format!("found {factor}")]);
    }
    let factors =
        ["embedding_scale", "residual_scale", "logit_scale", "attention.clamp_kqv", "attention.max_alibi_bias"];
    for key in factors.into_iter().chain(["rope.scaling.attn_factor"]) {
        refused(&model().with(&format!("llama.{key}"), Item::F32(0.5)), &[&format!("`{key}` of 0.5"), "not supported"]);
    }
    refused(&model().with("llama.attention.causal", Item::Bool(false)), &["`attention.causal`", "not supported"]);
    for scale in [0.0, -0.25, f32::NAN] {
        let scaled = model().with("llama.attention.scale", Item::F32(scale));
        refused(&scaled, &["attention.scale: expected a number above 0", &format!("found {scale}")]);
    }
    refused(&model().with("llama.expert_count", Item::U32(8)), &["8 experts"]);
    let of = |name: &str| damaged::file(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name));
    for family in ["qwen2", "qwen3"] {
        let qwen = of(&format!("{family}/{family}.gguf"));
        refused(&qwen.with(&format!("{family}.attention.sliding_window"), Item::U32(8)), &["a sliding window of 8"]);
    }
    for (family, key) in [
        ("gemma2", "attn_logit_softcapping"),
        ("gemma2", "final_logit_softcapping"),
        ("gemma3", "final_logit_softcapping"),
    ] {
        for cap in [0.0, -30.0, f32::NAN] {
            let gemma = of(&format!("{family}/{family}.gguf")).with(&format!("{family}.{key}"), Item::F32(cap));
            refused(&gemma, &[&format!("{key}: expected a number above 0, found {cap}")]);
        }
    }
    let gemma3 = || of("gemma3/gemma3.gguf");
    refused(
        &gemma3().with("gemma3.attn_logit_softcapping", Item::F32(50.0)),
        &["`attn_logit_softcapping`", "not supported"],
    );
    refused(
        &gemma3().with("gemma3.attention.sliding_window_pattern", Item::U32(0)),
        &["sliding_window_pattern: expected at least 1"],
    );
    let list = Item::List(7, vec![Item::Bool(true); 7]);
    refused(
        &gemma3().with("gemma3.attention.sliding_window_pattern", list),
        &["sliding_window_pattern`", "found an array of 7 bool"],
    );
    refused(
        &gemma3().with("gemma3.rope.freq_base_swa", Item::F32(-1.0)),
        &["expected a number from 1 to 1e12, found -1"],
    );
}

#[test]
fn metadata_that_is_missing_or_mistyped_is_named() {
    for key in
        ["general.architecture", "llama.block_count", "llama.attention.layer_norm_rms_epsilon", "tokenizer.ggml.tokens"]
    {
        refused(&model().without(key), &["no metadata key", &format!("`{key}`")]);
    }
    let mistyped = [
        ("general.architecture", Item::U32(3), "found u32 3"),
        ("llama.block_count", Item::Text("two"), "found a string"),
        ("llama.block_count", Item::I32(-2), "found i32 -2"),
        ("llama.context_length", Item::F32(256.0), "found f32 256"),
        ("llama.attention.head_count", Item::List(4, vec![Item::U32(4)]), "found an array of 1 u32"),
        ("llama.attention.layer_norm_rms_epsilon", Item::U32(0), "found u32 0"),
        ("tokenizer.ggml.tokens", Item::List(5, vec![Item::I32(1)]), "found an array of 1 i32"),
        ("tokenizer.ggml.scores", Item::Bool(true), "found bool true"),
        ("llama.rope.freq_base", Item::Raw(0, vec![7]), "found u8 7"),
    ];
    for (key, value, found) in mistyped {
        refused(&model().with(key, value), &[&format!("`{key}`"), found]);
    }
}

#[test]
fn architectures_and_tokenizers_that_are_not_there_are_named_with_those_that_are() {
    let other = model().with("general.architecture", Item::Text("gemma4"));
    refused(&other, &["`gemma4`", "this build knows llama"]);
    // What a config.json says means nothing here.
    let stray = Item::List(8, vec![Item::Text("LlamaForCausalLM")]);
    refused(&other.with("model_type", Item::Text("llama")).with("architectures", stray), &["`gemma4`"]);
    refused(&model().with("general.architecture", Item::Text("\x1b[2Jx")), &["this build knows llama"]);
    refused(&model().with("tokenizer.ggml.model", Item::Text("bert")), &["`gpt2` or `llama`", "`bert`"]);
    refused(&model().with("tokenizer.ggml.model", Item::Text("\x1b]0;")), &["`gpt2` or `llama`"]);
    refused(&model().with("tokenizer.ggml.model", Item::Text("gpt2")), &["merges"]);
    let klingon =
        model().with("tokenizer.ggml.pre", Item::Text("klingon")).with("tokenizer.ggml.model", Item::Text("gpt2"));
    refused(&klingon, &["`klingon`", "known are", "llama-bpe"]);
    refused(&model().with("tokenizer.ggml.eos_token_id", Item::U32(272)), &["below 272", "found 272"]);
    refused(&model().with("tokenizer.ggml.scores", Item::List(6, vec![Item::F32(0.0)])), &["scores", "272", "found 1"]);
    refused(&model().with("tokenizer.ggml.tokens", Item::List(8, vec![])), &["vocabulary", "none"]);
}

#[test]
fn a_model_that_does_not_fit_the_memory_budget_is_refused_with_the_sum() {
    let (engine, _) = open(&golden(), &on(Backend::Cpu)).unwrap();
    let weights = engine.model().weight_bytes();
    for backend in [Backend::Cpu, Backend::Gpu] {
        let budget = |bytes| OpenOptions { memory_budget: Some(bytes), ..on(backend) };
        let sum =
            ["does not fit", "with --ctx 32", "of weights +", "the budget is 0.1 MiB", "a smaller or more strongly"];
        refused_with(&model(), &budget(100 << 10), &sum);
        // Room for the weights, but not for the cache of the context that is asked for.
        let scarce = OpenOptions { context: Some(256), ..budget(weights + (100 << 10)) };
        refused_with(&model(), &scarce, &["with --ctx 256", "use --ctx ", "or less"]);
    }
}

#[test]
fn a_cache_that_outgrows_the_memory_budget_ends_one_text_and_no_more() {
    let file = Temporary::new(&model().with("llama.context_length", Item::U32(4096)).finish());
    for backend in [Backend::Cpu, Backend::Gpu] {
        let (mut engine, tokenizer) = open(&file.0, &on(backend)).unwrap();
        generate(&mut engine, &tokenizer, &[5; 4090], 1).unwrap();
        // Enough for a full sequence, which is all that is promised, and not for a second one beside it.
        let budget = engine.memory().allocated + (512 << 10);
        let options = OpenOptions { memory_budget: Some(budget), context: Some(4096), ..on(backend) };
        let (mut engine, tokenizer) = open(&file.0, &options).unwrap();
        let [first, second] = [engine.open().unwrap(), engine.open().unwrap()];
        engine.logits(first, &[5; 3000], &[2999]).unwrap();
        let error = engine.logits(second, &[5; 3000], &[2999]).unwrap_err();
        assert!(matches!(error, Error::Device(ExecuteError::OutOfMemory { .. })), "{error}");
        engine.close(second);
        engine.close(first);
        let text = generate(&mut engine, &tokenizer, &[5; 600], 2).unwrap();
        assert_eq!(text.ids.len(), 2, "{backend:?}");
    }
}

#[test]
fn contexts_are_bounded_by_the_model_and_by_reason() {
    let huge = Temporary::new(&model().with("llama.context_length", Item::U32(u32::MAX)).finish());
    let (result, peak) = peak_bytes(|| open(&huge.0, &on(Backend::Cpu)));
    assert_eq!(result.unwrap().0.context(), 32_768);
    assert!(peak < MOST_BYTES, "{peak} bytes");
    let asked = |context| OpenOptions { context: Some(context), ..on(Backend::Cpu) };
    let refusals = [(&huge.0, u32::MAX, "16777216"), (&golden(), 257, "has 256"), (&golden(), 0, "at least 1")];
    for (path, context, part) in refusals {
        let message = message(&open(path, &asked(context)).map(drop).unwrap_err());
        assert!(message.contains("--ctx") && message.contains(part), "{message}");
    }
    assert_eq!(open(&golden(), &asked(1)).unwrap().0.context(), 1);
}

#[test]
fn prompts_that_cannot_run_are_refused() {
    for backend in [Backend::Cpu, Backend::Gpu] {
        let (mut engine, tokenizer) = open(&golden(), &on(backend)).unwrap();
        assert!(matches!(generate(&mut engine, &tokenizer, &[], 1), Err(Error::EmptyPrompt)));
        let long = vec![5; 256];
        let found = generate(&mut engine, &tokenizer, &long, 1).unwrap_err();
        assert!(matches!(found, Error::PromptTooLong { found: 256, context: 256 }), "{found}");
        let alien = generate(&mut engine, &tokenizer, &[5, 272, 5], 1).unwrap_err();
        assert!(matches!(alien, Error::UnknownToken { found: 272, vocab: 272 }), "{alien}");
        let sequence = engine.open().unwrap();
        let sampling = SamplingOptions::greedy();
        assert!(matches!(engine.logits(sequence, &[u32::MAX], &[0]), Err(Error::UnknownToken { .. })));
        assert!(matches!(
            engine.prefill(sequence, &[272], 0, sampling.parts(), false),
            Err(Error::UnknownToken { .. })
        ));
        assert!(matches!(engine.prefill(sequence, &[], 0, sampling.parts(), false), Err(Error::EmptyPrompt)));
        assert!(matches!(engine.logits(sequence, &[5; 257], &[0]), Err(Error::PromptTooLong { .. })));
        assert!(matches!(engine.set_batch(&[(sequence, 272)]), Err(Error::UnknownToken { .. })));
        let history: (&[u32], &[u32]) = (&[272], &[]);
        assert!(matches!(
            engine.set_sampling(sequence, sampling.settings(), Some(history)),
            Err(Error::UnknownToken { .. })
        ));
        // None of this has spoilt the engine.
        engine.close(sequence);
        assert_eq!(generate(&mut engine, &tokenizer, &long[1..], 9).unwrap().ids.len(), 2);
    }
}

#[test]
fn weights_that_are_not_numbers_are_an_error_and_not_a_text() {
    for bad in [f32::NAN, f32::INFINITY] {
        let writer = model().change("output_norm.weight", |tensor| tensor.data = bad.to_le_bytes().repeat(32));
        let file = Temporary::new(&writer.finish());
        for backend in [Backend::Cpu, Backend::Gpu] {
            let (mut engine, tokenizer) = open(&file.0, &on(backend)).unwrap();
            for temperature in [0.0, 1.0] {
                let request = Request {
                    prompt: vec![1, 2, 3],
                    max_tokens: 20,
                    sampling: SamplingOptions {
                        temperature,
                        top_k: 10,
                        top_p: 0.9,
                        repetition_penalty: 1.1,
                        ..SamplingOptions::default()
                    },
                    stop: Vec::new(),
                    ignore_eos: true,
                };
                let mut session = Session::new(&mut engine, &tokenizer).unwrap();
                let error = session.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap_err();
                assert!(matches!(error, Error::NotFinite { position: 3 }), "{bad}, {backend:?}: {error}");
            }
        }
    }
}

#[test]
fn paths_that_lead_to_no_model_say_so() {
    let missing = Path::new("/nowhere/model.gguf");
    let folder = Folder::new();
    folder.write("README.md", b"no model");
    let text = Temporary::new(b"<!DOCTYPE html><title>404</title>");
    let empty = Temporary::new(b"");
    let cases: [(&Path, &[&str]); 4] = [
        (missing, &["no model at /nowhere/model.gguf", "tools/quickstart.sh"]),
        (&folder.0, &["is a folder: expected model.safetensors", "found none"]),
        (&text.0, &["is no GGUF file", "<!DOCTYPE", "web page"]),
        (&empty.0, &["an empty file", "fetch it again"]),
    ];
    for (path, parts) in cases {
        let message = message(&open(path, &on(Backend::Cpu)).map(drop).unwrap_err());
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    }
    let cut = std::fs::read(golden()).unwrap();
    let cut = Temporary::new(&cut[..cut.len() - 1]);
    let message = message(&open(&cut.0, &on(Backend::Cpu)).map(drop).unwrap_err());
    assert!(message.contains("cut short"), "{message}");
}
