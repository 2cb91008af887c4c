//! `ffai convert` from outside.

use crate::{command, fails, ffai, json, real_model, scratch, text};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const HF: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/llama/hf");
const GGUF: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/llama/llama.gguf");

/// Converts on the CPU to `out`.
fn convert(source: &str, out: &Path, arguments: &[&str]) -> std::process::Output {
    ffai(&[&["convert", source, &out.display().to_string(), "--backend", "cpu"], arguments].concat())
}

#[test]
fn a_table_says_what_became_of_what() {
    let out = scratch("convert-table").join("out");
    let line = ["--bits", "4", "--embedding-bits", "6", "--head-bits", "none", "--role", "value=8"];
    let output = convert(HF, &out, &line);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    let row =
        |role: &str| table.lines().find(|line| line.starts_with(role)).unwrap_or_else(|| panic!("{role}: {table}"));
    assert!(row("embedding").contains("BF16 34.0 KB") && row("embedding").contains("6 bits"), "{table}");
    assert!(row("head").ends_with("BF16 34.0 KB"), "{table}");
    assert!(row("all").contains("bits per weight"), "{table}");
    assert!(table.contains("not quantized, because groups of 64 do not divide 96 columns"), "{table}");
    assert!(text(&output.stderr).contains("converting "));
    let run = ffai(&["generate", "-m", GGUF, "-p", "x", "--backend", "cpu", "--max-tokens", "1"]);
    assert!(run.status.success());
    for file in
        ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "generation_config.json"]
    {
        assert!(out.join(file).is_file(), "{file}");
    }
}

#[test]
fn json_says_the_same_for_scripts() {
    let out = scratch("convert-json").join("out");
    let found = json(&convert(GGUF, &out, &["--bits", "8", "--group-size", "32", "--json"]));
    assert_eq!(
        (&found["family"], &found["group_size"], &found["dtype"]),
        (&"llama".into(), &32.into(), &"bf16".into())
    );
    let sum = |key: &str, part: &str| -> u64 {
        let roles = found["roles"].as_array().unwrap();
        roles.iter().flat_map(|role| role[key].as_array().unwrap()).map(|format| format[part].as_u64().unwrap()).sum()
    };
    assert_eq!(sum("before", "bytes"), found["bytes_before"].as_u64().unwrap());
    assert_eq!(sum("after", "bytes"), found["bytes_after"].as_u64().unwrap());
    assert_eq!(sum("before", "tensors"), sum("after", "tensors"));
    let bits = found["bytes_after"].as_f64().unwrap() * 8.0 / found["weights"].as_f64().unwrap();
    assert!((found["bits_per_weight"].as_f64().unwrap() - bits).abs() < 1e-9);
    assert_eq!(found["files"][0]["name"], "model.safetensors");
    assert_eq!(PathBuf::from(found["out"].as_str().unwrap()), out);
    assert_eq!((&found["backend"], found["unquantized"].as_array().unwrap().len()), (&"cpu".into(), 0));
}

#[test]
fn nothing_is_overwritten_by_accident() {
    let folder = scratch("convert-overwrite");
    let out = folder.join("out");
    assert!(convert(HF, &out, &["-q"]).status.success());
    let before = std::fs::metadata(out.join("model.safetensors")).unwrap().len();
    fails(&convert(HF, &out, &["--bits", "4"]), 1, &["is there already", "--overwrite"]);
    assert_eq!(std::fs::metadata(out.join("model.safetensors")).unwrap().len(), before);
    let quiet = convert(HF, &out, &["--bits", "4", "--overwrite", "--quiet"]);
    assert!(quiet.status.success() && quiet.stdout.is_empty() && quiet.stderr.is_empty());
    assert!(std::fs::metadata(out.join("model.safetensors")).unwrap().len() < before);
    let own = out.display().to_string();
    fails(&convert(&own, &out, &["--overwrite"]), 1, &["holds the source"]);
    let letters = folder.join("letters");
    std::fs::create_dir(&letters).unwrap();
    std::fs::write(letters.join("dear.txt"), "dear").unwrap();
    fails(&convert(HF, &letters, &["--overwrite"]), 1, &["is not overwritten", "other files in it"]);
    fails(&convert(HF, &letters.join("dear.txt"), &["--overwrite"]), 1, &["a file or a link"]);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2, "no partial folders are left");
}

#[test]
fn a_wrong_conversion_is_refused_before_anything_is_written() {
    let folder = scratch("convert-refused");
    let out = folder.join("out");
    for (line, parts) in [
        (&["--bits", "7"] as &[&str], ["--bits", "2, 3, 4, 5, 6 or 8, found 7"]),
        (&["--bits", "-4"], ["--bits", "whole number"]),
        (&["--bits", "4", "--group-size", "48"], ["--group-size", "32, 64 or 128"]),
        (&["--bits", "4", "--role", "attention"], ["--role", "such as attention=6"]),
        (&["--bits", "4", "--role", "nose=4"], ["--role", "embedding, head, attention"]),
        (&["--bits", "4", "--role", "mlp=1"], ["--role", "or none, found mlp=1"]),
        (&["--role", "mlp=4"], ["--role", "--bits beside it"]),
        (&["--bits", "4", "--embedding-bits", "x"], ["--embedding-bits", "or `none`"]),
        (&["--dtype", "f8"], ["--dtype", "bf16, f16, f32"]),
        (&["--shard-size", "0"], ["--shard-size", "such as 2GiB"]),
        (&["--device", "0"], ["--device", "--backend cpu"]),
    ] {
        fails(&convert(HF, &out, line), 2, &parts);
    }
    let tied = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/qwen2/hf");
    fails(
        &convert(tied, &out, &["--bits", "4", "--head-bits", "8"]),
        2,
        &["repeats the embedding", "--embedding-bits"],
    );
    fails(&convert("no/such/model", &out, &[]), 1, &["no/such/model", "hint: "]);
    fails(&ffai(&["convert", HF]), 2, &["OUT_DIR"]);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}

/// Starts a conversion that takes a while and waits until weights are being written.
fn started(model: &str, out: &Path) -> std::process::Child {
    let folder = out.parent().unwrap();
    let child = command(&["convert", model, &out.display().to_string(), "--bits", "4"]).spawn().unwrap();
    let begun = Instant::now();
    let writes = || {
        let partial = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).next();
        partial.is_some_and(|partial| partial.join("model.safetensors").exists())
    };
    while !writes() {
        assert!(begun.elapsed() < Duration::from_secs(120), "no weights are written");
        std::thread::sleep(Duration::from_millis(1));
    }
    child
}

#[test]
#[cfg(unix)]
fn an_interrupt_leaves_nothing_and_a_kill_nothing_under_the_final_name() {
    let Some(model) = real_model() else { return };
    let folder = scratch("convert-killed");
    let out = folder.join("out");
    let child = started(&model, &out);
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);

    let mut child = started(&model, &out);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!out.exists());
    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name.to_str().unwrap().starts_with(".out.partial-")), "{left:?}");
    std::fs::remove_dir_all(folder).unwrap();
}
