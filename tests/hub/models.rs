//! `ffai models`: everything on this disk, whoever put it there, and nothing of it touched.

use crate::server::{COMMIT, Hub, sha256};
use crate::{TINY, command, files_below, noise, printed, pull, run, scratch, settings, text};
use serde_json::{Value, json};
use std::path::Path;

fn write(path: &Path, content: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn listed(hub: &Hub, home: &Path) -> Vec<Value> {
    let output = run(hub, home, &["models", "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let object: Value = serde_json::from_str(&text(&output.stdout)).unwrap();
    assert!(object["families"].as_array().unwrap().contains(&json!("llama")));
    object["models"].as_array().unwrap().clone()
}

#[test]
fn an_empty_disk_says_how_to_begin() {
    let hub = Hub::new(&[]);
    let output = run(&hub, &scratch("models-none"), &["models"]);
    let table = text(&output.stdout);
    assert!(output.status.success() && table.starts_with("families of this build: llama"), "{table}");
    assert!(table.contains("no models on this disk; `ffai pull org/repo`"), "{table}");
}

#[test]
fn models_of_the_hub_are_listed_with_what_they_take_on_disk() {
    let (weights, quantized) = (noise(5000, 1), noise(3000, 2));
    let config = br#"{"model_type": "llama", "quantization": {"group_size": 64, "bits": 4}}"#;
    let hub = Hub::new(&[("config.json", config), ("model.safetensors", &weights), ("m-Q8_0.gguf", &quantized)]);
    let home = scratch("models-hub");
    let folder = pull("org/repo", &settings(&hub, &home)).unwrap();
    let file = pull("org/repo:Q8_0", &settings(&hub, &home)).unwrap();
    let models = listed(&hub, &home);
    let expected = |name: &str, kind: &str, bytes: usize, path: &Path| {
        json!({
            "name": name, "source": "hub", "revision": "main", "commit": COMMIT, "kind": kind, "bytes": bytes,
            "state": "complete", "path": path,
        })
    };
    assert_eq!(models[0], expected("org/repo", "mlx", 5000 + config.len(), &folder));
    assert_eq!(models[1], expected("org/repo:m-Q8_0.gguf", "gguf", 3000, &file));
    assert_eq!(models.len(), 2);
    let table = text(&run(&hub, &home, &["models"]).stdout);
    let line = table.lines().find(|line| line.starts_with("org/repo:m-Q8_0.gguf ")).unwrap();
    let cells: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(cells[1..6], ["hub", "gguf", "2.93", "KiB", "complete"], "{table}");
    assert!(line.ends_with(file.to_str().unwrap()), "{table}");
}

#[test]
fn what_arrived_in_part_is_called_partial() {
    let index =
        br#"{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}"#;
    let part = noise(4000, 1);
    let hub = Hub::new(&[
        ("config.json", b"{}"),
        ("model.safetensors.index.json", index),
        ("model-00001-of-00002.safetensors", &part),
    ]);
    let home = scratch("models-partial");
    pull("org/repo", &settings(&hub, &home)).unwrap_err();
    write(&home.join("hub/models--other--repo/blobs").join(format!("{}.incomplete", sha256(b"x"))), &[0; 700]);
    // What is no model of ours is not listed, and what is no cache at all does no harm.
    write(&home.join("hub/datasets--org--data/snapshots").join(COMMIT).join("data.gguf"), b"x");
    write(&home.join("hub/models--org--bin/snapshots").join(COMMIT).join("pytorch_model.bin"), b"x");
    write(&home.join("hub/models--org--odd/snapshots/file"), b"x");
    write(&home.join("hub/models--org--odd/refs/main"), b"../../x");
    let models = listed(&hub, &home);
    let states: Vec<_> = models.iter().map(|model| (&model["name"], &model["state"], &model["bytes"])).collect();
    let bytes = json!(2 + index.len() + 4000);
    let (org, other, partial) = (json!("org/repo"), json!("other/repo"), json!("partial"));
    assert_eq!(states, [(&org, &partial, &bytes), (&other, &partial, &json!(700))]);
}

#[test]
fn models_of_lm_studio_and_ollama_are_found_run_and_left_alone() {
    let hub = Hub::new(&[]);
    let home = scratch("models-others");
    let tiny = std::fs::read(TINY).unwrap();
    write(&home.join(".lmstudio/models/maker/tiny-GGUF/tiny-F32.gguf"), &tiny);
    write(&home.join(".lmstudio/models/maker/tiny-GGUF/mmproj-tiny.gguf"), b"x");
    write(
        &home.join(".cache/lm-studio/models/mlx-community/m/config.json"),
        br#"{"quantization": {"group_size": 32}}"#,
    );
    write(&home.join(".cache/lm-studio/models/mlx-community/m/model.safetensors"), &[0; 100]);
    let ollama = home.join(".ollama/models");
    let digest = sha256(&tiny);
    write(&ollama.join(format!("blobs/sha256-{digest}")), &tiny);
    let manifest = |digest: &str, bytes: usize| {
        let layers = json!([
            {"mediaType": "application/vnd.ollama.image.license", "digest": "sha256:0", "size": 1},
            {"mediaType": "application/vnd.ollama.image.model", "digest": format!("sha256:{digest}"), "size": bytes},
        ]);
        json!({"schemaVersion": 2, "layers": layers}).to_string()
    };
    let library = ollama.join("manifests/registry.ollama.ai/library");
    write(&library.join("tiny/latest"), manifest(&digest, tiny.len()).as_bytes());
    write(&library.join("short/1b"), manifest(&digest, tiny.len() + 1).as_bytes());
    write(&library.join("gone/latest"), manifest(&sha256(b"gone"), 9).as_bytes());
    write(&library.join("outside/latest"), manifest("../../../../etc/passwd", 9).as_bytes());
    write(&library.join("nonsense/latest"), b"{\"layers\": \x1b[31m");
    write(&library.join("empty/latest"), br#"{"layers": []}"#);
    write(&ollama.join("manifests/hf.co/maker/tiny-GGUF/F32"), manifest(&digest, tiny.len()).as_bytes());
    write(&home.join("cache/ffai/own.gguf"), &tiny);
    let before = files_below(&home);

    let models = listed(&hub, &home);
    let seen: Vec<(&str, &str, &str)> = models
        .iter()
        .map(|model| {
            let text = |field: &str| model[field].as_str().unwrap();
            (text("source"), text("name"), text("state"))
        })
        .collect();
    let expected = [
        ("ffai", "own.gguf", "complete"),
        ("lm-studio", "maker/tiny-GGUF:tiny-F32.gguf", "complete"),
        ("lm-studio", "mlx-community/m", "complete"),
        ("ollama", "empty:latest", "broken"),
        ("ollama", "gone:latest", "broken"),
        ("ollama", "hf.co/maker/tiny-GGUF:F32", "complete"),
        ("ollama", "nonsense:latest", "broken"),
        ("ollama", "outside:latest", "broken"),
        ("ollama", "short:1b", "partial"),
        ("ollama", "tiny:latest", "complete"),
    ];
    assert_eq!(seen, expected);
    let problem = |name: &str| {
        let model = models.iter().find(|model| model["name"] == name).unwrap();
        model["problem"].as_str().unwrap().to_owned()
    };
    assert!(problem("empty:latest").contains("no layer of type"));
    assert!(problem("nonsense:latest").contains("makes no sense"));
    assert!(problem("outside:latest").contains("expected sha256: and 64 digits"));

    // Every path of a complete GGUF is good for --model.
    for model in models.iter().filter(|model| model["state"] == "complete" && model["kind"] == "gguf") {
        let path = model["path"].as_str().unwrap();
        let output = run(&hub, &home, &["-m", path, "-p", "hi", "--backend", "cpu", "--max-tokens", "1", "-q"]);
        assert!(output.status.success(), "{path}: {}", text(&output.stderr));
    }
    assert!(text(&run(&hub, &home, &["models"]).stdout).lines().all(|line| !line.contains('\u{1b}')));
    assert_eq!(files_below(&home), before, "nothing is written");
    assert_eq!(hub.log().len(), 0);
}

#[test]
fn ollama_can_be_told_another_place() {
    let hub = Hub::new(&[]);
    let home = scratch("models-ollama");
    write(&home.join("elsewhere/manifests/registry.ollama.ai/me/mine/v1"), b"{}");
    let output =
        command(&hub, &home, &["models", "--json"]).env("OLLAMA_MODELS", home.join("elsewhere")).output().unwrap();
    assert!(text(&output.stdout).contains(r#""name":"me/mine:v1","source":"ollama""#), "{}", text(&output.stdout));
}

/// What `ffai pull` prints and what `ffai models` lists are the same.
#[test]
fn a_pulled_model_is_listed_where_it_was_said_to_be() {
    let hub = Hub::new(&[("m-00001-of-00002.gguf", &noise(2000, 1)), ("m-00002-of-00002.gguf", &noise(2000, 2))]);
    let home = scratch("models-pulled");
    let path = printed(&run(&hub, &home, &["pull", "org/repo@v1"]));
    let models = listed(&hub, &home);
    assert_eq!((&models[0]["path"], &models[0]["bytes"]), (&json!(path), &json!(4000)));
    assert_eq!((&models[0]["revision"], models.len()), (&json!("v1"), 1));
}
