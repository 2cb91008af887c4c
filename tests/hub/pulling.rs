//! What is fetched, where it lies, and when nothing is asked of the network.

use crate::server::{COMMIT, Hub, git_sha1, sha256};
use crate::{PLENTY, TINY, command, fails, noise, printed, pull, run, scratch, settings, text};
use ffai::weights::hub::{self, Error, Name, Progress, Settings, Token};

#[test]
fn a_pull_lays_the_cache_out_as_the_python_client_does() {
    let weights = noise(5000, 1);
    let hub =
        Hub::new(&[("README.md", b"no"), ("config.json", b"{}"), ("model.safetensors", &weights), ("w.bin", b"no")]);
    let home = scratch("layout");
    let path = printed(&run(&hub, &home, &["pull", "org/repo"]));
    let root = home.join("hub/models--org--repo");
    assert_eq!(path, root.join("snapshots").join(COMMIT));
    assert_eq!(std::fs::read_to_string(root.join("refs/main")).unwrap(), COMMIT);
    for (name, id, content) in
        [("config.json", git_sha1(b"{}"), b"{}".to_vec()), ("model.safetensors", sha256(&weights), weights)]
    {
        let target = std::fs::read_link(path.join(name)).unwrap();
        assert_eq!(target.to_str().unwrap(), format!("../../blobs/{id}"));
        assert_eq!(std::fs::read(path.join(name)).unwrap(), content);
    }
    assert_eq!(std::fs::read_dir(root.join("blobs")).unwrap().count(), 2, "nothing else is fetched");
}

#[test]
fn links_of_files_in_folders_lead_to_their_blobs() {
    let (first, second) = (noise(2000, 1), noise(3000, 2));
    let names = ["Q8_0/deep/m-Q8_0-00001-of-00002.gguf", "Q8_0/deep/m-Q8_0-00002-of-00002.gguf"];
    let hub = Hub::new(&[(names[0], &first), (names[1], &second), ("m-Q4_0.gguf", &noise(1000, 3))]);
    let home = scratch("folders");
    let path = pull("org/repo@v1:Q8_0", &settings(&hub, &home)).unwrap();
    let snapshot = home.join("hub/models--org--repo/snapshots").join(COMMIT);
    assert_eq!(path, snapshot.join(names[0]));
    assert_eq!(std::fs::read(path).unwrap(), first);
    assert_eq!(std::fs::read(snapshot.join(names[1])).unwrap(), second);
    assert!(!snapshot.join("m-Q4_0.gguf").exists());
    assert!(home.join("hub/models--org--repo/refs/v1").is_file());
}

#[test]
fn a_second_pull_fetches_nothing_and_a_changed_branch_only_what_changed() {
    let (old, new) = (noise(4000, 1), noise(4000, 2));
    let hub = Hub::new(&[("config.json", b"{}"), ("model.safetensors", &old)]);
    let home = scratch("again");
    let settings = settings(&hub, &home);
    pull("org/repo", &settings).unwrap();
    hub.forget();
    let path = pull("org/repo", &settings).unwrap();
    assert_eq!(hub.bytes_of_files(), 0);
    // The same commit never changes on the hub; here it stands for another one.
    hub.hold(&[("config.json", b"{}"), ("model.safetensors", &new)]);
    std::fs::remove_file(path.join("model.safetensors")).unwrap();
    assert_eq!(std::fs::read(pull("org/repo", &settings).unwrap().join("model.safetensors")).unwrap(), new);
    assert_eq!(hub.bytes_of_files(), 4000);
}

