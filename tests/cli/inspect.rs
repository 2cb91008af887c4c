//! `ffai inspect`: what it prints, and how it ends.

use crate::{TINY, command, fails, ffai, json, scratch, text};
use serde_json::Value;
use std::process::Output;

fn inspect(arguments: &[&str]) -> Output {
    ffai(&[&["inspect", "--backend", "cpu"], arguments].concat())
}

fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn people_get_tables() {
    let output = inspect(&[TINY]);
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    for part in [
        "llama2.gguf\n",
        "family      llama (model type llama)",
        "\narchitecture\n",
        "all layers: no window",
        "\nweights\n",
        "  ROLE       FORMAT  WEIGHTS",
        "  embedding  F32 ",
        "comes back unchanged",
        "temperature 0.6 (the family)",
        "\nmemory on CPU reference (cpu) with --ctx 256\n",
        "fits, up to --ctx 256",
    ] {
        assert!(shown.contains(part), "expected {part:?} in\n{shown}");
    }
    assert!(shown.lines().all(|line| line.trim_end() == line), "{shown}");
    assert!(!shown.contains('\u{1b}'), "no colours in a pipe");
}

#[test]
fn scripts_get_one_object_with_fields_that_stay() {
    let object = json(&inspect(&["-m", TINY, "--json"]));
    let expected = [
        "cache",
        "computes",
        "family",
        "file_bytes",
        "fit",
        "model",
        "model_type",
        "name",
        "parameters",
        "problems",
        "sampling",
        "shape",
        "storage",
        "thinking",
        "tokenizer",
        "weights",
    ];
    assert_eq!(keys(&object), expected);
    assert_eq!(keys(&object["parameters"]), ["total", "without_embedding"]);
    assert_eq!(keys(&object["weights"][0]), ["bytes", "format", "parameters", "readable", "role", "share", "weights"]);
    let shape = [
        "context",
        "eps",
        "family",
        "ffn",
        "head_dim",
        "heads",
        "hidden",
        "kv_heads",
        "layers",
        "model_type",
        "rotary",
        "vocab",
    ];
    assert_eq!(keys(&object["shape"]), shape);
    let computes = ["activation", "biases", "embedding_scale", "head_norms", "layers", "post_norms", "tied_head"];
    assert_eq!(keys(&object["computes"]), computes);
    assert_eq!(keys(&object["computes"]["layers"][0]), ["rope", "score_scale"]);
    assert_eq!(keys(&object["computes"]["layers"][0]["rope"]), ["base", "scaling", "stored_factors"]);
    let tokenizer = ["adds_bos", "bos", "control", "control_tokens", "eos", "kind", "probe", "vocab_size"];
    assert_eq!(keys(&object["tokenizer"]), tokenizer);
    assert_eq!(object["sampling"]["temperature"]["source"], "family");
    let fit = ["backend", "context", "device", "fits", "largest_context", "needs", "total", "used"];
    assert_eq!(keys(&object["fit"]), fit);
    let needs = object["fit"]["needs"].as_object().unwrap();
    let sum: u64 = needs.values().map(|bytes| bytes.as_u64().unwrap()).sum();
    assert_eq!(Some(sum), object["fit"]["total"].as_u64());
    assert_eq!((&object["storage"], &object["family"]), (&"gguf".into(), &"llama".into()));
}

#[test]
fn a_model_that_does_not_fit_is_shown_and_generate_refuses_it_with_the_same_words() {
    let scarce = ["--memory-budget", "300KiB", "--ctx", "256"];
    let object = json(&inspect(&[&[TINY, "--json"], scarce.as_slice()].concat()));
    assert_eq!(object["fit"]["fits"], false);
    let (problem, hint) = (object["problems"][0].as_str().unwrap(), object["fit"]["hint"].as_str().unwrap());
    let largest = object["fit"]["largest_context"].as_u64().unwrap();
    assert_eq!(hint, format!("use --ctx {largest} or less"));
    let refused = ffai(&[&["-m", TINY, "-p", "hi", "--backend", "cpu"], scarce.as_slice()].concat());
    fails(&refused, 1, &[problem, &format!("hint: {hint}")]);
    let largest = largest.to_string();
    let run = ["-m", TINY, "-p", "hi", "--backend", "cpu", "--max-tokens", "2", "--memory-budget", "300KiB"];
    assert!(ffai(&[run.as_slice(), &["--ctx", &largest]].concat()).status.success());
    let auto = text(&ffai(&run).stderr);
    assert!(auto.contains(&format!("context: {largest} tokens; 256 do not fit the memory budget")), "{auto}");
    let shown = text(&inspect(&[&[TINY], scarce.as_slice()].concat()).stdout);
    assert!(shown.contains(&format!("does not fit; --ctx {largest} would")), "{shown}");
    assert!(shown.contains(&format!("problem: {problem}\n")) && shown.ends_with(&format!("hint: {hint}\n")), "{shown}");
}

