//! `ffai bench` from outside: what it refuses, what it prints, which rows it keeps.

use crate::thinking::thinker;
use crate::{TINY, command, fails, ffai, json, scratch, text};
use ffai::generate::{Backend, OpenOptions, open};
use ffai::graph::Element;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

/// A new folder for reports.
fn folder(name: &str) -> PathBuf {
    let folder = scratch(&format!("bench-{name}")).join("reports");
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

/// Measures `model` on the CPU.
fn measure(model: &str, reports: &Path, line: &[&str]) -> Output {
    let place = reports.display().to_string();
    ffai(&[&["bench", "--model", model, "--backend", "cpu", "--report-dir", &place], line].concat())
}

/// The sidecar of a folder, and its path.
fn sidecar(reports: &Path) -> (PathBuf, Value) {
    let files = std::fs::read_dir(reports).unwrap().map(|entry| entry.unwrap().path());
    let path = files.filter(|path| path.to_str().unwrap().ends_with(".state.json")).collect::<Vec<_>>();
    assert_eq!(path.len(), 1, "{path:?}");
    (path[0].clone(), serde_json::from_slice(&std::fs::read(&path[0]).unwrap()).unwrap())
}

fn rows(output: &Output) -> Vec<Value> {
    json(output).as_array().unwrap().clone()
}

#[test]
fn what_cannot_be_measured_is_told_before_a_model_is_looked_for() {
    let bench = |line: &[&str]| ffai(&[&["bench", "--model", "/no/such/model.gguf"], line].concat());
    fails(&bench(&["--method", "nope"]), 2, &["error: Unknown --method nope. Run `ffai bench --help` for the list.\n"]);
    fails(&bench(&[]), 2, &["error: ffai bench: --prompt is required for this method\n"]);
    fails(
        &bench(&["--method", "wikitext2", "--wikitext2-corpus", "/no/wiki.test.raw"]),
        1,
        &[
            "error: ffai bench: WikiText-2 corpus not found at /no/wiki.test.raw. Provide --wikitext2-corpus </path/to/wiki.test.raw>\n",
        ],
    );
    for (method, needs) in [
        ("ngram-spot", "n-gram lookup"),
        ("ngram-sweep", "n-gram lookup"),
        ("ngram-sweep-summary", "n-gram lookup"),
        ("vision", "vision encoder"),
    ] {
        let expected = format!("error: ffai bench --method {method}: not implemented yet — needs ");
        fails(&bench(&["--method", method]), 1, &[&expected, needs, "hint: methods that work: simple, "]);
    }
    fails(&bench(&["-p", "x", "--runs", "0"]), 2, &["--runs: expected a number from 1"]);
    fails(&bench(&["-p", "x", "--ctx", "12,x"]), 2, &["--ctx"]);
    fails(&bench(&["-p", "x", "--profiling", "7"]), 2, &["Invalid --profiling level 7. Use 0, 1, 2 or 3."]);
    fails(&bench(&["-p", "x"]), 1, &["/no/such/model.gguf"]);
    fails(&ffai(&["bench", "--prompt", "x"]), 2, &["--model"]);
    fails(&ffai(&["bench", "-p", "x", "/no/such/model.gguf"]), 1, &["/no/such/model.gguf"]);
    let help = text(&ffai(&["bench", "--help"]).stdout);
    for part in ["tool-calling", "ngram-sweep-summary", "--ref-model", "--wikitext2-max-tokens", "--report-dir"] {
        assert!(help.contains(part), "{part} in {help}");
    }
}

#[test]
fn a_run_is_silent_and_ends_with_its_block_row_and_page() {
    let reports = folder("simple");
    let line = ["--prompt", "hello", "--max-tokens", "14", "--ignore-eos", "--quantization", "f32", "--runs", "3"];
    let output = measure(TINY, &reports, &[&line, ["--warmup", "1"].as_slice()].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let (path, sidecar) = sidecar(&reports);
    let row = sidecar["rows"][0].as_object().unwrap();
    let number = |field: &str| row[field].as_f64().unwrap_or_else(|| panic!("{field} in {row:?}"));
    let block = format!(
        "[BENCH] simple {TINY}\n  prefill tok/s:  {:.2}\n  decode tok/s:   {:.2}\n  steady tok/s:   {:.2}\n  TTFT:           {:.2} ms\n  gen perplexity: {:.3}\n  report:         {}\n  sidecar:        {}\n",
        number("prefillTokensPerSecond"),
        number("decodeTokensPerSecond"),
        number("steadyTokensPerSecond"),
        number("timeToFirstTokenMs"),
        number("genPerplexity"),
        path.display().to_string().replace("/.", "/").replace(".state.json", ".md"),
        path.display(),
    );
    assert_eq!(text(&output.stdout), block);
    assert_eq!((number("generatedTokens"), number("contextSize")), (14.0, 256.0));
    assert_eq!((row["quantization"].as_str(), row["method"].as_str()), (Some("f32"), Some("simple")));
    assert!(sidecar["chip"] == "cpu-reference" || cfg!(target_os = "macos"));
    assert!(!row.values().any(Value::is_null));
    // The median of three is the one in the middle, and lies among its samples.
    let samples: Vec<f64> = serde_json::from_value(row["spread"]["decodeTokensPerSecond"]["samples"].clone()).unwrap();
    let mut sorted = samples.clone();
    sorted.sort_by(f64::total_cmp);
    assert_eq!((samples.len(), sorted[1]), (3, number("decodeTokensPerSecond")));
    // What it says is what `generate` says.
    let same = ffai(&[
        "generate",
        "-m",
        TINY,
        "--backend",
        "cpu",
        "-p",
        "hello",
        "--max-tokens",
        "14",
        "--ignore-eos",
        "--temperature",
        "0",
    ]);
    let said: String = text(&same.stdout).replace("\r\n", " ").replace(['\r', '\n'], " ").chars().take(160).collect();
    assert_eq!(row["outputPreview"].as_str().unwrap(), said);
}

#[test]
fn two_programs_that_measure_at_once_lose_no_row() {
    let reports = folder("at-once");
    let place = reports.display().to_string();
    let start = |label: &str| {
        let line =
            ["bench", "--model", TINY, "--backend", "cpu", "-p", "x", "--max-tokens", "2", "--report-dir", &place];
        command(&[&line, ["--quantization", label].as_slice()].concat()).stdout(Stdio::null()).spawn().unwrap()
    };
    let children: Vec<_> = ["a", "b", "c", "d"].map(start).into();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let (_, sidecar) = sidecar(&reports);
    let mut labels: Vec<&str> =
        sidecar["rows"].as_array().unwrap().iter().map(|row| row["quantization"].as_str().unwrap()).collect();
    labels.sort_unstable();
    assert_eq!(labels, ["a", "b", "c", "d"]);
}

#[test]
fn a_damaged_sidecar_fails_the_run_and_stays() {
    let reports = folder("damaged");
    assert!(measure(TINY, &reports, &["-p", "x", "--max-tokens", "2"]).status.success());
    let (path, _) = sidecar(&reports);
    std::fs::write(&path, "{\"rows\": [").unwrap();
    let output = measure(TINY, &reports, &["-p", "x", "--max-tokens", "2"]);
    fails(&output, 1, &[&path.display().to_string(), "hint: it was left as it is"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"rows\": [");
}

#[test]
fn a_sweep_has_a_row_for_each_context_of_exactly_so_many_tokens() {
    let reports = folder("summarization");
    let line = ["--method", "summarization", "--max-tokens", "3", "--json"];
    let found = rows(&measure(TINY, &reports, &[&line, ["--ctx", "7,64,200"].as_slice()].concat()));
    let fields =
        |row: &Value| (row["contextSize"].as_u64(), row["promptTokens"].as_u64(), row["generatedTokens"].as_u64());
    let expected = [7, 64, 200].map(|context| (Some(context), Some(context), Some(3)));
    assert_eq!(found.iter().map(fields).collect::<Vec<_>>(), expected);
    assert_eq!(sidecar(&reports).1["rows"].as_array().unwrap(), &found);
    fails(&measure(TINY, &reports, &[&line, ["--ctx", "64,256"].as_slice()].concat()), 2, &["--ctx", "found 256"]);
}

#[test]
fn needles_have_scores_and_a_picture() {
    let reports = folder("niah");
    let line = ["--method", "niah", "--ctx", "180,240", "--depths", "0,50,100", "--max-tokens", "4", "--json"];
    let output = measure(TINY, &reports, &line);
    let found = rows(&output);
    let needles = found[0]["needles"].as_array().unwrap();
    let places: Vec<_> = needles.iter().map(|needle| (needle["context"].as_u64(), needle["depth"].as_f64())).collect();
    let expected = [180, 240].map(|context| [0.0, 0.5, 1.0].map(|depth| (Some(context), Some(depth)))).concat();
    assert_eq!(places, expected);
    // A word of the notes has at most a dozen of this model's tokens.
    assert!((228..=240).contains(&found[0]["promptTokens"].as_u64().unwrap()), "{found:?}");
    for needle in needles {
        let (exact, fuzzy) = (needle["exact"].as_f64().unwrap(), needle["fuzzy"].as_f64().unwrap());
        assert!((exact == 0.0 || exact == 1.0) && (0.0..=1.0).contains(&fuzzy));
    }
    let stderr = text(&output.stderr);
    let picture = stderr.lines().find_map(|line| line.strip_prefix("  heat map:       ")).unwrap();
    assert!(picture.contains("-niah-") && std::fs::read_to_string(picture).unwrap().starts_with("<svg "));
    fails(
        &measure(TINY, &reports, &["--method", "niah", "--ctx", "20"]),
        2,
        &["--ctx", "needle and question", "found 20"],
    );
}

#[test]
fn turns_keep_what_was_said_before() {
    let model = thinker("bench-turns");
    let template = "{% for m in messages %}{{ m.role ~ ': ' ~ m.content ~ '\\n' }}{% endfor %}";
    std::fs::write(model.with_file_name("chat_template.jinja"), template).unwrap();
    let reports = folder("turns");
    let line = ["--method", "multi-turn", "--prompt", "hi", "--max-tokens", "3", "--json"];
    let found = rows(&measure(model.to_str().unwrap(), &reports, &line));
    let score = |name: &str| found[0]["scores"][name].as_f64().unwrap();
    assert_eq!(score("turn1KeptTokens"), 0.0);
    for turn in 2..=4 {
        let (kept, before) = (score(&format!("turn{turn}KeptTokens")), score(&format!("turn{}PromptTokens", turn - 1)));
        assert!(kept >= before, "turn {turn} kept {kept}, and its predecessor had {before}: {found:?}");
        assert!(score(&format!("turn{turn}TimeToFirstTokenMs")) > 0.0);
    }
    assert_eq!(found[0]["promptTokens"].as_f64().unwrap(), score("turn4PromptTokens"));
    fails(&measure(TINY, &reports, &line), 1, &["ffai bench --method multi-turn: ", "has no chat template", "hint: "]);
}

#[test]
fn calls_of_tools_need_a_template_that_tells_of_tools() {
    let model = thinker("bench-tools");
    let path = model.to_str().unwrap();
    let reports = folder("tools");
    let template = model.with_file_name("chat_template.jinja");
    let line = ["--method", "tool-calling", "--max-tokens", "4", "--json"];
    std::fs::write(&template, "{{ messages[0].content }}").unwrap();
    fails(
        &measure(path, &reports, &line),
        1,
        &["ffai bench --method tool-calling: ", "tells the model of no tools", "hint: "],
    );
    // The whole of the tools would not fit the tiny model's context.
    let tells = "{% for tool in tools %}{{ tool.function.name ~ ' ' }}{% endfor %}{{ messages[0].content }}";
    std::fs::write(&template, tells).unwrap();
    let scores = rows(&measure(path, &reports, &line))[0]["scores"].clone();
    assert_eq!((scores["cases"].as_f64(), scores["noCallAccuracy"].as_f64()), (Some(15.0), Some(1.0)), "{scores}");
    assert_eq!(scores["callAccuracy"].as_f64(), Some(2.0 / 15.0), "a random model calls nothing: {scores}");

    let cases = model.with_file_name("cases.jsonl");
    let question = r#"{"id": "a", "question": [[{"role": "user", "content": "x"}]], "function": [{"name": "f", "parameters": {"type": "dict", "properties": {}}}]}"#;
    std::fs::write(&cases, question).unwrap();
    let with = |more: &[&str]| {
        measure(path, &reports, &[&line, ["--cases", cases.to_str().unwrap()].as_slice(), more].concat())
    };
    assert_eq!(rows(&with(&[]))[0]["scores"]["callAccuracy"].as_f64(), Some(1.0));
    let answers = model.with_file_name("answers.jsonl");
    std::fs::write(&answers, r#"{"id": "a", "ground_truth": [{"f": {}}]}"#).unwrap();
    assert_eq!(rows(&with(&["--answers", answers.to_str().unwrap()]))[0]["scores"]["callAccuracy"].as_f64(), Some(0.0));
    std::fs::write(&cases, "nothing of the kind").unwrap();
    fails(&with(&[]), 1, &["cases.jsonl: expected JSONL of the Berkeley", "line 1"]);
}

#[test]
fn a_model_is_no_distance_from_itself() {
    let reports = folder("reference");
    let line = ["-p", "hello", "--max-tokens", "6", "--ignore-eos", "--json", "--ref-model", TINY];
    let row = &rows(&measure(TINY, &reports, &line))[0];
    assert!(row["genKLDivergence"].as_f64().unwrap().abs() < 1e-9, "{row}");
    let other = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/llama/llama3.gguf");
    let line = ["-p", "hello", "--max-tokens", "6", "--ref-model", other];
    fails(&measure(TINY, &reports, &line), 1, &["the vocabularies differ: the reference has "]);
    fails(&measure(TINY, &reports, &["-p", "x", "--ref-model", "/no/such.gguf"]), 1, &["/no/such.gguf"]);
}

#[test]
fn a_corpus_is_scored_in_chunks() {
    let folder = scratch("bench-corpus");
    let corpus = folder.join("wiki.test.raw");
    std::fs::write(&corpus, " = Title = \n\n The quick brown fox jumps over the lazy dog. ".repeat(60)).unwrap();
    let reports = self::folder("wikitext2");
    let line = ["--method", "wikitext2", "--wikitext2-corpus", corpus.to_str().unwrap(), "--json"];
    let with = |more: &[&str]| measure(TINY, &reports, &[&line, more].concat());
    let row = &rows(&with(&["--wikitext2-max-tokens", "300", "--ctx", "64"]))[0];
    // Four whole chunks of 64 are in 300 tokens; of each the last 31 are scored.
    assert_eq!((row["promptTokens"].as_u64(), row["generatedTokens"].as_u64()), (Some(4 * 31), Some(0)), "{row}");
    assert!(row["genPerplexity"].as_f64().unwrap() > 1.0 && row["prefillTokensPerSecond"].as_f64().unwrap() > 0.0);
    assert!(row.get("outputPreview").is_none() && row["decodeTokensPerSecond"] == 0.0 && row["kvCacheUsedBytes"] == 0);
    std::fs::write(&corpus, "short").unwrap();
    fails(&with(&["--ctx", "64"]), 1, &["hint: "]);
}

#[test]
fn the_log_of_benches_opens_by_itself() {
    let reports = folder("log");
    let place = reports.display().to_string();
    let line = ["bench", "--model", TINY, "--backend", "cpu", "-p", "x", "--max-tokens", "2", "--report-dir", &place];
    let line = [line.as_slice(), &["--profile"]].concat();
    let output = command(&line).env("FFAI_DEBUG_BENCH", "1").output().unwrap();
    let stderr = text(&output.stderr);
    let logged: Vec<&str> = stderr.lines().filter(|line| line.starts_with("[ffai:")).collect();
    assert!(logged.len() >= 4 && logged.iter().all(|line| line.starts_with("[ffai:bench] ")), "{stderr}");
    assert!(stderr.starts_with("note: ops are not timed while a model is measured"), "{stderr}");
    assert!(stderr.contains("[ffai:bench] method simple: ") && stderr.contains("[ffai:bench] run 1 of 1"), "{stderr}");
}

/// What a model says of a text, by all of its logits and nothing else.
#[test]
fn the_perplexity_of_what_was_said_is_that_of_its_logits() {
    let reports = folder("logits");
    let line = ["-p", "hello", "--max-tokens", "12", "--ignore-eos", "--kv-cache", "f32", "--json"];
    let row = &rows(&measure(TINY, &reports, &line))[0];
    let said =
        json(&ffai(&[&["generate", "-m", TINY, "--backend", "cpu", "--temperature", "0"], line.as_slice()].concat()));
    let ids = |field: &str| serde_json::from_value::<Vec<u32>>(said[field].clone()).unwrap();
    let (prompt, tokens) = (ids("prompt_ids"), [ids("prompt_ids"), ids("generated_ids")].concat());
    let options = OpenOptions { backend: Backend::Cpu, kv: Element::F32, ..OpenOptions::default() };
    let (mut engine, _) = open(TINY.as_ref(), &options, &mut |_, _| {}).unwrap();
    let sequence = engine.open().unwrap();
    let positions: Vec<usize> = (prompt.len() - 1..tokens.len() - 1).collect();
    let logits = engine.logits(sequence, &tokens[..tokens.len() - 1], &positions).unwrap();
    let nll = |(logits, &token): (&Vec<f32>, &u32)| {
        let sum: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
        sum.ln() - f64::from(logits[token as usize])
    };
    let all: Vec<f64> = logits.iter().zip(&tokens[prompt.len()..]).map(nll).collect();
    let expected = (all.iter().sum::<f64>() / all.len() as f64).exp();
    let found = row["genPerplexity"].as_f64().unwrap();
    assert_eq!(all.len(), 12);
    assert!((found / expected - 1.0).abs() < 1e-5, "{found}, by its logits {expected}");
}
