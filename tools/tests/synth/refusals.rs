//! What cannot be written is refused with what was expected, and leaves nothing behind.

use super::{Folder, config, families, synth};
use serde_json::json;

/// Standard error of a run that must fail with `status`.
fn refused(arguments: &[&str], status: i32) -> String {
    let output = synth(arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {text}");
    text
}

#[test]
fn unknown_names_are_answered_with_those_there_are() {
    let folder = Folder::new();
    let out = folder.join("x.gguf").to_str().unwrap().to_owned();
    assert!(refused(&["--shape", "llama-9000b", "-o", &out], 2).contains("llama-1b"));
    assert!(refused(&["--shape", "llama-1b", "--quantization", "IQ1_S", "-o", &out], 2).contains("Q4_K_M"));
    assert!(refused(&["--shape", "llama-1b", "--format", "mlx", "--bits", "7", "-o", &out], 2).contains("found 7"));
    assert!(refused(&["--shape", "llama-1b", "--bits", "4", "-o", &out], 2).contains("--format mlx"));
    assert!(refused(&["--shape", "llama-1b", "--dtype", "f16", "-o", &out], 2).contains("--format mlx"));
    let mlx = ["--shape", "llama-1b", "--format", "mlx", "--quantization", "q8_0", "-o", &out];
    assert!(refused(&mlx, 2).contains("--format gguf"));
    assert!(refused(&["--shape", "llama-1b", "--layers", "17", "-o", &out], 2).contains("1 to the model's 16"));
    assert!(folder.names().is_empty());
}

#[test]
fn a_configuration_that_describes_no_model_is_refused() {
    let folder = Folder::new();
    let (_, good) = families().remove(0);
    let out = folder.join("x.gguf").to_str().unwrap().to_owned();
    for (key, value, expected) in [
        ("model_type", json!("mamba"), "expected one of"),
        ("hidden_size", json!(0), "hidden_size: expected a whole number from 1"),
        ("hidden_size", json!("64"), "hidden_size: expected a whole number"),
        ("vocab_size", json!(256), "expected at least 257"),
        ("num_hidden_layers", json!(1e18), "num_hidden_layers"),
        ("head_dim", json!(33), "multiple of 4"),
        ("rope_scaling", json!({"rope_type": "yarn", "factor": 2.0}), "found `yarn`"),
    ] {
        let mut bad = good.clone();
        bad[key] = value;
        let file = config(&folder, "bad", &bad);
        let text = refused(&["--config", &file, "-o", &out], 1);
        assert!(text.contains(expected), "{key}: {text}");
        assert_eq!(folder.names(), ["bad.json"], "{key}");
    }
    for bytes in ["", "[]", "{\"model_type\""] {
        std::fs::write(folder.join("bad.json"), bytes).unwrap();
        let file = folder.join("bad.json").to_str().unwrap().to_owned();
        assert!(refused(&["--config", &file, "-o", &out], 1).contains("expected a JSON object"));
    }
}

#[test]
fn a_model_that_no_disk_holds_is_refused_before_it_is_begun() {
    let folder = Folder::new();
    let mut huge = families().remove(0).1;
    for (key, value) in [("hidden_size", 1_u64 << 20), ("intermediate_size", 1 << 20), ("num_hidden_layers", 4096)] {
        huge[key] = value.into();
    }
    let (file, out) = (config(&folder, "huge", &huge), folder.join("x.gguf").to_str().unwrap().to_owned());
    assert!(refused(&["--config", &file, "-o", &out], 1).contains("the disk has"));
    assert_eq!(folder.names(), ["huge.json"]);
}
