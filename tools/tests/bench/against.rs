//! Builds against each other. The other build is a script that runs this one and changes what it says.

use super::{bench, refused};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const SHORT: &[&str] = &["-p", "4", "-n", "0", "-r", "3", "--backend", "cpu", "--no-warmup"];

/// A script that answers with one row, whose time is `ns`; it goes away with the system's temporary files.
struct Fake(PathBuf);

impl Fake {
    fn new(name: &str, body: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tools-bench-{}-{name}", std::process::id()));
        // Written by another process: a program that a test beside this one starts would inherit the file while it is open for
        // writing here, and a file that somebody writes is not run.
        let mut shell = Command::new("sh");
        shell.args(["-c", "cat > \"$0\" && chmod +x \"$0\""]).arg(&path).stdin(Stdio::piped());
        let mut writer = shell.spawn().unwrap();
        writer.stdin.take().unwrap().write_all(format!("#!/bin/sh\n{body}\n").as_bytes()).unwrap();
        assert!(writer.wait().unwrap().success());
        Self(path)
    }

    /// This build, whose times the script changes so far that no noise of a busy machine explains it.
    fn scaled(name: &str, replacement: &str) -> Self {
        let tools = env!("CARGO_BIN_EXE_tools");
        Self::new(name, &format!("{tools:?} \"$@\" | sed -E 's/\"avg_ns\":([0-9]+),/\"avg_ns\":{replacement},/'"))
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_build_that_is_far_slower_than_the_other_fails() {
    // The other is said to take a nanosecond.
    let other = Fake::scaled("fast", "1");
    let output = bench(&[SHORT, &["--against", other.path()]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.lines().last().unwrap().ends_with("slower"), "{text}");
    assert!(text.contains("pp4"), "{text}");
}

#[test]
fn a_build_that_is_far_faster_succeeds() {
    // The other is said to take a million times as long.
    let other = Fake::scaled("slow", "\\1000000");
    let output = bench(&[SHORT, &["--against", other.path()]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.lines().last().unwrap().ends_with("faster"), "{text}");
}

#[test]
fn what_is_no_build_of_tools_is_refused() {
    let talks = Fake::new("talks", "echo hello");
    assert!(refused(&[SHORT, &["--against", talks.path()]].concat(), 1).contains("found: hello"));
    let fails = Fake::new("fails", "echo broken >&2; exit 3");
    assert!(refused(&[SHORT, &["--against", fails.path()]].concat(), 1).contains("broken"));
    assert!(refused(&[SHORT, &["--against", "./no-such-program"]].concat(), 1).contains("cannot be run"));
    assert!(refused(&["-r", "2", "--against", "./no-such-program"], 2).contains("at least 3"));
}
