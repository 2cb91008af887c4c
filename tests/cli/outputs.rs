//! What is printed, and where.

use crate::{TINY, command, ffai, json, real_model, text, tiny};
use std::io::Read as _;
use std::process::Command;

#[test]
fn a_pipe_gets_the_text_alone_and_the_rest_goes_to_stderr() {
    let line = ["-p", "hello", "--max-tokens", "12", "--temperature", "0"];
    let output = tiny(&[line.as_slice(), &["--stats", "--verbose"]].concat());
    assert!(output.status.success());
    let object = json(&tiny(&[line.as_slice(), &["--json"]].concat()));
    assert_eq!(text(&output.stdout), object["text"].as_str().unwrap());
    let notes = text(&output.stderr);
    let mut rest = notes.as_str();
    for part in [
        "ffai 0.1.0 — loading ",
        "…\n",
        "loaded in ",
        "seed: ",
        "prompt ids: [1, ",
        "next token:\n",
        "%",
        "---\n",
        "hello",
        "---\n",
        "prompt: ",
        " tokens (",
        "s prefill)\n",
        "generated: 12 tokens in ",
        " tok/s)\n",
        "[STATS]\n  prompt:    ",
        "  wired ticket: ",
    ] {
        let at = rest.find(part).unwrap_or_else(|| panic!("expected {part:?} in its place in {notes:?}"));
        rest = &rest[at + part.len()..];
    }
    for option in ["--quiet", "--no-stream"] {
        let output = tiny(&[line.as_slice(), &[option]].concat());
        assert_eq!(text(&output.stdout), object["text"].as_str().unwrap());
        assert_eq!(output.stderr.is_empty(), option == "--quiet");
    }
}

#[test]
fn json_has_the_contracts_fields() {
    let run = ["-p", "hello", "--max-tokens", "16", "--temperature", "0", "--ignore-eos", "--json"];
    let object = json(&tiny(&run));
    let fields: Vec<&String> = object.as_object().unwrap().keys().collect();
    let expected =
        ["model", "backend", "device", "prompt_ids", "generated_ids", "text", "finish_reason", "stats", "step"];
    assert_eq!(fields, expected);
    assert_eq!(object["backend"], "cpu");
    assert_eq!(object["finish_reason"], "length");
    assert_eq!(object["generated_ids"].as_array().unwrap().len(), 16);
    let stats = object["stats"].as_object().unwrap();
    assert_eq!((&stats["generated_tokens"], &stats["context_size"]), (&16.into(), &256.into()));
    assert_eq!(stats["cached_prompt_tokens"], 0);
    for field in ["prefill_seconds", "decode_tokens_per_second", "steady_tokens_per_second", "weights_bytes"] {
        assert!(stats[field].as_f64().unwrap() > 0.0, "{field}");
    }
    let step = object["step"].as_object().unwrap();
    for field in ["dispatches", "passes", "hazards", "submits", "syncs", "readback_bytes", "weight_bytes", "kv_bytes"] {
        assert!(step[field].is_u64(), "{field}");
    }
}

#[test]
fn the_same_seed_gives_the_same_text() {
    let run =
        |seed| text(&tiny(&["-p", "hello", "--max-tokens", "16", "--temperature", "1", "--seed", seed, "-q"]).stdout);
    assert_eq!(run("7"), run("7"));
    assert_ne!(run("7"), run("8"));
}

#[test]
fn a_stop_string_never_leaks() {
    let run = ["-p", "hello", "--max-tokens", "60", "--temperature", "0", "--ignore-eos"];
    let whole = text(&tiny(&[run.as_slice(), &["-q"]].concat()).stdout);
    let characters: Vec<char> = whole.chars().collect();
    assert!(characters.len() > 12, "{whole:?}");
    for (from, length) in [(0, 1), (3, 2), (5, 4), (characters.len() / 2, 5)] {
        let stop: String = characters[from..from + length].iter().collect();
        let at = whole.find(&stop).unwrap();
        let stopped = [run.as_slice(), &["--stop", "never there", "--stop", &stop]].concat();
        assert_eq!(text(&tiny(&[stopped.as_slice(), &["-q"]].concat()).stdout), whole[..at], "{stop:?}");
        assert_eq!(json(&tiny(&[stopped.as_slice(), &["--json"]].concat()))["finish_reason"], "stop");
    }
}

#[test]
fn the_default_backend_is_a_gpu_and_is_named() {
    let output = ffai(&["-m", TINY, "-p", "hi", "--max-tokens", "4", "--json", "--kv-cache", "f32", "--checked"]);
    assert_eq!(json(&output)["backend"], "gpu");
    let notes = text(&output.stderr);
    assert!(notes.contains(&format!("device: {} (gpu", json(&output)["device"].as_str().unwrap())), "{notes}");
}

#[test]
fn a_closed_pipe_ends_the_run_quietly() {
    let mut child =
        command(&["-m", TINY, "--backend", "cpu", "-p", "hi", "--max-tokens", "200", "--ignore-eos"]).spawn().unwrap();
    drop(child.stdout.take());
    let mut notes = String::new();
    child.stderr.take().unwrap().read_to_string(&mut notes).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{notes}");
    assert!(!notes.contains("error") && !notes.contains("panicked") && !notes.contains("generated:"), "{notes}");
    for line in [["completions", "bash"], ["--device", "list"]] {
        let mut child = command(&line).spawn().unwrap();
        drop(child.stdout.take());
        assert!(matches!(child.wait_with_output().unwrap(), output if output.status.code() == Some(0)), "{line:?}");
    }
}

#[test]
#[cfg(unix)]
fn an_interrupt_ends_the_text_and_shows_the_statistics() {
    let Some(model) = real_model() else { return };
    let mut child =
        command(&["-m", &model, "-p", "Once upon a time", "--max-tokens", "4000", "--ignore-eos"]).spawn().unwrap();
    let mut first = [0; 16];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let notes = text(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{notes}");
    assert!(notes.contains("generated: ") && notes.contains("[STATS]\n") && !notes.contains("error"), "{notes}");
}