#[test]
fn what_cannot_be_inspected_says_why() {
    fails(&inspect(&["no/such/model.gguf"]), 1, &["no model at no/such/model.gguf", "hint: "]);
    fails(&inspect(&[TINY, "--ctx", "257"]), 2, &["--ctx", "the model's own context"]);
    fails(&inspect(&[TINY, "-m", TINY]), 2, &["--model"]);
    let folder = scratch("inspect");
    let file = folder.join("cut.gguf");
    std::fs::write(&file, &std::fs::read(TINY).unwrap()[..5000]).unwrap();
    fails(&inspect(&[&file.display().to_string()]), 1, &["cut.gguf", "hint: "]);
    let wrong = ffai(&["inspect", TINY, "--device", "no such adapter"]);
    assert_eq!(wrong.status.code(), Some(1));
}

#[test]
fn words_from_files_cannot_steer_a_terminal() {
    let bytes = std::fs::read(TINY).unwrap();
    // The architecture's name, in the value of `general.architecture` alone.
    let at = bytes.windows(20).position(|window| window == b"general.architecture").unwrap() + 20 + 4 + 8;
    assert_eq!(&bytes[at..at + 5], b"llama");
    let mut changed = bytes.clone();
    changed[at..at + 5].copy_from_slice(b"\x1b[2J\x07");
    let file = scratch("terminal").join("model.gguf");
    std::fs::write(&file, changed).unwrap();
    let output = inspect(&[&file.display().to_string()]);
    let shown = text(&output.stdout);
    assert!(output.status.success() && shown.contains("none of this build"), "{shown}");
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let mut child = command(&["inspect", "--backend", "cpu", TINY]).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
}

#[test]
fn kernels_are_shown_where_they_are_asked_for() {
    let shown = |arguments: &[&str], variable: Option<(&str, &str)>| {
        let mut command = command(&[&["inspect", TINY], arguments].concat());
        command.envs(variable);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    assert!(!shown(&[], None).contains("\nkernels"));
    let table = shown(&["--kernels"], None);
    assert!(table.contains("\nkernels on ") && table.contains("  KERNEL "), "{table}");
    let row = |table: &str, kernel: &str| {
        let line = table.lines().find(|line| line.trim_start().starts_with(kernel)).unwrap().to_owned();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row(&table, "attend_prefill")[1..4], ["online,", "wgsl", "default"]);
    let forced = shown(&["--kernels", "wgsl"], Some(("FFAI_KERNEL_SOFTMAX", "two-pass")));
    assert_eq!(row(&forced, "attend_prefill")[1..5], ["two-pass,", "wgsl", "forced", "online"]);
    let object: Value = serde_json::from_str(&shown(&["--kernels", "--json"], None)).unwrap();
    let rows = object["kernels"].as_array().unwrap();
    let decode = rows.iter().find(|row| row["kernel"] == "attend_decode").unwrap();
    assert_eq!(decode["algorithm"], serde_json::json!({ "name": "two-pass", "why": "default" }));
    assert_eq!(decode["others"], serde_json::json!(["online", "msl"]));
    assert!(decode["step"].as_u64() > Some(0) && decode["chunk"] == 0);
}

#[test]
fn a_variant_that_there_is_not_is_a_mistake_of_the_command_line() {
    for (variable, value, part) in [
        ("FFAI_KERNEL_ATTEND_DECODE", "fast", "expected one of two-pass, online, wgsl, msl, auto, found `fast`"),
        ("FFAI_KERNEL_ATTENTION", "online", "expected the name of a kernel"),
        ("FFAI_KERNEL_EMBED", "msl", "found `msl`"),
    ] {
        for arguments in [&["generate", TINY, "a"] as &[&str], &["inspect", TINY]] {
            let output = command(arguments).env(variable, value).output().unwrap();
            fails(&output, 2, &[variable, part, "hint: change or unset"]);
        }
    }
}
