//! Thinking from outside: what a pipe, `--hide-thinking` and `--json` get of it.

use crate::{command, ffai, json, scratch, text};
use serde_json::Value;
use std::path::PathBuf;

/// A tiny model whose vocabulary has `<think>` and `</think>` as control tokens, in place of two that it had. It says token 269 by
/// chance.
pub(crate) fn thinker(name: &str) -> PathBuf {
    let mut bytes = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/llama/llama3.gguf")).unwrap();
    let mut rename = |from: &str, to: &str| {
        let written = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
        let from = written(from);
        let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
        bytes.splice(at..at + from.len(), written(to));
    };
    rename("<|end_of_text|>", "<think>");
    rename("<|start_header_id|>", "</think>");
    // 19 bytes less, so 19 more elsewhere: then the weights stay aligned.
    rename("tiny random llama3", "tiny random llama3 with two new tags.");
    let path = scratch(name).join("thinker.gguf");
    std::fs::write(&path, bytes).unwrap();
    path
}

fn run(name: &str, prompt: &str, more: &[&str]) -> std::process::Output {
    let model = thinker(name);
    let model = model.to_str().unwrap();
    let line = ["-m", model, "--backend", "cpu", "-p", prompt, "--max-tokens", "20", "--ignore-eos"];
    ffai(&[&line, ["--temperature", "1", "--seed", "3"].as_slice(), more].concat())
}

fn string<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap()
}

#[test]
fn json_holds_thinking_and_answer_apart() {
    let object = json(&run("thinking-json", "hello", &["--json"]));
    let ids: Vec<u64> = object["generated_ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect();
    let opened = ids.iter().position(|&id| id == 269).unwrap();
    assert!(!ids.contains(&270), "the thought of this test is never closed");
    let whole = string(&object, "text");
    let (before, thought) = whole.split_once("<think>").unwrap();
    assert_eq!(string(&object, "answer"), before);
    assert_eq!(string(&object, "thinking"), thought.trim_start_matches(['\n', '\r']));
    assert_eq!(object["stats"]["think_tokens"], ids.len() - opened);
    assert_eq!(object["stats"]["gen_tokens"], opened);
}

#[test]
fn a_pipe_gets_thinking_with_its_marks_or_not_at_all() {
    let object = json(&run("thinking-pipe", "hello", &["--json"]));
    let output = run("thinking-pipe", "hello", &["--stats"]);
    assert_eq!(text(&output.stdout), string(&object, "text"));
    let stats = text(&output.stderr);
    let split = format!(
        "\n  think / gen split: {} / {} tokens\n",
        object["stats"]["think_tokens"], object["stats"]["gen_tokens"]
    );
    assert!(stats.contains(&split), "{stats}");
    for more in [["--hide-thinking"].as_slice(), &["--hide-thinking", "--no-stream"], &["--hide-thinking", "--quiet"]] {
        assert_eq!(text(&run("thinking-pipe", "hello", more).stdout), string(&object, "answer"), "{more:?}");
    }
}

#[test]
fn thinking_that_the_prompt_opens_is_hidden_from_the_start() {
    let object = json(&run("thinking-prompt", "hello<think>", &["--json"]));
    assert_eq!(object["stats"]["gen_tokens"], 0);
    assert_eq!(string(&object, "answer"), "");
    assert_eq!(text(&run("thinking-prompt", "hello<think>", &["--hide-thinking"]).stdout), "");
    // Closed in the prompt, it is over.
    let object = json(&run("thinking-prompt", "hello<think></think>", &["--json", "--max-tokens", "4"]));
    assert_eq!(object["stats"]["think_tokens"], 0);
    assert_eq!(object.get("thinking"), None);
}

/// On a terminal, which `script` plays: dimmed, and not so where the user wants no colours.
#[test]
#[cfg(target_os = "linux")]
fn a_terminal_gets_thinking_dimmed() {
    let model = thinker("thinking-terminal");
    let line = format!(
        "{} -m {} --backend cpu -p 'hello<think>' --max-tokens 4 --temperature 0 --ignore-eos",
        env!("CARGO_BIN_EXE_ffai"),
        model.display()
    );
    let terminal = |more: &str, variable: (&str, &str)| {
        let mut script = std::process::Command::new("script");
        script.args(["-qec", &format!("{line} {more}"), "/dev/null"]).env("TERM", "xterm").env(variable.0, variable.1);
        script.env_remove("FFAI_MODEL").stdin(std::process::Stdio::null());
        script.output().ok().map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let Some(dimmed) = terminal("", ("LANG", "C")) else {
        assert!(std::env::var_os("CI").is_none(), "this test needs `script` of util-linux");
        return;
    };
    assert!(dimmed.contains("\u{1b}[2m") && dimmed.contains("\u{1b}[0m"), "{dimmed:?}");
    let plain = terminal("", ("NO_COLOR", "1")).unwrap();
    assert!(plain.contains("hello<think>") && !plain.contains("\u{1b}[2m"), "{plain:?}");
    let folded = terminal("--hide-thinking", ("LANG", "C")).unwrap();
    assert!(folded.contains("thinking…"), "{folded:?}");
}

#[test]
fn the_help_tells_of_the_option() {
    let help = command(&["generate", "--help"]).output().unwrap();
    assert!(text(&help.stdout).contains("--hide-thinking"));
}
