//! Fetching from the Hugging Face hub, end to end: the library and the program against a server of our own on this machine.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

#[path = "../support/changes.rs"]
#[expect(dead_code, reason = "files are changed in one way here")]
mod changes;
#[path = "../support/damaged.rs"]
#[expect(dead_code, reason = "no file is damaged here")]
mod damaged;
mod fitting;
#[path = "../support/gguf_writer.rs"]
#[expect(dead_code, reason = "no file is damaged here")]
mod gguf_writer;
mod interruptions;
mod models;
mod pulling;
mod python;
mod refusals;
mod server;
mod xet;

use ffai::weights::hub::{self, Error, Name, Patience, Settings};
use server::Hub;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// A tiny model that runs.
const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/llama/llama2.gguf");

/// Memory that everything fits.
const PLENTY: u64 = u64::MAX;

/// A folder of a test's own, empty.
fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("hub-{name}"));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Bytes without a pattern, so that no part of them is like another.
fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

/// Asks `hub`, keeps files in `home`, and is impatient.
fn settings(hub: &Hub, home: &Path) -> Settings {
    let short = Duration::from_millis(10);
    Settings {
        cache: home.join("hub"),
        endpoint: hub.endpoint.clone(),
        token: None,
        offline: false,
        patience: Patience {
            attempts: 5,
            pause: short,
            connect: Duration::from_secs(2),
            silence: Duration::from_millis(500),
            wait: Duration::from_secs(2),
        },
    }
}

fn pull(name: &str, settings: &Settings) -> Result<PathBuf, Error> {
    let name = Name::parse(name).unwrap();
    hub::pull(&name, PLENTY, settings, &mut |_| {}).map(|pulled| pulled.path)
}

/// The program, with its cache in `home` and `hub` as its hub.
fn command(hub: &Hub, home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ffai"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    surroundings(&mut command, hub, home);
    command
}

/// Nothing but what a test sets reaches the program: no login, no proxy, no cache of whoever runs it.
fn surroundings(command: &mut Command, hub: &Hub, home: &Path) {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let lower = name.to_ascii_lowercase();
        if ["hf_", "hugging", "transformers_", "ffai_m", "ollama_"].iter().any(|start| lower.starts_with(start))
            || lower.ends_with("_proxy")
        {
            command.env_remove(name);
        }
    }
    command.env("HOME", home).env("HF_HOME", home).env("HF_ENDPOINT", &hub.endpoint);
    command.env("XDG_CACHE_HOME", home.join("cache"));
}

fn run(hub: &Hub, home: &Path, arguments: &[&str]) -> Output {
    command(hub, home, arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The path that a successful `ffai pull` prints.
fn printed(output: &Output) -> PathBuf {
    assert!(output.status.success(), "{}", text(&output.stderr));
    PathBuf::from(text(&output.stdout).trim_end())
}

/// Expects exit status `status`, nothing on stdout, and a message with every one of `parts`.
fn fails(output: &Output, status: i32, parts: &[&str]) {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{stderr}");
    assert_eq!(text(&output.stdout), "");
    assert!(stderr.contains("error: ") && !stderr.contains("panicked"), "{stderr}");
    for part in parts {
        assert!(stderr.contains(part), "expected {part:?} in {stderr:?}");
    }
}

/// Every file below `folder`.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files_below(&path)),
            false => found.push(path),
        }
    }
    found
}