#[test]
fn a_model_runs_by_its_name_and_needs_no_network_afterwards() {
    let tiny = std::fs::read(TINY).unwrap();
    let hub = Hub::new(&[("README.md", b"no"), ("tiny-F32.gguf", &tiny)]);
    let home = scratch("on-demand");
    let line = ["-m", "org/repo", "-p", "hi", "--backend", "cpu", "--max-tokens", "2", "--temperature", "0"];
    let first = run(&hub, &home, &line);
    assert!(first.status.success(), "{}", text(&first.stderr));
    assert!(text(&first.stderr).contains("1/1 tiny-F32.gguf ("), "{}", text(&first.stderr));
    assert_eq!(hub.bytes_of_files(), tiny.len() as u64);
    hub.forget();
    let offline = command(&hub, &home, &line).env("HF_HUB_OFFLINE", "1").output().unwrap();
    assert!(offline.status.success(), "{}", text(&offline.stderr));
    assert_eq!(offline.stdout, first.stdout);
    // Nor is it asked when it could be: what is here is run.
    assert_eq!(run(&hub, &home, &line).stdout, first.stdout);
    assert_eq!(hub.log().len(), 0);
}

#[test]
fn a_model_here_that_is_too_large_gives_way_to_a_smaller_one() {
    let tiny = std::fs::read(TINY).unwrap();
    let larger = noise(tiny.len() * 2, 1);
    let hub = Hub::new(&[("m-F32.gguf", &tiny), ("m-Q8_0.gguf", &larger)]);
    let home = scratch("gives-way");
    pull("org/repo:Q8_0", &settings(&hub, &home)).unwrap();
    let budget = format!("{}", tiny.len());
    let line = ["-m", "org/repo", "-p", "hi", "--backend", "cpu", "--max-tokens", "1", "--memory-budget", &budget];
    let offline = command(&hub, &home, &line).env("HF_HUB_OFFLINE", "1").output().unwrap();
    fails(&offline, 1, &["no file of org/repo fits", "m-Q8_0.gguf", "hint: "]);
    // It opens the smaller one, which finds the budget too small for more than its weights.
    let output = run(&hub, &home, &line);
    assert!(text(&output.stderr).contains("m-F32.gguf…"), "{}", text(&output.stderr));
}

#[test]
fn the_default_model_is_found_in_the_cache() {
    let tiny = std::fs::read(TINY).unwrap();
    let hub = Hub::new(&[("tiny-F32.gguf", &tiny)]);
    let home = scratch("default");
    pull("org/repo", &settings(&hub, &home)).unwrap();
    let line = ["-p", "hi", "--backend", "cpu", "--max-tokens", "1"];
    fails(&run(&hub, &home, &line), 1, &["no model was named", "`ffai pull HuggingFaceTB/SmolLM2-135M-Instruct`"]);
    let cache = home.join("hub");
    std::fs::rename(cache.join("models--org--repo"), cache.join("models--HuggingFaceTB--SmolLM2-135M-Instruct"))
        .unwrap();
    hub.forget();
    let output = run(&hub, &home, &line);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("tiny-F32.gguf… (the default model)"), "{}", text(&output.stderr));
    assert_eq!(hub.log().len(), 0);
}

#[test]
fn offline_without_the_model_says_where_it_was_looked_for() {
    let hub = Hub::new(&[("m-Q8_0.gguf", &noise(2000, 1)), ("m-Q4_0.gguf", &noise(1000, 1))]);
    let home = scratch("offline");
    for line in [&["pull", "org/repo"] as &[&str], &["pull", "--list", "org/repo"], &["-m", "org/repo", "-p", "x"]] {
        let output = command(&hub, &home, line).env("HF_HUB_OFFLINE", "1").output().unwrap();
        fails(&output, 1, &["org/repo is not in the Hugging Face cache at ", "/hub", "HF_HUB_OFFLINE", "hint: "]);
    }
    assert_eq!(hub.log().len(), 0);
    // Another file of the same repository is not the one that is meant.
    pull("org/repo:Q4_0", &settings(&hub, &home)).unwrap();
    let offline = Settings { offline: true, ..settings(&hub, &home) };
    assert!(matches!(pull("org/repo:Q8_0", &offline), Err(Error::Offline { .. })));
    assert!(pull("org/repo:Q4_0", &offline).unwrap().ends_with("m-Q4_0.gguf"));
    assert!(pull(&format!("org/repo@{COMMIT}"), &offline).unwrap().ends_with("m-Q4_0.gguf"));
}

