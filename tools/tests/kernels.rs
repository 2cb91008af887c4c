//! `tools kernels` from outside, on a tiny random model.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use ffai::weights::gguf::Gguf;
use serde_json::Value;
use std::process::{Command, Output};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/llama/llama.gguf");

fn kernels(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tools")).arg("kernels").args(arguments).output().unwrap()
}

fn text(arguments: &[&str]) -> String {
    let output = kernels(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

const SHORT: &[&str] = &["-m", MODEL, "--depth", "20", "--chunk", "16", "--cold", "1", "-r", "2"];

fn rows(measured: &Value) -> Vec<&Value> {
    measured["rows"].as_array().unwrap().iter().collect()
}

/// The products of a step read every matrix once, and multiply every weight once: by the file's own table.
#[test]
fn the_kernels_of_a_step_read_the_whole_model() {
    let measured: Value = serde_json::from_str(&text(&[SHORT, &["--backend", "cpu", "-o", "json"]].concat())).unwrap();
    let file = Gguf::open(MODEL.as_ref()).unwrap();
    let tied = file.find("output.weight").is_none();
    let read = |name: &str| name != "token_embd.weight" || tied;
    let matrices: Vec<_> = file.tensors().filter(|tensor| tensor.dims.len() > 1 && read(&tensor.name)).collect();
    let sum = |field: &str| -> u64 {
        let products = rows(&measured)
            .into_iter()
            .filter(|row| row["phase"] == "decode" && row["kernel"].as_str().unwrap().starts_with("matvec"));
        products.map(|row| row[field].as_u64().unwrap() * row["calls"].as_u64().unwrap()).sum()
    };
    let bytes: u64 = matrices.iter().map(|tensor| tensor.bytes).sum();
    let elements: u64 = matrices.iter().map(|tensor| tensor.elements()).sum();
    assert_eq!(sum("flops"), 2 * elements);
    // Planes of scales are whole words.
    assert!(sum("weight_bytes").abs_diff(bytes) * 50 <= bytes, "{} of {bytes}", sum("weight_bytes"));
    assert_eq!(measured["ceilings"], serde_json::json!([]), "the reference is no measure of a device");
    assert!(rows(&measured).iter().all(|row| row["in_place_us"].as_f64().unwrap() > 0.0));
}

#[test]
fn products_run_with_warm_and_with_cold_weights_beside_what_the_device_does_at_best() {
    let measured: Value = serde_json::from_str(&text(&[SHORT, &["-o", "json"]].concat())).unwrap();
    let names: Vec<&str> =
        measured["ceilings"].as_array().unwrap().iter().map(|ceiling| ceiling["what"].as_str().unwrap()).collect();
    for wanted in
        ["streaming read", "copy", "f32 multiply-adds", "matrix product", "empty dispatch", "readback of 4 bytes"]
    {
        assert!(names.contains(&wanted), "{wanted}: {names:?}");
    }
    for phase in ["decode", "prefill"] {
        let all: Vec<&Value> = rows(&measured).into_iter().filter(|row| row["phase"] == phase).collect();
        assert!(all.iter().any(|row| row["kernel"].as_str().unwrap().starts_with("attend_")), "{phase}");
        for row in all {
            let alone = row.get("format").is_some();
            for field in ["warm_us", "cold_us", "cold_weight_bytes"] {
                assert_eq!(row.get(field).is_some(), alone, "{field}: {row}");
            }
            let us = row.get("cold_us").or(row.get("in_place_us")).and_then(Value::as_f64).unwrap();
            let bytes: u64 =
                ["weight_bytes", "kv_bytes", "activation_bytes"].iter().map(|part| row[*part].as_u64().unwrap()).sum();
            assert!((row["gb_per_s"].as_f64().unwrap() * us * 1e3 / bytes as f64 - 1.0).abs() < 1e-6, "{row}");
            assert!(row["peak_share"].as_f64().unwrap() <= 1.0, "faster than the device: {row}");
        }
    }
    let matvec = rows(&measured).into_iter().find(|row| row["kernel"] == "matvec").unwrap();
    assert!(
        matvec["cold_weight_bytes"].as_u64().unwrap() >= 1 << 20 || matvec["weight_bytes"].as_u64().unwrap() < 1 << 10,
        "{matvec}"
    );
}

#[test]
fn the_table_and_the_lines_hold_every_kernel() {
    let cpu = [SHORT, &["--backend", "cpu"]].concat();
    let json: Value = serde_json::from_str(&text(&[&cpu[..], &["-o", "json"]].concat())).unwrap();
    let csv = text(&[&cpu[..], &["-o", "csv"]].concat());
    let lines: Vec<csv::StringRecord> =
        csv::Reader::from_reader(csv.as_bytes()).records().map(Result::unwrap).collect();
    let table = text(&cpu);
    assert_eq!(lines.len(), rows(&json).len());
    assert_eq!(
        table.lines().filter(|line| line.starts_with("| decode") || line.starts_with("| prefill")).count(),
        lines.len()
    );
    for (line, row) in lines.iter().zip(rows(&json)) {
        assert_eq!((&line[0], &line[1]), (row["phase"].as_str().unwrap(), row["kernel"].as_str().unwrap()));
    }
}

#[test]
fn what_cannot_be_measured_is_refused() {
    for (arguments, expected) in [
        (&["--shape", "llama-9000b"][..], "llama-1b"),
        (&["--shape", "llama-1b", "-m", MODEL], "cannot be used with"),
        (&[], "--model"),
        (&["-m", MODEL, "--depth", "200", "--chunk", "100"], "256 tokens"),
        (&["-m", MODEL, "--chunk", "1"], "2.."),
    ] {
        let output = kernels(arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(expected), "{arguments:?}: {text}");
    }
}
