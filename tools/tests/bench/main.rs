//! `tools bench` from outside, on a tiny random model.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod against;
mod formats;

use serde_json::Value;
use std::process::{Command, Output};

/// Three layers of random weights; its context is 256 tokens.
const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/llama/llama.gguf");

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tools")).args(["bench", "-m", MODEL]).args(arguments).output().unwrap()
}

/// Standard output of a run that must succeed.
fn text(arguments: &[&str]) -> String {
    let output = bench(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn rows(arguments: &[&str]) -> Vec<Value> {
    text(&[arguments, &["-o", "jsonl"]].concat()).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn refused(arguments: &[&str], status: i32) -> String {
    let output = bench(arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {text}");
    text
}
