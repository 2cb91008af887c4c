//! Hugging Face's own client and this one find what the other fetched. `tools/test.sh` installs the client; the tests skip
//! without it, and fail under CI.

use crate::server::{COMMIT, Hub, sha256};
use crate::{noise, printed, pull, run, scratch, settings, surroundings, text};
use ffai::weights::hub::Settings;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The interpreter of the environment that holds `huggingface_hub`.
fn python() -> Option<PathBuf> {
    let kept = || Some(ffai::weights::default_model()?.parent()?.join("hub-python/bin/python"));
    let path = std::env::var_os("FFAI_TEST_HUB_PYTHON").map(PathBuf::from).or_else(kept).unwrap_or_default();
    if path.is_file() {
        return Some(path);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing; tools/test.sh makes it", path.display());
    println!("SKIPPED: {} is missing; tools/test.sh makes it", path.display());
    None
}

/// Runs `script` with `import json` and the client's functions at hand; it prints one JSON value.
fn client(python: &Path, hub: &Hub, home: &Path, offline: bool, script: &str) -> serde_json::Value {
    const HEAD: &str = "import json, os\nfrom huggingface_hub import *\n";
    let mut command = Command::new(python);
    command.args(["-c", &format!("{HEAD}{script}")]);
    surroundings(&mut command, hub, home);
    command.env("HF_HUB_DISABLE_TELEMETRY", "1").env("HF_HUB_DISABLE_PROGRESS_BARS", "1");
    if offline {
        command.env("HF_HUB_OFFLINE", "1");
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_str(&text(&output.stdout)).unwrap()
}

#[test]
fn the_python_client_finds_offline_what_was_fetched_here() {
    let Some(python) = python() else { return };
    let (weights, quantized) = (noise(50_000, 1), noise(20_000, 2));
    let hub = Hub::new(&[
        ("README.md", b"not fetched"),
        ("config.json", br#"{"model_type": "llama"}"#),
        ("model.safetensors", &weights),
        ("sub/m-Q8_0.gguf", &quantized),
    ]);
    let home = scratch("to-python");
    let folder = printed(&run(&hub, &home, &["pull", "org/repo"]));
    let file = printed(&run(&hub, &home, &["pull", "org/repo:Q8_0"]));
    hub.forget();
    let found = client(
        &python,
        &hub,
        &home,
        true,
        r#"
cache = scan_cache_dir()
repo, = cache.repos
revision, = repo.revisions
print(json.dumps({
    "folder": snapshot_download("org/repo", local_files_only=True),
    "commit_folder": snapshot_download("org/repo", revision=revision.commit_hash),
    "config": json.load(open(hf_hub_download("org/repo", "config.json"))),
    "file": hf_hub_download("org/repo", "sub/m-Q8_0.gguf"),
    "absent": try_to_load_from_cache("org/repo", "README.md"),
    "warnings": [str(warning) for warning in cache.warnings],
    "repo": [repo.repo_id, repo.repo_type, repo.size_on_disk, repo.nb_files],
    "revision": [revision.commit_hash, sorted(revision.refs), sorted(file.file_name for file in revision.files)],
}))
"#,
    );
    assert_eq!(found["folder"], folder.to_str().unwrap());
    assert_eq!(found["commit_folder"], folder.to_str().unwrap());
    assert_eq!(found["config"]["model_type"], "llama");
    assert_eq!(found["file"], file.to_str().unwrap());
    assert_eq!(found["absent"], serde_json::Value::Null);
    assert_eq!(found["warnings"], serde_json::json!([]));
    assert_eq!(found["repo"], serde_json::json!(["org/repo", "model", 70_023, 3]));
    let files = serde_json::json!(["config.json", "m-Q8_0.gguf", "model.safetensors"]);
    assert_eq!(found["revision"], serde_json::json!([COMMIT, ["main"], files]));
    assert_eq!(hub.log().len(), 0);
}

/// With the network it compares what the hub says with the names in the cache: they have to be the same.
#[test]
fn the_python_client_fetches_nothing_again() {
    let Some(python) = python() else { return };
    let weights = noise(50_000, 3);
    let hub = Hub::new(&[("config.json", b"{}"), ("model.safetensors", &weights)]);
    let home = scratch("python-again");
    let folder = printed(&run(&hub, &home, &["pull", "org/repo"]));
    hub.forget();
    let found = client(
        &python,
        &hub,
        &home,
        false,
        r#"
hf_hub_download("org/repo", "config.json")
print(json.dumps([hf_hub_download("org/repo", "model.safetensors"), snapshot_download("org/repo")]))
"#,
    );
    assert_eq!(found, serde_json::json!([folder.join("model.safetensors"), folder]));
    assert!(!hub.log().is_empty(), "it did ask");
    assert_eq!(hub.bytes_of_files(), 0);
}

#[test]
fn what_the_python_client_fetched_is_found_here() {
    let Some(python) = python() else { return };
    let (weights, quantized) = (noise(50_000, 4), noise(20_000, 5));
    let hub = Hub::new(&[("config.json", b"{}"), ("model.safetensors", &weights), ("m-Q8_0.gguf", &quantized)]);
    let home = scratch("from-python");
    let whole = r#"print(json.dumps([snapshot_download("org/repo"), hf_hub_download("org/repo", "m-Q8_0.gguf", revision="v1")]))"#;
    let found = client(&python, &hub, &home, false, r#"print(json.dumps(hf_hub_download("org/repo", "m-Q8_0.gguf")))"#);
    let offline = Settings { offline: true, ..settings(&hub, &home) };
    hub.forget();
    assert_eq!(pull("org/repo", &offline).unwrap(), Path::new(found.as_str().unwrap()), "what is here is the model");
    assert_eq!(hub.log().len(), 0);
    let found = client(&python, &hub, &home, false, whole);
    hub.forget();
    assert_eq!(pull("org/repo", &offline).unwrap(), Path::new(found[0].as_str().unwrap()));
    assert_eq!(pull("org/repo@v1:Q8_0", &offline).unwrap(), Path::new(found[1].as_str().unwrap()));
    // Online, only the lists are asked for.
    pull("org/repo", &settings(&hub, &home)).unwrap();
    assert_eq!(hub.bytes_of_files(), 0);
}

/// Both wait for the other: the client's lock is a lock here.
#[test]
fn a_file_that_the_python_client_is_fetching_is_waited_for() {
    let Some(python) = python() else { return };
    let content = noise(3000, 6);
    let hub = Hub::new(&[("m-Q8_0.gguf", &content)]);
    let home = scratch("python-lock");
    let lock = home.join("hub/.locks/models--org--repo").join(format!("{}.lock", sha256(&content)));
    std::fs::create_dir_all(lock.parent().unwrap()).unwrap();
    let mut command = Command::new(&python);
    let script = "import sys, time\nfrom huggingface_hub.utils import WeakFileLock\nwith WeakFileLock(sys.argv[1]):\n    print('held', flush=True)\n    time.sleep(1)\n    print('free', flush=True)";
    command.args(["-c", script, lock.to_str().unwrap()]).stdout(std::process::Stdio::piped());
    surroundings(&mut command, &hub, &home);
    let mut child = command.spawn().unwrap();
    let mut told = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut told, &mut line).unwrap();
    assert_eq!(line.trim(), "held");
    let output = run(&hub, &home, &["pull", "org/repo"]);
    assert!(text(&output.stderr).contains("another process is fetching m-Q8_0.gguf"), "{}", text(&output.stderr));
    assert!(std::fs::read(printed(&output)).unwrap() == content);
    assert!(child.try_wait().unwrap().is_some() || { child.wait().unwrap().success() });
}
