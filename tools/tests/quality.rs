//! `tools perplexity` and `tools kld` from outside, on tiny random models.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod support;

use serde_json::Value;
use support::{fails, json, prints, scratch, tools};

fn golden(name: &str) -> String {
    format!("{}/../tests/golden/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn file(name: &str, content: &[u8]) -> String {
    let path = scratch(name).join("text");
    std::fs::write(&path, content).unwrap();
    path.display().to_string()
}

fn text() -> String {
    "The quick brown fox jumps over the lazy dog, and nobody minds. ".repeat(12)
}

#[test]
fn perplexity_says_what_the_contract_names() {
    let (model, text) = (golden("llama/llama3.gguf"), file("contract", text().as_bytes()));
    let run = ["perplexity", "--model", &model, "--file", &text, "--ctx", "32"];
    let whole = json(&[&run[..], &["--json"]].concat());
    let running = whole["chunks"].as_array().unwrap();
    assert_eq!(whole["scored_tokens"], 15 * running.len());
    assert_eq!(running.last(), Some(&whole["perplexity"]));
    let nll = whole["mean_nll"].as_f64().unwrap();
    assert!((whole["perplexity"].as_f64().unwrap() - nll.exp()).abs() < 1e-9 * nll.exp());
    assert!(whole["standard_error"].as_f64().unwrap() > 0.0);
    let first = json(&[&run[..], &["--json", "--chunks", "2"]].concat());
    assert_eq!(first["chunks"].as_array().unwrap()[..], running[..2]);
    let page = prints(&run);
    assert!(page.contains(&format!("{:.4} ± ", whole["perplexity"].as_f64().unwrap())), "{page}");
    let stride = json(&[&run[..], &["--json", "--scoring", "stride"]].concat());
    let tokens = json(&["tokenize", "--model", &model, "--no-special", "--add-bos", "--file", &text]);
    assert_eq!(stride["scored_tokens"], tokens.as_array().unwrap().len() - 1);
}

#[test]
fn a_run_goes_on_where_an_earlier_one_was_killed() {
    let (model, text) = (golden("llama/llama3.gguf"), file("resume", text().as_bytes()));
    let kept = scratch("resume").join("kept.json");
    let run = [
        "perplexity",
        "--model",
        &model,
        "--file",
        &text,
        "--ctx",
        "32",
        "--json",
        "--resume",
        &kept.display().to_string(),
    ];
    let whole = json(&run);
    let mut state: Value = serde_json::from_slice(&std::fs::read(&kept).unwrap()).unwrap();
    let chunks = state["chunks"].as_array_mut().unwrap();
    assert_eq!(chunks.len(), whole["chunks"].as_array().unwrap().len());
    // As a run leaves it that was killed after two chunks; that these are not run again shows in their sums.
    chunks.truncate(2);
    chunks[0]["all"]["nll"] = (chunks[0]["all"]["nll"].as_f64().unwrap() + 15.0).into();
    std::fs::write(&kept, state.to_string()).unwrap();
    let resumed = json(&run);
    let count = whole["scored_tokens"].as_f64().unwrap();
    let apart = resumed["mean_nll"].as_f64().unwrap() - whole["mean_nll"].as_f64().unwrap();
    assert!((apart - 15.0 / count).abs() < 1e-6, "{apart}");
    let mut other = run;
    other[6] = "16";
    fails(&other, 1, &["another", "--resume"]);
    std::fs::write(&kept, "{").unwrap();
    fails(&run, 1, &["kept.json", "hint: "]);
}

#[test]
fn texts_that_cannot_be_scored_are_refused() {
    let model = golden("llama/llama3.gguf");
    let run = |file: &str, parts: &[&str]| {
        fails(&["perplexity", "--model", &model, "--file", file, "--ctx", "32"], 1, parts);
        fails(&["kld", "--model", &model, "--ref-model", &model, "--file", file, "--ctx", "32"], 1, parts);
    };
    run(&file("empty", b""), &["empty"]);
    run(&file("short", b"Hello"), &["too short", "at least 32 tokens"]);
    run(&file("binary", b"Hello \xFF\xFE there, this is not text"), &["UTF-8", "byte 6"]);
    run("/nowhere/at/all.txt", &["/nowhere/at/all.txt"]);
    run(&scratch("folder").display().to_string(), &["folder"]);
}

/// A gigabyte, most of which is a hole in the file: refused whole, and scored from the beginning without being read whole.
#[test]
fn a_gigabyte_of_text_takes_bounded_memory() {
    let model = golden("llama/llama3.gguf");
    let path = scratch("gigabyte").join("large.txt");
    let large = std::fs::File::create(&path).unwrap();
    std::io::Write::write_all(&mut &large, "All work and no play makes Jack a dull boy. ".repeat(50_000).as_bytes())
        .unwrap();
    large.set_len(1 << 30).unwrap();
    let name = path.display().to_string();
    fails(&["perplexity", "--model", &model, "--file", &name, "--ctx", "32"], 1, &["1073741824", "--chunks"]);
    let some = json(&["perplexity", "--model", &model, "--file", &name, "--ctx", "32", "--chunks", "3", "--json"]);
    assert_eq!(some["scored_tokens"], 45);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_model_beside_itself_diverges_nowhere() {
    let (model, text) = (golden("llama/llama3.gguf"), file("self", text().as_bytes()));
    let folder = scratch("self");
    let [lines, picture, saved] =
        ["lines.csv", "picture.svg", "saved.logits"].map(|name| folder.join(name).display().to_string());
    let cut = ["--ctx", "32", "--chunks", "3", "--json"];
    let both = ["kld", "--model", &model, "--ref-model", &model, "--file", &text];
    let own = json(
        &[&both[..], &cut, &["--per-position", &lines, "--histogram", &picture, "--save-logits", &saved]].concat(),
    );
    for key in ["mean_kld", "median_kld", "p90", "p95", "p99", "p999", "max_kld", "mean_delta_p", "rms_delta_p"] {
        assert!(own[key].as_f64().unwrap().abs() < 1e-9, "{key}: {own}");
    }
    assert!(own["mean_kld_error"].as_f64().unwrap() < 1e-9);
    assert_eq!((own["same_top"].as_f64(), own["scored_tokens"].as_u64()), (Some(100.0), Some(45)));
    assert_eq!(std::fs::read_to_string(&lines).unwrap().lines().count(), 46);
    let drawn = std::fs::read_to_string(&picture).unwrap();
    assert!(drawn.starts_with("<svg") && drawn.trim_end().ends_with("</svg>"));
    let turns = json(&[&both[..], &cut, &["--in-turn"]].concat());
    assert_eq!(turns, own);
    let again = json(&["kld", "--model", &model, "--ref-logits", &saved, "--file", &text, "--json"]);
    assert!(again["mean_kld"].as_f64().unwrap().abs() < 1e-3, "{again}");
    assert_eq!((&again["same_top"], &again["scored_tokens"]), (&own["same_top"], &own["scored_tokens"]));
    let other = file("other", "Something else altogether, and for quite a while. ".repeat(20).as_bytes());
    fails(&["kld", "--model", &model, "--ref-logits", &saved, "--file", &other], 1, &["differs from token"]);
}

#[test]
fn what_cannot_be_compared_is_refused_before_anything_runs() {
    let text = file("refused", text().as_bytes());
    let [llama, same_size, gemma] = ["llama/llama3.gguf", "llama/llama2.gguf", "gemma2/gemma2.gguf"].map(golden);
    let refused = |other: &str, part: &str| {
        let run = ["kld", "--model", other, "--ref-model", &llama, "--file", &text, "--ctx", "32"];
        fails(&run, 1, &["the vocabularies differ", part]);
    };
    refused(&same_size, "token ");
    refused(&gemma, "the candidate ");
    let garbage = file("garbage", b"not logits at all, whatever its name says");
    fails(&["kld", "--model", &llama, "--ref-logits", &garbage], 1, &["_logits_", "hint: "]);
    assert_eq!(tools(&["kld", "--model", &llama, "--file", &text]).status.code(), Some(2));
}
