//! Rows, and what they look like in every format.

use super::{MODEL, bench, refused, rows, text};
use serde_json::Value;

const SHORT: &[&str] = &["-p", "8", "-n", "3", "-r", "2", "--backend", "cpu"];

/// Prompts and generation are separate rows, per depth and width; every number follows from the samples.
#[test]
fn rates_follow_from_the_samples() {
    let rows = rows(&["-p", "16", "-n", "4", "-d", "0,32", "-b", "1,3", "-r", "3", "--pg", "8,2"]);
    let shape = |row: &Value| ["n_prompt", "n_gen", "n_depth", "n_sequences"].map(|name| row[name].as_u64().unwrap());
    let at = |depth| [[16, 0, depth, 1], [0, 4, depth, 1], [8, 2, depth, 1], [0, 4, depth, 3], [8, 2, depth, 3]];
    assert_eq!(rows.iter().map(shape).collect::<Vec<_>>(), [at(0), at(32)].concat());
    for row in &rows {
        let ns: Vec<f64> = row["samples_ns"].as_array().unwrap().iter().map(|ns| ns.as_f64().unwrap()).collect();
        let ts: Vec<f64> = row["samples_ts"].as_array().unwrap().iter().map(|ts| ts.as_f64().unwrap()).collect();
        assert_eq!((ns.len(), ts.len()), (3, 3));
        let [prompt, generated, _, sequences] = shape(row);
        let tokens = ((prompt + generated) * sequences) as f64;
        for (ns, ts) in ns.iter().zip(&ts) {
            assert!((tokens / (ns / 1e9) / ts - 1.0).abs() < 1e-9, "{row}");
        }
        let mean = ts.iter().sum::<f64>() / 3.0;
        assert!((row["avg_ts"].as_f64().unwrap() / mean - 1.0).abs() < 1e-9);
        assert!(row["stddev_ts"].as_f64().unwrap() >= 0.0);
    }
}

#[test]
fn rows_say_what_they_ran_on() {
    let row = &rows(SHORT)[0];
    assert_eq!(row["model_filename"], MODEL);
    assert_eq!(row["backends"], "CPU");
    assert_eq!(row["n_gpu_layers"], 0);
    assert_eq!(row["type_k"], "f16");
    let file = ffai::weights::gguf::Gguf::open(MODEL.as_ref()).unwrap();
    let parameters: u64 =
        file.tensors().filter(|tensor| tensor.name != "rope_freqs.weight").map(|tensor| tensor.elements()).sum();
    assert_eq!(row["model_n_params"], parameters);
    assert_eq!(row["model_size"], file.tensors().map(|tensor| tensor.bytes).sum::<u64>());
    // `2026-11-21T21:18:37Z`
    let time = row["test_time"].as_str().unwrap();
    assert!(time.len() == 20 && time.ends_with('Z') && &time[10..11] == "T", "{time}");
}

#[test]
fn the_table_is_that_of_llama_bench() {
    let table = text(SHORT);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(
        lines[0],
        "| model                          |       size |     params | backend    |            test |                  t/s |"
    );
    assert_eq!(
        lines[1],
        "| ------------------------------ | ---------: | ---------: | ---------- | --------------: | -------------------: |"
    );
    assert!(lines[2].contains(" pp8 |") && lines[3].contains(" tg3 |") && lines[3].contains(" ± "), "{table}");
    assert!(lines[5].starts_with("build: "), "{table}");
    let wide = text(&[SHORT, &["--ctk", "f32,f16", "-d", "5", "-b", "2", "-p", "0"]].concat());
    assert!(wide.contains("| type_k     |") && wide.contains(" tg3 x2 @ d5 |"), "{wide}");
}

/// The statements run in sqlite where Python has it; the columns are those of the JSON without its samples.
#[test]
fn every_format_holds_the_same_rows() {
    let names = |row: &Value| row.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let array: Vec<Value> = serde_json::from_str(&text(&[SHORT, &["-o", "json"]].concat())).unwrap();
    assert_eq!(array.len(), 2);
    let mut fields = names(&array[0]);
    assert_eq!(fields.split_off(fields.len() - 2), ["samples_ns", "samples_ts"]);

    let csv = text(&[SHORT, &["-o", "csv"]].concat());
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>(), fields);
    let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(records.len(), 2);
    assert_eq!(&records[1][fields.iter().position(|name| name == "n_gen").unwrap()], "3");

    let sql = text(&[SHORT, &["-o", "sql"]].concat());
    assert!(sql.starts_with("CREATE TABLE IF NOT EXISTS llama_bench (\n  build_commit TEXT,"), "{sql}");
    assert_eq!(sql.matches("INSERT INTO llama_bench (build_commit, ").count(), 2);
    let script = "import sqlite3, sys\nc = sqlite3.connect(':memory:')\nc.executescript(sys.stdin.read())\n\
                  print(c.execute('select n_prompt, n_gen from llama_bench').fetchall())";
    if let Some(found) = python(script, &sql) {
        assert_eq!(found.trim(), "[(8, 0), (0, 3)]");
    }
}

/// What a Python program prints; `None` where there is no Python.
fn python(script: &str, input: &str) -> Option<String> {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let child = Command::new("python3").args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.ok()?;
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{script}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn variants_are_rows_of_their_own() {
    let rows =
        rows(&["-p", "0", "-n", "3", "-r", "1", "--backend", "cpu", "--variant", "attend_decode=online,two-pass"]);
    assert_eq!(
        rows.iter().map(|row| row["variant"].as_str().unwrap()).collect::<Vec<_>>(),
        ["attend_decode=online", "attend_decode=two-pass"]
    );
}

#[test]
fn what_cannot_be_measured_is_refused_before_a_model_is_loaded() {
    assert!(refused(&["-p", "0", "-n", "0"], 2).contains("nothing to measure"));
    assert!(refused(&["-p", "200", "-d", "100"], 2).contains("256 tokens"));
    assert!(refused(&["-b", "9"], 2).contains("9"));
    assert!(refused(&["-n", "-1"], 2).contains("-1"));
    assert!(refused(&["--variant", "matmul=magic"], 2).contains("registers"));
    assert!(refused(&["--pg", "5"], 2).contains("512,128"));
    let missing = bench(&[SHORT, &["-m", "./no-such-model.gguf"]].concat());
    assert_eq!(missing.status.code(), Some(1));
}
