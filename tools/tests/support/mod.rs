//! Runs the `tools` binary.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub(crate) fn tools(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tools")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// Standard output of a run that must succeed.
pub(crate) fn prints(arguments: &[&str]) -> String {
    let output = tools(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&prints(arguments)).unwrap()
}

/// A run that must end with `status`, nothing on standard output, and an error that says all of `parts`.
pub(crate) fn fails(arguments: &[&str], status: i32, parts: &[&str]) {
    let output = tools(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{stderr}");
    assert!(output.stdout.is_empty());
    assert!(stderr.contains("error: ") && parts.iter().all(|part| stderr.contains(part)), "{stderr}");
}

pub(crate) fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
