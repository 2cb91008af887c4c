//! The tools from outside, on a tiny random model whose logits HF transformers computed.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

#[path = "../../tests/support/npy.rs"]
mod npy;
mod support;

use std::path::Path;
use support::{fails, json, prints, scratch};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/llama");

fn golden(name: &str) -> String {
    format!("{GOLDEN}/{name}")
}

fn nmse(got: &[Vec<f32>], want: &[Vec<f32>]) -> f64 {
    assert_eq!(got.len(), want.len());
    ffai::measure::difference(&got.concat(), &want.concat()).nmse
}

#[test]
fn ids_and_text_are_each_others_inverse() {
    for model in ["llama2.gguf", "llama3.gguf"].map(golden) {
        let text = "Hello, wörld!\n  2 lines";
        let ids = json(&["tokenize", "--model", &model, "--text", text]);
        let list = ids.to_string();
        assert_eq!(prints(&["detokenize", "--model", &model, "--ids", &list]), text);
        let with_bos = json(&["tokenize", "--model", &model, "--add-bos", "--text", text]);
        assert_eq!(with_bos.as_array().unwrap()[1..], ids.as_array().unwrap()[..]);
        let file = scratch("text").join("text.txt");
        std::fs::write(&file, text).unwrap();
        assert_eq!(json(&["tokenize", "--model", &model, "--file", &file.display().to_string()]), ids);
    }
}

#[test]
fn special_tokens_can_be_plain_text() {
    let model = golden("llama2.gguf");
    let parsed = json(&["tokenize", "--model", &model, "--text", "</s>"]);
    let plain = json(&["tokenize", "--model", &model, "--no-special", "--text", "</s>"]);
    assert_eq!(parsed.as_array().unwrap().len(), 1);
    assert!(plain.as_array().unwrap().len() > 1);
    assert_eq!(prints(&["detokenize", "--model", &model, "--ids", &plain.to_string()]), "</s>");
}

#[test]
fn logits_are_those_of_the_reference() {
    let folder = scratch("logits");
    for name in ["llama2", "llama3"] {
        let (model, tokens) = (golden(&format!("{name}.gguf")), golden(&format!("{name}.tokens.json")));
        let want = npy::read(Path::new(&golden(&format!("{name}.logits.npy"))));
        let out = folder.join(format!("{name}.npy"));
        let file = out.display().to_string();
        let run = ["logits", "--model", &model, "--file", &tokens, "-o", &file];
        for (how, most) in [
            (&["--backend", "cpu", "--kv-cache", "f32"] as &[&str], 1e-10),
            (&["--backend", "cpu", "--kv-cache", "f32", "--stepwise"], 1e-10),
            (&["--kv-cache", "f32"], 1e-9),
            (&["--stepwise"], 1e-6),
        ] {
            prints(&[run.as_slice(), &["--positions", "all"], how].concat());
            let error = nmse(&npy::read(&out), &want);
            assert!(error <= most, "{name} {how:?}: {error:e}");
        }
        prints(&[run.as_slice(), &["--positions", "0,31,38", "--backend", "cpu", "--kv-cache", "f32"]].concat());
        let chosen = [0, 31, 38].map(|position: usize| want[position].clone());
        assert!(nmse(&npy::read(&out), &chosen) <= 1e-10);
    }
}

#[test]
fn bad_requests_leave_no_file() {
    let folder = scratch("bad");
    let (model, file) = (golden("llama2.gguf"), folder.join("out.npy").display().to_string());
    let run = ["logits", "--model", &model, "--backend", "cpu", "-o", &file];
    for (line, status, part) in [
        (["--ids", "1,2,3", "--positions", "3"], 2, "below 3, found 3"),
        (["--ids", "1,2,3", "--positions", "1,0"], 2, "ascending"),
        (["--ids", "1,2,3", "--positions", ""], 2, "ascending"),
        (["--ids", "1,272", "--positions", "all"], 1, "token 272 is not in the vocabulary"),
        (["--ids", "1,x", "--positions", "all"], 2, "found `x`"),
        (["--file", "no/such/file", "--positions", "all"], 1, "no/such/file"),
    ] {
        fails(&[run.as_slice(), &line].concat(), status, &[part]);
    }
    let long = vec!["1"; 257].join(",");
    fails(&[run.as_slice(), &["--ids", &long, "--positions", "all"]].concat(), 1, &["257 tokens were given"]);
    fails(&["logits", "--model", &model, "--positions", "all", "-o", &file], 2, &["--ids"]);
    fails(
        &["logits", "--model", "none.gguf", "--ids", "1", "--positions", "all", "-o", &file],
        1,
        &["no model at none.gguf"],
    );
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    fails(&["detokenize", "--model", &model, "--ids", "300"], 1, &["token 300 is not in the vocabulary"]);
}

#[test]
fn generated_ids_are_the_best_tokens_with_their_gaps() {
    let model = golden("llama2.gguf");
    let run = ["--model", &model, "--backend", "cpu", "--kv-cache", "f32"];
    let object = json(&[&["generate-ids", "--ids", "1,123,63", "--max-tokens", "8"], run.as_slice()].concat());
    let ids: Vec<u64> = object["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect();
    let gaps: Vec<f64> = object["gaps"].as_array().unwrap().iter().map(|gap| gap.as_f64().unwrap()).collect();
    assert_eq!(ids.len(), gaps.len());
    // The same by way of logits over all that was generated.
    let all = [1, 123, 63].iter().chain(&ids).map(u64::to_string).collect::<Vec<_>>().join(",");
    let out = scratch("greedy").join("out.npy");
    let file = out.display().to_string();
    prints(&[&["logits", "--ids", &all, "--positions", "all", "-o", &file], run.as_slice()].concat());
    for ((row, id), gap) in npy::read(&out)[2..].iter().zip(ids).zip(gaps) {
        let mut order: Vec<usize> = (0..row.len()).collect();
        order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
        assert_eq!(order[0] as u64, id);
        assert!((f64::from(row[order[0]] - row[order[1]]) - gap).abs() < 1e-4);
    }
}

#[test]
fn the_page_of_kernels_is_current() {
    let page = prints(&["kernels-doc"]);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/kernels.md");
    if let Ok(committed) = std::fs::read_to_string(file) {
        let remedy = "docs/kernels.md is stale: cargo run -p tools -- kernels-doc > docs/kernels.md";
        assert!(committed == page, "{remedy}");
    }
}
