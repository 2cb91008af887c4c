//! Where model and prompt come from.

use crate::{TINY, command, fails, ffai, json, real_model, scratch, text, tiny};
use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};

#[test]
fn a_model_that_is_not_there_says_how_to_get_one() {
    fails(
        &ffai(&["no/such/model.gguf", "hi"]),
        1,
        &["no model at no/such/model.gguf", "hint: ", "tools/quickstart.sh"],
    );
    fails(&ffai(&["-m", "org/repo", "-p", "hi"]), 1, &["org/repo", "Hugging Face", "hint: "]);
    fails(&ffai(&["Once upon a time"]), 1, &["no model at Once upon a time", "give a prompt alone with --prompt"]);
    let empty = scratch("empty");
    let name = empty.display().to_string();
    fails(&ffai(&[&name, "hi"]), 1, &["expected one GGUF file in it, found none", "hint: "]);
    let nothing = command(&["-p", "hi"]).env("XDG_CACHE_HOME", &empty).env("HOME", &empty).output().unwrap();
    fails(&nothing, 1, &["no model was named", "SmolLM2-135M-Instruct.Q4_1.gguf", "tools/quickstart.sh"]);
}

#[test]
fn a_folder_or_the_environment_can_name_the_model() {
    let folder = scratch("folder");
    std::fs::copy(TINY, folder.join("only.gguf")).unwrap();
    let name = folder.display().to_string();
    let run = ["-p", "hi", "--backend", "cpu", "--max-tokens", "2"];
    let by_folder = ffai(&[&["-m", &name], run.as_slice()].concat());
    assert!(text(&by_folder.stderr).contains("only.gguf…\n"), "{}", text(&by_folder.stderr));
    let by_environment = command(&run).env("FFAI_MODEL", &name).output().unwrap();
    assert!(text(&by_environment.stderr).lines().next().unwrap().ends_with("only.gguf… (FFAI_MODEL)"));
    std::fs::copy(TINY, folder.join("second.gguf")).unwrap();
    fails(&ffai(&[&name, "hi"]), 1, &["found 2: only.gguf, second.gguf", "hint: "]);
}

#[test]
fn a_prompt_that_cannot_run_is_refused() {
    fails(&tiny(&["--prompt", ""]), 1, &["the prompt is empty", "hint: "]);
    fails(&tiny(&[]), 1, &["the prompt is empty"]);
    fails(&tiny(&["--prompt-file", "no/such/file"]), 1, &["no/such/file"]);
    fails(&tiny(&["--prompt", "many words", "--ctx", "3"]), 1, &["but the context holds 3", "hint: "]);
    fails(&tiny(&["--prompt", "x", "--prompt-file", "y"]), 2, &["--prompt-file"]);
}

#[test]
fn the_prompt_comes_from_where_it_is() {
    let run = ["--max-tokens", "1", "--temperature", "0", "--json"];
    let ids = |output: &Output| json(output)["prompt_ids"].clone();
    let given = ids(&tiny(&[run.as_slice(), &["-p", "hello"]].concat()));
    assert_eq!(given, ids(&tiny(&[run.as_slice(), &["hello"]].concat())));
    assert_eq!(given, ids(&ffai(&[&[TINY, "hello", "--backend", "cpu"], run.as_slice()].concat())));
    let file = scratch("prompt").join("prompt.txt");
    std::fs::write(&file, "hello\n").unwrap();
    assert_eq!(given, ids(&tiny(&[run.as_slice(), &["--prompt-file", &file.display().to_string()]].concat())));
    let mut child =
        command(&[&["-m", TINY, "--backend", "cpu"], run.as_slice()].concat()).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"hello\n").unwrap();
    assert_eq!(given, ids(&child.wait_with_output().unwrap()));
}

#[test]
fn a_model_beyond_the_budget_is_refused_with_the_sum() {
    let Some(model) = real_model() else { return };
    let run = ["-m", &model, "-p", "hi", "--backend", "cpu"];
    let refused = ["92.1 MiB of weights", "with --ctx 32", "the budget is 10.0 MiB", "hint: use a smaller"];
    fails(&ffai(&[run.as_slice(), &["--memory-budget", "10MiB"]].concat()), 1, &refused);
    fails(&command(&run).env("FFAI_MEMORY_BUDGET", "10MiB").output().unwrap(), 1, &refused);
}

/// A golden checkpoint in a folder, with another `generation_config.json`.
fn folder_that_says(name: &str, generation: &str) -> String {
    let folder = scratch(name);
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/qwen2/hf");
    for file in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(golden.join(file), folder.join(file)).unwrap();
    }
    std::fs::write(folder.join("generation_config.json"), generation).unwrap();
    folder.display().to_string()
}

#[test]
fn a_checkpoints_own_sampling_holds_until_an_option_says_otherwise() {
    let model = folder_that_says("defaults", r#"{"do_sample": false, "eos_token_id": 0}"#);
    let run = |more: &[&str]| {
        let output =
            ffai(&[&["-m", &model, "--backend", "cpu", "-p", "the", "--max-tokens", "12", "-q"], more].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let best = run(&["--temperature", "0"]);
    assert_eq!(run(&["--seed", "1"]), best);
    assert_eq!(run(&["--seed", "2"]), best);
    let drawn = ["--temperature", "2", "--seed"];
    assert_ne!(run(&[drawn.as_slice(), &["1"]].concat()), run(&[drawn.as_slice(), &["2"]].concat()));
}

#[test]
fn a_folder_whose_files_make_no_sense_is_refused() {
    let model = folder_that_says("nonsense", r#"{"temperature": -1}"#);
    let expected = "generation_config.json: temperature: expected a number from 0 to 100, found -1";
    fails(&ffai(&["-m", &model, "-p", "the"]), 1, &[expected]);
    let model = folder_that_says("tokenless", "{}");
    let file = Path::new(&model).join("tokenizer.json");
    std::fs::write(&file, "{").unwrap();
    let expected = format!("error: {}: JSON: expected a tokenizer, found EOF", file.display());
    fails(&ffai(&["-m", &model, "--backend", "cpu", "-p", "the", "-q"]), 1, &[&expected]);
}
