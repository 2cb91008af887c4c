//! Builds against each other. The other build is a script that runs this one and changes what it says.

use super::{bench, refused};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

const SHORT: &[&str] = &["-p", "4", "-n", "0", "-r", "3", "--backend", "cpu", "--no-warmup"];

/// A script that answers with one row, whose time is `ns`; it goes away with the system's temporary files.
struct Fake(PathBuf);

impl Fake {
    fn new(name: &str, body: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tools-bench-{}-{name}", std::process::id()));
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    /// This build, with times that are shorter or longer by so much that no noise explains it.
    fn scaled(name: &str, digits: &str) -> Self {
        let tools = env!("CARGO_BIN_EXE_tools");
        // Of a whole number of nanoseconds, digits more or less are a power of ten.
        Self::new(name, &format!("{tools:?} \"$@\" | sed -E 's/\"avg_ns\":([0-9]+){digits}'"))
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
    // The other is said to take a hundredth of the time.
    let other = Fake::scaled("fast", "[0-9][0-9],/\"avg_ns\":\\1,/");
    let output = bench(&[SHORT, &["--against", other.path()]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.lines().last().unwrap().ends_with("slower"), "{text}");
    assert!(text.contains("pp4"), "{text}");
}

#[test]
fn a_build_that_is_far_faster_succeeds() {
    let other = Fake::scaled("slow", ",/\"avg_ns\":\\100,/");
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
