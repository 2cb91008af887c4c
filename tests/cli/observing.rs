//! What a run tells of itself: phases, logs, profiles, metrics.

use super::{TINY, command, fails, ffai, json, text, tiny};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Output;

const RUN: [&str; 6] = ["-p", "Once upon a time", "--max-tokens", "20", "--temperature", "0"];

/// Runs the tiny model on the GPU.
fn gpu(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = command(&[&["-m", TINY, "--ignore-eos"], &RUN[..], arguments].concat());
    command.envs(variables.iter().copied());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    output
}

/// Lines of standard error that come from the log, by subsystem.
fn logged(output: &Output) -> Vec<(String, String)> {
    let stderr = text(&output.stderr);
    let lines = stderr.lines().filter_map(|line| line.strip_prefix("[ffai:")?.split_once("] "));
    lines.map(|(subsystem, message)| (subsystem.to_owned(), message.to_owned())).collect()
}

#[test]
fn a_level_that_does_not_exist_is_refused_in_the_contracts_words() {
    for level in ["4", "-1", "two", ""] {
        let message = format!("Invalid --profiling level {level}. Use 0, 1, 2 or 3.");
        fails(&ffai(&["-m", "nowhere.gguf", "--profiling", level]), 2, &[&message]);
    }
}

#[test]
fn level_one_prints_the_phases_in_their_order() {
    let output = tiny(&[&RUN[..], &["--profiling", "1", "--stats"]].concat());
    let stderr = text(&output.stderr);
    let block = stderr.split("[PROFILE]\n").nth(1).unwrap();
    assert!(stderr.find("[STATS]").unwrap() < stderr.find("[PROFILE]").unwrap());
    let names: Vec<&str> = block.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(names, ["model_load", "prewarm", "prefill", "ttft", "decode", "generation_total"]);
    for line in block.lines() {
        let (name, value) = line.split_at(20);
        assert!(name.starts_with("  ") && !name.starts_with("   "), "{line:?}");
        assert!(value.len() >= 8 && (value.ends_with(" ms") || value.ends_with(" s")), "{line:?}");
    }
    let silent = tiny(&RUN);
    assert!(!text(&silent.stderr).contains("[PROFILE]"));
}

#[test]
fn debug_tells_what_every_subsystem_does() {
    let output = gpu(&["--debug"], &[]);
    let lines = logged(&output);
    for subsystem in ["loader", "load", "generate", "sampling", "kvcache", "kernels", "dispatch"] {
        assert!(lines.iter().any(|(name, _)| name == subsystem), "{subsystem} in {lines:?}");
    }
    for start in [
        "Model.load id-or-path=",
        "resolved snapshot dir: ",
        "config: arch=llama model_type=llama hidden=",
        "begin prefill: ",
        "prefill done in ",
        "decode done: 20 tokens in ",
        "plan built: ",
        "submit: ",
    ] {
        assert!(lines.iter().any(|(_, message)| message.starts_with(start)), "{start} in {lines:?}");
    }
    let prefill = lines.iter().find(|(_, message)| message.starts_with("begin prefill")).unwrap();
    assert!(prefill.0 == "generate" && prefill.1.ends_with(" tokens, maxTokens=20"), "{prefill:?}");
    // The text stays alone where standard output is no terminal.
    assert!(!text(&output.stdout).contains("[ffai:"));
}

#[test]
fn one_variable_opens_one_subsystem() {
    let lines = logged(&gpu(&[], &[("FFAI_DEBUG_KVCACHE", "1")]));
    assert!(!lines.is_empty() && lines.iter().all(|(subsystem, _)| subsystem == "kvcache"), "{lines:?}");
    let lines = logged(&gpu(&[], &[("FFAI_DEBUG", "1"), ("FFAI_DEBUG_DISPATCH", "0")]));
    assert!(lines.iter().any(|(subsystem, _)| subsystem == "load"));
    assert!(lines.iter().all(|(subsystem, _)| subsystem != "dispatch"));
    assert!(logged(&gpu(&[], &[("FFAI_DEBUG", "false")])).is_empty());
    // One's name is the beginning of the other's.
    let lines = logged(&gpu(&[], &[("FFAI_DEBUG_LOAD", "1")]));
    assert!(!lines.is_empty() && lines.iter().all(|(subsystem, _)| subsystem == "load"), "{lines:?}");
    let lines = logged(&gpu(&[], &[("RUST_LOG", "ffai::sampling=debug")]));
    assert!(!lines.is_empty() && lines.iter().all(|(subsystem, _)| subsystem == "sampling"), "{lines:?}");
}

#[test]
fn variables_that_open_nothing_are_told() {
    let run = |name: &str, value: &str| command(&["-m", "nowhere.gguf", "-p", "x"]).env(name, value).output().unwrap();
    fails(&run("FFAI_DEBUG_CACHE", "1"), 2, &["FFAI_DEBUG_CACHE", "FFAI_DEBUG_KVCACHE"]);
    fails(&run("RUST_LOG", "ffai=loud"), 2, &["RUST_LOG"]);
}

