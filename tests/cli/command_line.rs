//! What may stand on the command line, and what is said when something else does.

use crate::{TINY, fails, ffai, text, tiny};

#[test]
fn help_names_every_option_of_generate() {
    for line in [&["--help"] as &[&str], &["generate", "--help"]] {
        let output = ffai(line);
        assert_eq!(output.status.code(), Some(0));
        let help = text(&output.stdout);
        for option in
            ["--model", "--prompt-file", "--max-tokens", "--ctx", "--temperature", "--seed", "--stop", "--ignore-eos"]
        {
            assert!(help.contains(option), "{option}");
        }
        for option in
            ["--backend", "--device", "--stats", "--json", "--quiet", "--verbose", "--no-stream", "--no-prewarm"]
        {
            assert!(help.contains(option), "{option}");
        }
    }
}

#[test]
fn a_wrong_command_line_says_what_was_expected() {
    fails(&ffai(&["--frobnicate"]), 2, &["--frobnicate"]);
    for (line, expected) in [
        (["--temperature", "-1"], "a number from 0 to 100, found -1"),
        (["--temperature", "warm"], "expected a number"),
        (["--temperature", "nan"], "a number from 0 to 100"),
        (["--top-k", "-3"], "a whole number from 0"),
        (["--top-p", "0"], "above 0, at most 1"),
        (["--min-p", "2"], "from 0 to 1"),
        (["--repetition-penalty", "0"], "from 0.01 to 100"),
        (["--seed", "x"], "a whole number"),
        (["--max-tokens", "0"], "at least 1"),
        (["--ctx", "0"], "`auto` or a number of tokens"),
        (["--ctx", "257"], "the model's own context"),
        (["--stop", ""], "at least one character"),
        (["--backend", "tpu"], "auto, gpu, cpu"),
        (["--kv-cache", "f8"], "f16, f32"),
        (["--memory-budget", "lots"], "such as 2GiB"),
        (["--device", "0"], "--backend cpu"),
    ] {
        fails(&tiny(&[&["-p", "x"], line.as_slice()].concat()), 2, &[line[0], expected]);
    }
    fails(&tiny(&["a", "b"]), 2, &["b"]);
    fails(&ffai(&["completions", "tcsh"]), 2, &["bash"]);
}

#[test]
fn completions_and_man_page_come_from_the_same_table() {
    for shell in ["bash", "zsh", "fish"] {
        let output = ffai(&["completions", shell]);
        let script = text(&output.stdout);
        assert!(
            output.status.success() && script.contains("repetition-penalty") && script.contains("no-prewarm"),
            "{shell}"
        );
    }
    let page = text(&ffai(&["man"]).stdout);
    assert!(page.lines().any(|line| line.starts_with(".TH ffai 1")), "{page}");
    assert!(page.contains(r"\-\-repetition\-penalty"));
}

#[test]
fn the_list_of_devices_needs_no_model() {
    let output = ffai(&["--device", "list"]);
    if output.status.success() {
        assert!(text(&output.stdout).starts_with("0: "));
        let wrong = ffai(&["-m", TINY, "-p", "hi", "--device", "no such adapter"]);
        fails(&wrong, 1, &["no GPU adapter matches `no such adapter`; found: ", "hint: `ffai --device list`"]);
    } else {
        fails(&output, 1, &["no GPU adapter was found", "hint: "]);
    }
}