#[test]
fn an_index_whose_parts_are_not_all_here_is_no_model() {
    let index =
        br#"{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}"#;
    let parts = [noise(3000, 1), noise(2000, 2)];
    let all: &[(&str, &[u8])] = &[
        ("config.json", b"{}"),
        ("model.safetensors.index.json", index),
        ("model-00001-of-00002.safetensors", &parts[0]),
        ("model-00002-of-00002.safetensors", &parts[1]),
    ];
    let hub = Hub::new(&all[..3]);
    let home = scratch("index");
    let settings = settings(&hub, &home);
    assert!(matches!(pull("org/repo", &settings), Err(Error::Answer { .. })));
    let name = Name::parse(&format!("org/repo@{COMMIT}")).unwrap();
    assert_eq!(hub::cached(&name, PLENTY, &settings).unwrap(), None);
    hub.hold(all);
    let path = pull("org/repo", &settings).unwrap();
    assert_eq!(hub::cached(&name, PLENTY, &settings).unwrap(), Some(path));
}

#[test]
fn the_list_shows_what_there_is_and_which_would_be_taken() {
    let files: &[(&str, &[u8])] =
        &[("m-Q4_K_M.gguf", &noise(2048, 1)), ("m-Q8_0.gguf", &noise(4096, 2)), ("mmproj-m.gguf", &noise(1024, 3))];
    let hub = Hub::new(files);
    let home = scratch("list");
    let list = |more: &[&str]| {
        let output = run(&hub, &home, &[&["pull", "org/repo", "--list"], more].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let table = list(&[]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[1].starts_with("  gguf") && lines[1].contains("Q4_K_M") && lines[1].contains("2.00 KiB"), "{table}");
    assert!(lines[2].starts_with("* gguf") && lines[2].ends_with("m-Q8_0.gguf"), "{table}");
    assert!(!table.contains("mmproj"), "{table}");
    let small = list(&["--memory-budget", "3KiB"]);
    assert!(small.lines().nth(1).unwrap().starts_with("* gguf"), "{small}");
    let named = list(&["--quant", "q4_k_m"]);
    assert!(named.lines().nth(1).unwrap().starts_with("* gguf"), "{named}");
    let object: serde_json::Value = serde_json::from_str(&list(&["--json", "--memory-budget", "1KiB"])).unwrap();
    assert_eq!((&object["commit"], &object["models"][1]["bytes"]), (&COMMIT.into(), &4096.into()));
    assert!(object["models"].as_array().unwrap().iter().all(|model| model["taken"] == false));
    assert_eq!(hub.bytes_of_files(), 0);
}

#[test]
fn several_files_are_told_apart_by_name_by_quantization_and_by_memory() {
    let hub = Hub::new(&[("m-Q4_K_M.gguf", &noise(2048, 1)), ("m-Q8_0.gguf", &noise(4096, 2))]);
    let home = scratch("several");
    let taken = |line: &[&str]| {
        let output = run(&hub, &home, &[&["pull"], line].concat());
        printed(&output).file_name().unwrap().to_str().unwrap().to_owned()
    };
    assert_eq!(taken(&["org/repo", "--memory-budget", "3KiB"]), "m-Q4_K_M.gguf");
    assert_eq!(taken(&["org/repo", "--quant", "Q4_K_M"]), "m-Q4_K_M.gguf");
    assert!(taken(&["org/repo:m-Q4_K_M.gguf", "--json", "-q"]).contains("m-Q4_K_M.gguf"));
    assert_eq!(taken(&["org/repo"]), "m-Q8_0.gguf");
    let refused = run(&hub, &home, &["pull", "org/repo", "--memory-budget", "1KiB"]);
    fails(&refused, 1, &["fits 1024 bytes", "m-Q4_K_M.gguf` with 2048 bytes", "hint: "]);
    let wrong = run(&hub, &home, &["pull", "org/repo", "--quant", "Q5_0"]);
    fails(&wrong, 1, &["0 files for `Q5_0`: `m-Q4_K_M.gguf`, `m-Q8_0.gguf`", "hint: "]);
    fails(&run(&hub, &home, &["pull", "org/repo:Q8_0", "--quant", "Q8_0"]), 2, &["both choose"]);
    fails(&run(&hub, &home, &["pull", "repo"]), 2, &["`repo` names no model", "org/repo[@revision]"]);
}

#[test]
fn the_token_goes_to_the_hub_and_to_nobody_else() {
    let hub = Hub::new(&[("config.json", b"{}"), ("model.safetensors", &noise(5000, 1))]);
    let home = scratch("token");
    let output = command(&hub, &home, &["pull", "org/repo"]).env("HF_TOKEN", "hf_secret").output().unwrap();
    assert!(!text(&output.stderr).contains("hf_secret") && output.status.success());
    let log = hub.log();
    assert!(log.iter().any(|(request, _)| request.foreign) && log.iter().any(|(request, _)| !request.foreign));
    for (request, _) in &log {
        let expected = if request.foreign { None } else { Some("Bearer hf_secret") };
        assert_eq!(request.authorization.as_deref(), expected, "{request:?}");
    }
    // What `hf auth login` leaves counts, too.
    hub.forget();
    std::fs::write(home.join("token"), "hf_file\n").unwrap();
    printed(&run(&hub, &home, &["pull", "org/repo"]));
    assert!(hub.log().iter().all(|(request, _)| request.authorization.as_deref() == Some("Bearer hf_file")));
}

/// What carries the requests has rules of its own for finding tokens; these decide.
#[test]
fn no_token_is_sent_where_none_is_meant() {
    let hub = Hub::new(&[("config.json", b"{}"), ("model.safetensors", &noise(5000, 1))]);
    let sent = |home: &str, variables: &[(&str, &str)]| {
        let home = scratch(home);
        std::fs::write(home.join("token"), "hf_file\n").unwrap();
        hub.forget();
        let output = command(&hub, &home, &["pull", "org/repo"]).envs(variables.iter().copied()).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let own = hub.log().into_iter().filter(|(request, _)| !request.foreign);
        own.map(|(request, _)| request.authorization).collect::<std::collections::BTreeSet<_>>()
    };
    let off = ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1");
    assert_eq!(sent("token-off", &[off, ("HF_TOKEN", "hf_x")]), [None].into());
    let on = [("HF_HUB_DISABLE_IMPLICIT_TOKEN", "0"), ("HF_TOKEN", "hf_x")];
    assert_eq!(sent("token-on", &on), [Some("Bearer hf_x".to_owned())].into());
    assert_eq!(sent("token-none", &[("HF_TOKEN", "no token"), off]), [None].into());
}

/// Whoever calls may itself be a task among others.
#[test]
fn a_model_is_fetched_from_within_a_runtime() {
    let content = noise(5000, 1);
    let hub = Hub::new(&[("m-Q8_0.gguf", &content)]);
    let settings = settings(&hub, &scratch("runtime"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let path = runtime.block_on(async { pull("org/repo", &settings) }).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), content);
}

#[test]
fn progress_tells_files_and_bytes_and_only_goes_up() {
    let weights = noise(700_000, 1);
    let hub = Hub::new(&[("config.json", b"{}"), ("model.safetensors", &weights)]);
    let mut settings = settings(&hub, &scratch("progress"));
    settings.token = Token::new("hf_x");
    let (mut files, mut last, mut start) = (Vec::new(), 0, None);
    hub::pull(&Name::parse("org/repo").unwrap(), PLENTY, &settings, &mut |progress| match progress {
        Progress::Start { files, bytes } => start = Some((files, bytes)),
        Progress::File { name, bytes } => files.push((name.to_owned(), bytes)),
        Progress::Bytes(here) => {
            assert!(here >= last);
            last = here;
        }
        Progress::Note(note) => panic!("{note}"),
    })
    .unwrap();
    assert_eq!(start, Some((2, 700_002)));
    assert_eq!(files, [("config.json".to_owned(), 2), ("model.safetensors".to_owned(), 700_000)]);
    assert_eq!(last, 700_002);
}