#[test]
fn a_profile_is_a_table_on_standard_error_and_an_object_in_json() {
    let output = gpu(&["--profile"], &[]);
    let stderr = text(&output.stderr);
    for part in
        ["Token 1: ", "  layer 0: ", "  lm_head: ", "  gaps: ", "GPU counters:", "Operation", "TOTAL", "Slowest: "]
    {
        assert!(stderr.contains(part), "{part} in {stderr}");
    }
    let profile = json(&gpu(&["--profile", "--json"], &[]))["profile"].clone();
    assert_eq!(profile["method"], "timestamps");
    assert!(profile["slowdown"].as_f64().unwrap() > 0.0);
    let token = &profile["tokens"][0];
    assert!(token["text"].is_string() && token["gpu_ms"].as_f64().unwrap() > 0.0);
    let zone = &token["zones"][1];
    assert_eq!(zone["path"], "layer 0/attention");
    assert!(zone["ops"].as_array().unwrap().iter().all(|op| op["calls"].as_u64().unwrap() > 0));
    let op = &profile["ops"][0];
    for field in ["calls", "total_ms", "avg_us", "share", "gb_per_s", "peak_share"] {
        assert!(op[field].as_f64().unwrap() > 0.0, "{field} in {op}");
    }
    for counter in ["dispatches", "passes", "hazards", "submits", "syncs", "readback_bytes"] {
        assert!(profile["counters"][counter].is_u64(), "{counter}");
    }
    assert!(profile["memory"].as_array().unwrap().iter().any(|row| row["label"] == "Unattributed"));
    // Level 3 is the same.
    assert!(json(&gpu(&["--profiling", "3", "--json"], &[]))["profile"]["tokens"].is_array());
}

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn a_metrics_log_ends_with_the_rows_of_the_run() {
    let folder = folder("metrics");
    let mut command = command(&[&["-m", TINY, "--ignore-eos"], &RUN[..]].concat());
    command.env("METRICS_LOG_ENABLED", "on").env("METRICS_LOG_INTERVAL_SECS", "never").current_dir(&folder);
    assert!(command.output().unwrap().status.success());
    let read = |ending: &str| -> Vec<Value> {
        let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let path = files.into_iter().find(|path| path.to_str().unwrap().ends_with(ending)).unwrap();
        std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let labels = |line: &Value| -> Vec<String> {
        line["rows"].as_array().unwrap().iter().map(|row| row["label"].as_str().unwrap().to_owned()).collect()
    };
    let latency = labels(read("-latency.jsonl").last().unwrap());
    assert_eq!(latency[..2], ["Embedding", "Forward Step"]);
    assert!(latency[2].starts_with("Softmax ("), "{latency:?}");
    assert_eq!(
        latency[3..],
        ["Block 0", "attention", "mlp", "Block 1", "attention", "mlp", "Output", "Sampling", "Decode"]
    );
    let memory = labels(read("-memory.jsonl").last().unwrap());
    assert!(memory[0] == "Device" && memory.contains(&"Host".to_owned()), "{memory:?}");
}

#[test]
fn a_trace_that_cannot_be_written_is_told_before_a_model_is_looked_for() {
    let output = ffai(&["-m", "nowhere.gguf", "-p", "x", "--trace", "/nowhere/at/all/trace.json"]);
    fails(&output, 1, &["/nowhere/at/all/trace.json"]);
}

#[test]
fn a_timeline_shows_ops_by_the_names_that_the_profile_has() {
    let path = folder("trace").join("trace.json");
    let profile = json(&gpu(&["--profile", "--json", "--trace", path.to_str().unwrap()], &[]))["profile"].clone();
    let trace: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let events = trace.as_array().unwrap();
    let lane = events
        .iter()
        .find(|event| event["name"] == "thread_name" && event["args"]["name"] == "GPU")
        .map(|event| event["tid"].clone())
        .unwrap();
    let on_gpu = |name: &Value| events.iter().any(|e| e["ph"] == "B" && e["tid"] == lane && e["name"] == *name);
    for op in profile["ops"].as_array().unwrap() {
        assert!(on_gpu(&op["name"]), "{} is not on the GPU's lane", op["name"]);
    }
    // Tokens that are not profiled show as whole submissions, and what the host does under its own names.
    assert!(on_gpu(&"forward".into()) && on_gpu(&"layer 1".into()) && on_gpu(&"mlp".into()));
    for name in ["model_load", "prewarm", "prefill", "decode_step", "sampling"] {
        let on_host = events.iter().any(|e| e["ph"] == "B" && e["tid"] != lane && e["name"] == name);
        assert!(on_host, "{name} is not in the timeline");
    }
    for (kind, name) in [("i", "ttft"), ("C", "tokens per second"), ("C", "device memory"), ("C", "KV cache used")] {
        assert!(events.iter().any(|e| e["ph"] == kind && e["name"] == name), "{name} is not in the timeline");
    }
}
