//! The `ffai` program from outside: what it prints where, and how it ends.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

#[cfg(feature = "bench")]
mod bench;
mod chat;
mod command_line;
#[path = "../support/terminal.rs"]
mod console;
mod convert;
mod inputs;
mod inspect;
#[path = "../support/model.rs"]
mod model;
mod observing;
mod outputs;
mod terminal;
mod thinking;

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A tiny random model, so that these tests take no time.
const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/llama/llama2.gguf");

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ffai"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_remove("FFAI_MODEL").env_remove("FFAI_MEMORY_BUDGET");
    // Nothing here is about the network: `tests/hub/` is.
    command.env("HF_HUB_OFFLINE", "1").env("HF_HOME", env!("CARGO_TARGET_TMPDIR"));
    command
}

fn ffai(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

/// Runs the tiny model on the CPU.
fn tiny(arguments: &[&str]) -> Output {
    ffai(&[&["generate", "-m", TINY, "--backend", "cpu"], arguments].concat())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Expects exit status `status` and nothing but a message on stderr that contains every one of `parts`.
fn fails(output: &Output, status: i32, parts: &[&str]) {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{stderr}");
    assert_eq!(text(&output.stdout), "");
    assert!(stderr.contains("error: ") && !stderr.contains("panicked"), "{stderr}");
    for part in parts {
        assert!(stderr.contains(part), "expected {part:?} in {stderr:?}");
    }
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    let text = text(&output.stdout);
    assert_eq!(text.lines().count(), 1);
    serde_json::from_str(&text).unwrap()
}

/// SmolLM2, where it is.
fn real_model() -> Option<String> {
    model::real("smollm2").map(|path| path.display().to_string())
}

fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
