//! Opens conversions with mlx_lm: it must load them, compute the same logits in f32, and split text alike.
//!
//! `tools/test.sh` makes the python that has mlx_lm.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

#[path = "support/conversion.rs"]
mod conversion;
#[path = "support/model.rs"]
mod model;

use conversion::{converted, golden, logits};
use ffai::convert::{ConvertOptions, Float};
use ffai::generate::Backend;
use ffai::weights::Checkpoint;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The python that has mlx_lm: where the variable says, else in the user's cache. `None` where it is missing, which fails under CI.
fn python() -> Option<PathBuf> {
    let kept = || ffai::weights::default_model().map(|model| model.with_file_name("mlx-python/bin/python"));
    let path = std::env::var_os("FFAI_TEST_MLX_PYTHON").map(PathBuf::from).or_else(kept).unwrap_or_default();
    if path.is_file() {
        return Some(path);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing; tools/test.sh makes it", path.display());
    println!("SKIPPED: {}, a python with mlx_lm, is missing; tools/test.sh makes it", path.display());
    None
}

/// A conversion, and what mlx is to make of it.
struct Job {
    folder: PathBuf,
    json: Value,
    /// What our own tokenizer makes of the texts.
    text_ids: Value,
    bits_per_weight: f64,
    /// Largest NMSE of its logits.
    at_most: f64,
}

/// mlx_lm has no windows for Mistral and Gemma 2: prompts end before they matter.
const WITHOUT_WINDOW: usize = 8;

/// Prompts, texts with their ids, and what computes the logits that mlx's are compared with.
struct Asked {
    backend: Backend,
    ids: Vec<Vec<u32>>,
    texts: Vec<(String, Vec<u32>)>,
}

fn job(name: &str, source: &Path, options: &ConvertOptions, asked: &Asked, at_most: f64) -> Job {
    let Asked { backend, ids, texts } = asked;
    let (folder, report) = converted(name, source, options);
    let own: Vec<f32> = logits(*backend, &folder, ids).into_iter().flatten().flatten().collect();
    let file = folder.with_extension("logits");
    std::fs::write(&file, bytemuck::cast_slice(&own)).unwrap();
    let plain: Vec<&String> = texts.iter().map(|(text, _)| text).collect();
    Job {
        json: json!({"folder": folder, "ids": ids, "logits": file, "texts": plain}),
        text_ids: json!(texts.iter().map(|(_, ids)| ids).collect::<Vec<_>>()),
        bits_per_weight: report.bits_per_weight,
        folder,
        at_most,
    }
}

/// Runs all jobs in one process: loading mlx takes longer than what it computes here.
fn agree(python: &Path, jobs: &[Job]) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mlx/agree.py");
    let mut child = Command::new(python)
        .arg(script)
        .env("HF_HUB_OFFLINE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", python.display()));
    let list = Value::Array(jobs.iter().map(|job| job.json.clone()).collect()).to_string();
    child.stdin.take().unwrap().write_all(list.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{script} failed, see above");
    let found: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found.len(), jobs.len());
    let mut failures = Vec::new();
    for (job, found) in jobs.iter().zip(found) {
        let (name, nmse) = (job.folder.file_name().unwrap().display(), found["nmse"].as_f64().unwrap());
        let at_most = job.at_most;
        println!("{name}: nmse {nmse:e}");
        if !nmse.is_finite() || nmse > at_most {
            failures.push(format!("{name}: nmse {nmse:e}, at most {at_most:e}"));
        }
        if found["text_ids"] != job.text_ids {
            failures.push(format!("{name}: mlx reads texts as {}, we as {}", found["text_ids"], job.text_ids));
        }
        let bits = found["bits_per_weight"].as_f64().unwrap();
        // mlx counts the rotary frequencies of Llama 3.1 in, which it computes itself.
        if (bits / job.bits_per_weight - 1.0).abs() > 5e-3 {
            failures.push(format!("{name}: {bits} bits per weight by mlx, {} by us", job.bits_per_weight));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn options(bits: u32, group: u32) -> ConvertOptions {
    ConvertOptions { bits: Some(bits), group, ..ConvertOptions::default() }
}

/// Every family from GGUF and from safetensors, every number of bits and size of group that the tiny models' rows allow, mixed bits,
/// every type of scales, and unquantized. Measured: NMSE of 2e-13 to 9e-13.
#[test]
fn mlx_opens_golden_conversions_and_agrees() {
    let Some(python) = python() else { return };
    let mixed = |roles: &[(&str, Option<u32>)]| ConvertOptions {
        roles: roles.iter().map(|(role, bits)| ((*role).to_owned(), *bits)).collect(),
        ..options(4, 32)
    };
    let plain = ConvertOptions::default();
    let scales = |dtype| ConvertOptions { dtype: Some(dtype), ..options(4, 32) };
    let cases: Vec<(&str, &str, ConvertOptions)> = vec![
        ("llama", "llama.gguf", options(2, 32)),
        ("llama", "hf", options(8, 64)),
        ("llama", "mlx", options(6, 32)),
        ("llama", "hf", mixed(&[("value", Some(8)), ("mlp", Some(3)), ("head", None), ("embedding", Some(6))])),
        ("llama31", "llama31.gguf", options(5, 32)),
        ("llama31", "hf-parts", ConvertOptions { shard_bytes: 8000, ..options(4, 32) }),
        ("llama31", "hf", plain.clone()),
        ("mistral", "mistral.gguf", scales(Float::F16)),
        ("mistral", "hf", options(4, 32)),
        ("qwen2", "qwen2.gguf", options(6, 32)),
        ("qwen2", "hf", options(4, 64)),
        ("qwen3", "qwen3.gguf", options(3, 32)),
        ("qwen3", "hf", scales(Float::F32)),
        ("gemma2", "gemma2.gguf", options(4, 32)),
        ("gemma2", "hf", options(8, 32)),
        ("gemma3", "gemma3.gguf", options(4, 32)),
        ("gemma3", "hf", plain),
        ("gemma3", "mlx", options(5, 64)),
    ];
    let mut jobs = Vec::new();
    for (number, (family, source, options)) in cases.iter().enumerate() {
        let tokens = std::fs::read(golden(family).join("tokens.json")).unwrap();
        let mut ids: Vec<u32> = serde_json::from_slice(&tokens).unwrap();
        if matches!(*family, "mistral" | "gemma2") {
            ids.truncate(WITHOUT_WINDOW);
        }
        let texts = conversion::texts(family, *source != "hf");
        let asked = Asked { backend: Backend::Cpu, ids: vec![ids], texts };
        jobs.push(job(&format!("{number}-{family}"), &golden(family).join(source), options, &asked, 1e-11));
    }
    agree(&python, &jobs);
}

/// Measured: NMSE of 5e-12 for SmolLM2. mlx_lm rounds the factor of Gemma's embeddings, √640, to bf16, which costs 6.4e-7; with the
/// factor in f32 it comes to 2e-12.
#[test]
fn mlx_opens_real_models_and_agrees() {
    let Some(python) = python() else { return };
    let mut jobs = Vec::new();
    for (name, options, at_most) in [("smollm2", options(8, 64), 1e-8), ("gemma3", options(4, 64), 2e-6)] {
        let Some(path) = model::real(name) else { continue };
        let tokenizer = ffai::generate::tokenizer(&Checkpoint::open(&path).unwrap()).unwrap();
        let encode = |text: &str| conversion::encode(&tokenizer, text);
        let texts = [
            "Hello,  world!\n\n\tIt's 12345.67 in İstanbul 🦙",
            "<|im_start|>user\nhi<|im_end|>\n<start_of_turn>model\n",
            "def f(x):\n        return {'a': x ** 2}  # naïve\n\n\n",
        ];
        let texts = texts.into_iter().map(|text| (text.to_owned(), encode(text))).collect();
        let asked = Asked { backend: Backend::Gpu, ids: vec![encode("The capital of France is")], texts };
        jobs.push(job(name, &path, &options, &asked, at_most));
    }
    agree(&python, &jobs);
    for job in jobs {
        std::fs::remove_dir_all(job.folder).unwrap();
    }
}
