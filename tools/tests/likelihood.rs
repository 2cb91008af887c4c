//! `tools score` and `tools choice` from outside, held to the logits of the same model by `tools logits`.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

#[path = "../../tests/support/npy.rs"]
mod npy;

use serde_json::{Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/llama/llama2.gguf");
const RUNNING: [&str; 6] = ["--model", MODEL, "--backend", "cpu", "--kv-cache", "f32"];
/// In nats: sums of f32 logarithms.
const CLOSE: f64 = 1e-4;

fn tools(command: &str, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tools"))
        .arg(command)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A tool that refuses its arguments does not read on.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn score(input: &[Value]) -> Vec<Value> {
    let input: String = input.iter().map(|line| format!("{line}\n")).collect();
    let output = tools("score", &RUNNING, &input);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    lines(&output)
}

fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("likelihood-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn ids(text: &str, bos: bool) -> Vec<u32> {
    let mut arguments = vec!["--model", MODEL, "--no-special", "--text", text];
    arguments.extend(bos.then_some("--add-bos"));
    serde_json::from_slice(&tools("tokenize", &arguments, "").stdout).unwrap()
}

/// log p of every token behind the first, and whether each is the most probable one, from logits in f64.
fn reference(ids: &[u32]) -> Vec<(f64, bool)> {
    let file = scratch("logits").join(format!("{}.npy", ids.len()));
    let list = format!("{ids:?}");
    let more = ["--ids", &list, "--positions", "all", "-o", file.to_str().unwrap()];
    let output = tools("logits", &[&RUNNING[..], &more].concat(), "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let one = |(logits, &next): (&Vec<f32>, &u32)| {
        let logits: Vec<f64> = logits.iter().map(|&logit| f64::from(logit)).collect();
        let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logits.iter().map(|logit| (logit - most).exp()).sum();
        let chosen = logits[next as usize];
        (chosen - most - sum.ln(), chosen == most)
    };
    npy::read(&file).iter().zip(&ids[1..]).map(one).collect()
}

#[track_caller]
fn close(found: &Value, want: f64) {
    let found = found.as_f64().unwrap();
    assert!((found - want).abs() < CLOSE, "{found}, not {want}");
}

#[test]
fn a_continuation_has_the_probability_of_its_tokens() {
    for (context, continuation) in [("The quick", " brown fox"), ("Once upon a time", ", there was"), ("a ", "b")] {
        let whole = ids(&format!("{context}{continuation}"), true);
        let alone = ids(context.trim_end(), true);
        assert_eq!(whole[..alone.len()], alone, "the border is kept");
        let want = &reference(&whole)[alone.len() - 1..];
        let found = &score(&[json!({ "context": context, "continuation": continuation })])[0];
        close(&found["logprob"], want.iter().map(|token| token.0).sum());
        assert_eq!(found["tokens"], whole.len() - alone.len());
        assert_eq!(found["is_greedy"], want.iter().all(|token| token.1));
    }
}

/// A context, and the text of the token that greedy decoding gives behind it; `None` where that text is read as something else.
fn greedy(context: &str) -> Option<String> {
    let before = ids(context, true);
    let list = format!("{before:?}");
    let output = tools("generate-ids", &[&RUNNING[..], &["--ids", &list, "--max-tokens", "1"]].concat(), "");
    let generated: Value = serde_json::from_slice(&output.stdout).unwrap();
    let next = generated["ids"].get(0)?.as_u64()?;
    let text = tools("detokenize", &["--model", MODEL, "--ids", &next.to_string()], "").stdout;
    let text = String::from_utf8(text).ok()?;
    let whole = ids(&format!("{context}{text}"), true);
    (whole[..before.len()] == before && whole[before.len()..] == [next as u32]).then_some(text)
}

#[test]
fn the_greedy_continuation_is_known_as_such() {
    let contexts = (0..100).map(|number| format!("Hello {number}"));
    let (context, text) = contexts.into_iter().find_map(|context| Some((context.clone(), greedy(&context)?))).unwrap();
    let found = score(&[
        json!({ "context": context, "continuation": text }),
        json!({ "context": context, "continuation": "qqqqqqqqqqqq" }),
    ]);
    assert_eq!((&found[0]["is_greedy"], &found[1]["is_greedy"]), (&json!(true), &json!(false)));
}

#[test]
fn a_whole_text_is_scored_from_its_beginning() {
    let text = "The quick brown fox jumps over the lazy dog";
    let whole = ids(text, false);
    let with_bos = ids(text, true);
    assert_eq!(with_bos[1..], whole, "a text begins with one token more");
    let want = reference(&with_bos);
    let found = &score(&[json!({ "text": text })])[0];
    close(&found["logprob"], want.iter().map(|token| token.0).sum());
    assert_eq!(found["tokens"], whole.len());
}

/// Also across blocks and kinds of lines, with empty lines between.
#[test]
fn answers_come_in_the_order_of_the_lines() {
    let line = |index: usize| match index % 3 {
        0 => json!({ "id": index, "text": "word ".repeat(index % 7 + 1) }),
        _ => json!({ "id": index, "context": "c".repeat(index % 11), "continuation": "d".repeat(index % 5 + 1) }),
    };
    let input: Vec<Value> = (0..40).map(line).collect();
    let found = score(&input);
    assert_eq!(
        found.iter().map(|answer| answer["id"].as_u64().unwrap()).collect::<Vec<_>>(),
        (0..40).collect::<Vec<_>>()
    );
    for index in [0, 1, 17, 39] {
        let alone = &score(&input[index..=index])[0];
        close(&alone["logprob"], found[index]["logprob"].as_f64().unwrap());
    }
}

#[test]
fn a_bad_line_is_named_after_the_answers_before_it() {
    let good = json!({ "context": "a", "continuation": "b" });
    for (bad, part) in [
        ("{", "line 3: expected {\"context\": TEXT, \"continuation\": TEXT} or {\"text\": TEXT}, found: EOF"),
        (r#"{"context": "a"}"#, "line 3: expected"),
        (r#"{"context": "a", "continuation": ""}"#, "line 3: expected a continuation that is not empty"),
        (r#"{"text": ""}"#, "line 3: expected a text that is not empty"),
        (r#"{"context": 1, "continuation": "b"}"#, "line 3: expected"),
        ("\u{0}", "line 3: expected"),
    ] {
        let output = tools("score", &RUNNING, &format!("{good}\n\n{bad}\n{good}\n"));
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains(part), "{message}");
        assert_eq!(lines(&output).len(), 1, "{bad}");
    }
    let long = json!({ "context": "a", "continuation": "b ".repeat(5000) });
    let output = tools("score", &RUNNING, &format!("{good}\n{long}\n"));
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("standard input: line 2: "), "{message}");
}

fn questions(name: &str, questions: &[Value]) -> String {
    let file = scratch(name).join("questions.jsonl");
    std::fs::write(&file, questions.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    file.display().to_string()
}

#[test]
fn the_most_probable_choice_is_chosen_by_sum_and_by_length() {
    let choices = ["yes", "no", "a rather long answer", "x"];
    let contexts = ["Is it?", "The sky is", "Numbers: 1 2 3", "", "fox"];
    let asked: Vec<Value> = contexts
        .iter()
        .flat_map(|context| choices.map(|choice| json!({ "context": context, "continuation": format!(" {choice}") })))
        .collect();
    let logprobs: Vec<f64> = score(&asked).iter().map(|answer| answer["logprob"].as_f64().unwrap()).collect();
    let best = |by: &dyn Fn(usize, f64) -> f64| -> Vec<usize> {
        let question = |of: &[f64]| {
            let values: Vec<f64> = of.iter().enumerate().map(|(index, &logprob)| by(index, logprob)).collect();
            (0..values.len()).max_by(|&one, &other| values[one].total_cmp(&values[other])).unwrap()
        };
        logprobs.chunks(choices.len()).map(question).collect()
    };
    let (plain, normalised) = (best(&|_, sum| sum), best(&|index, sum| sum / choices[index].len() as f64));
    assert_ne!(plain, normalised, "both rules are felt");
    // Answers by index and by letter; every one is what the sum chooses, save the last.
    let letters = ["A", "B", "C", "D"];
    let wrong = (plain[4] + 1) % 4;
    let lines: Vec<Value> = contexts
        .iter()
        .enumerate()
        .map(|(index, context)| match index {
            0 => json!({ "question": context, "choices": choices, "answer": letters[plain[0]] }),
            4 => json!({ "context": context, "choices": choices, "answer": wrong }),
            _ => json!({ "context": context, "choices": choices, "answer": plain[index] }),
        })
        .collect();
    let file = questions("choice", &lines);
    let output = scratch("choice").join("answers.jsonl");
    let arguments = [&RUNNING[..], &["--file", &file, "--json", "--output", output.to_str().unwrap()]].concat();
    let ran = tools("choice", &arguments, "");
    let object: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!((object["acc"].as_f64().unwrap(), object["questions"].as_u64().unwrap()), (0.8, 5));
    // √(0.8 · 0.2 / 4)
    close(&object["acc_stderr"], 0.2);
    let right = normalised.iter().zip(plain[..4].iter().chain([&wrong])).filter(|(one, other)| one == other).count();
    close(&object["acc_norm"], right as f64 / 5.0);
    let answers = std::fs::read_to_string(&output).unwrap();
    for (index, answer) in answers.lines().enumerate() {
        let answer: Value = serde_json::from_str(answer).unwrap();
        assert_eq!(answer["line"], index + 1);
        assert_eq!((&answer["chosen"], &answer["chosen_norm"]), (&json!(plain[index]), &json!(normalised[index])));
        for choice in 0..choices.len() {
            close(&answer["logprobs"][choice], logprobs[index * choices.len() + choice]);
        }
    }
    let page = tools("choice", &[&RUNNING[..], &["--file", &file, "--limit", "4"]].concat(), "");
    let page = String::from_utf8(page.stdout).unwrap();
    assert!(page.starts_with("acc       1.0000 ± 0.0000\nacc_norm  ") && page.ends_with("questions 4\n"), "{page}");
}

#[test]
fn bad_questions_are_named_before_a_model_is_loaded() {
    for (bad, part) in [
        (json!({ "context": "a", "choices": ["b"], "answer": 0 }), "line 2: expected at least two choices, found 1"),
        (json!({ "context": "a", "choices": ["b", ""], "answer": 0 }), "found none in choice 1"),
        (json!({ "context": "a", "choices": ["b", "c"], "answer": 2 }), "among 2 choices, found `2`"),
        (json!({ "context": "a", "choices": ["b", "c"], "answer": "C" }), "among 2 choices, found `C`"),
        (json!({ "context": "a", "choices": ["b", "c"], "answer": "both" }), "an answer such as 0 or A, found `both`"),
        (json!({ "context": "a", "choices": ["b", "c"] }), "missing field `answer`"),
        (json!({ "choices": ["b", "c"], "answer": 0 }), "missing field `context`"),
    ] {
        let file = questions("bad", &[json!({ "context": "a", "choices": ["b", "c"], "answer": 0 }), bad]);
        let output = tools("choice", &["--model", "/nowhere.gguf", "--file", &file], "");
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains(part) && message.contains("line 2"), "{part}: {message}");
    }
    let empty = questions("empty", &[]);
    let output = tools("choice", &["--model", "/nowhere.gguf", "--file", &empty], "");
    assert!(String::from_utf8_lossy(&output.stderr).contains("expected questions, found none"));
}
