//! Answers that are none: each is one clear error, quickly, and leads nowhere outside the cache.

use crate::server::{COMMIT, Hub, Reply, git_sha1, info, missing, node};
use crate::{PLENTY, command, fails, files_below, noise, pull, run, scratch, settings, text};
use ffai::weights::hub::{self, Error, Name, Progress, Token};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

fn repository() -> Hub {
    Hub::new(&[("config.json", b"{}"), ("model.safetensors", &noise(3000, 1))])
}

#[test]
fn status_401_asks_for_a_token_or_for_a_better_one() {
    let hub = repository();
    hub.behave(|_| Some(Reply::new(401, br#"{"error": "Invalid username or password."}"#)));
    let home = scratch("401");
    let output = run(&hub, &home, &["pull", "org/repo"]);
    fails(&output, 1, &["refuses org/repo (401)", "no token was given", "Invalid username", "hint: ", "set HF_TOKEN"]);
    let output = command(&hub, &home, &["pull", "org/repo"]).env("HF_TOKEN", "hf_old").output().unwrap();
    fails(&output, 1, &["(401)", "does not accept the token", "settings/tokens"]);
    assert!(!text(&output.stderr).contains("hf_old"));
    assert_eq!(hub.log().len(), 2, "it does not pay to ask again");
}

#[test]
fn status_403_leads_to_the_page_with_the_terms() {
    let hub = repository();
    // As the hub does: the list is open to all, the files are not.
    hub.behave(|request| {
        let gated =
            Reply::new(403, b"").header("X-Error-Code", "GatedRepo").header("X-Error-Message", "Access is restricted");
        request.path.contains("/resolve/").then_some(gated)
    });
    let output = run(&hub, &scratch("403"), &["pull", "org/repo"]);
    fails(
        &output,
        1,
        &["org/repo/config.json (403)", "Access is restricted", "https://huggingface.co/org/repo, accept"],
    );
}

#[test]
fn status_404_says_what_is_missing() {
    let hub = repository();
    let home = scratch("404");
    fails(&run(&hub, &home, &["pull", "org/other"]), 1, &["no repository `org/other` (404)", "hint: "]);
    fails(&run(&hub, &home, &["pull", "org/repo@v9"]), 1, &["no revision `org/repo@v9` (404)", "hint: "]);
    hub.behave(|request| request.path.contains("/resolve/").then(|| missing("EntryNotFound", "Entry not found")));
    fails(&run(&hub, &home, &["pull", "org/repo"]), 1, &["no file `org/repo/config.json` (404)", "hint: "]);
    hub.recover();
    hub.hold(&[("README.md", b"x"), ("pytorch_model.bin", b"x")]);
    fails(
        &run(&hub, &home, &["pull", "org/repo"]),
        1,
        &["org/repo holds no model for ffai", "found 2 other", "hint: "],
    );
}

#[test]
fn status_429_is_waited_for_as_long_as_the_server_says() {
    let hub = repository();
    let asked = AtomicUsize::new(0);
    hub.behave(move |request| {
        let first = request.path.contains("/revision/") && asked.fetch_add(1, Ordering::SeqCst) == 0;
        first.then(|| Reply::new(429, b"").header("Retry-After", "1"))
    });
    let begun = Instant::now();
    let output = run(&hub, &scratch("429"), &["pull", "org/repo"]);
    assert!(output.status.success() && begun.elapsed() >= Duration::from_secs(1), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("it answers again in 1 seconds; asking again in 1.0 s"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn every_question_heeds_the_pause_that_the_server_asks_for() {
    let hub = repository();
    let asked = Mutex::new(BTreeSet::new());
    hub.behave(move |request| {
        let first = asked.lock().unwrap().insert((request.method.clone(), request.path.clone()));
        first.then(|| Reply::new(429, b"").header("Retry-After", "0"))
    });
    let mut notes = Vec::new();
    let settings = settings(&hub, &scratch("429-each"));
    hub::pull(&Name::parse("org/repo").unwrap(), PLENTY, &settings, &mut |progress| {
        if let Progress::Note(note) = progress {
            notes.push(note.to_owned());
        }
    })
    .unwrap();
    // The list, what the small file hashes to, and for both files what they are and their content, of which one is elsewhere.
    assert_eq!(notes.len(), 2 + 2 + 4, "{notes:?}");
    assert!(
        notes.iter().all(|note| note.ends_with("it answers again in 0 seconds; asking again in 0.0 s")),
        "{notes:?}"
    );
}

#[test]
fn a_wait_that_is_too_long_is_an_error_that_says_when() {
    let hub = repository();
    hub.behave(|_| Some(Reply::new(429, b"").header("Retry-After", "3600")));
    let output = run(&hub, &scratch("429-long"), &["pull", "org/repo"]);
    fails(&output, 1, &["too many requests", "(429)", "answers again in 3600 seconds", "hint: "]);
    assert_eq!(hub.log().len(), 1);
    // A wait that is told in another way does not reach us, and nothing is claimed about it.
    hub.forget();
    hub.behave(|_| Some(Reply::new(429, b"").header("RateLimit", r#""api";r=0;t=900"#)));
    let error = pull("org/repo", &settings(&hub, &scratch("429-hub"))).unwrap_err();
    assert!(matches!(error, Error::RateLimited { seconds: None }));
    assert!(error.to_string().ends_with("when it answers again is not known"), "{error}");
    assert_eq!(hub.log().len(), 5);
    // A server that says so for ever is not asked for ever.
    hub.forget();
    hub.behave(|_| Some(Reply::new(429, b"").header("Retry-After", "0")));
    assert!(matches!(pull("org/repo", &settings(&hub, &scratch("429-ever"))), Err(Error::RateLimited { .. })));
    assert_eq!(hub.log().len(), 5);
}

#[test]
fn a_passing_fault_of_the_server_is_asked_again() {
    let hub = repository();
    let asked = Mutex::new(Vec::new());
    hub.behave(move |request| {
        let mut asked = asked.lock().unwrap();
        asked.push(request.path.clone());
        // The third time that something is asked for it is there.
        (asked.iter().filter(|path| **path == request.path).count() < 3).then(|| Reply::new(503, b"busy"))
    });
    pull("org/repo", &settings(&hub, &scratch("503"))).unwrap();
    hub.behave(|_| Some(Reply::new(500, br#"{"error": "it \u001b[31mburns"}"#)));
    let output = run(&hub, &scratch("500"), &["pull", "org/repo", "-q"]);
    fails(&output, 1, &["with status 500: `it \\u{1b}[31mburns`", "hint: "]);
}

#[test]
fn no_server_is_no_puzzle() {
    let hub = repository();
    let mut settings = settings(&hub, &scratch("nobody"));
    settings.endpoint = "http://127.0.0.1:1".to_owned();
    let error = pull("org/repo", &settings).unwrap_err();
    assert!(error.to_string().starts_with("cannot reach the Hugging Face hub at 127.0.0.1:1: "), "{error}");
    assert!(error.hint().unwrap().contains("network"));
}

/// Elsewhere the system itself is asked whom to trust.
#[test]
#[cfg(target_os = "linux")]
fn a_machine_without_certificates_is_told_what_it_lacks() {
    let hub = repository();
    let nothing = ["SSL_CERT_FILE", "SSL_CERT_DIR"].map(|name| (name, "/nonexistent"));
    let output = command(&hub, &scratch("certificates"), &["pull", "org/repo"]).envs(nothing).output().unwrap();
    fails(&output, 1, &["certificates", "hint: ", "ca-certificates", "SSL_CERT_FILE"]);
    assert_eq!(hub.log().len(), 0);
}

/// Answers for the list of files with `nodes`, and with the same where it is asked about some.
fn lists(hub: &Hub, nodes: serde_json::Value) {
    let info = info(COMMIT, nodes.as_array().unwrap());
    hub.behave(move |request| {
        let reply = |body: &serde_json::Value| Some(Reply::new(200, body.to_string().as_bytes()));
        match request.path.as_str() {
            path if path.contains("/revision/") => reply(&info),
            path if path.contains("/paths-info/") => reply(&nodes),
            _ => None,
        }
    });
}

#[test]
fn names_that_lead_out_of_the_cache_are_refused() {
    let content = noise(2000, 3);
    let hub = repository();
    for (number, name) in [
        "../evil.gguf",
        "../../../evil.gguf",
        "/tmp/ffai-evil.gguf",
        "a/../../evil.gguf",
        "a//evil.gguf",
        "a\u{0}/evil.gguf",
    ]
    .into_iter()
    .enumerate()
    {
        lists(&hub, json!([node(name, &content)]));
        let home = scratch(&format!("evil-{number}"));
        let error = pull("org/repo", &settings(&hub, &home)).unwrap_err();
        assert!(matches!(error, Error::UnsafeName { .. }), "{name:?}: {error}");
        assert_eq!(files_below(&home), Vec::<std::path::PathBuf>::new(), "{name:?}");
    }
    assert!(!std::path::Path::new("/tmp/ffai-evil.gguf").exists());
    assert_eq!(hub.bytes_of_files(), 0);
    lists(&hub, json!([node("../evil.gguf", &content), node("m-Q8_0.gguf", &content)]));
    hub.hold(&[("m-Q8_0.gguf", &content)]);
    let error = pull("org/repo:../evil.gguf", &settings(&hub, &scratch("evil-asked"))).unwrap_err();
    assert!(matches!(error, Error::UnsafeName { .. }));
    // Where such a file is not the one that is meant it does no harm, and is not fetched.
    let home = scratch("evil-beside");
    pull("org/repo:Q8_0", &settings(&hub, &home)).unwrap();
    assert!(files_below(&home).iter().all(|path| !path.ends_with("evil.gguf")));
}

#[test]
fn hashes_and_commits_that_are_none_are_refused() {
    let hub = repository();
    let home = scratch("hashes");
    let settings = settings(&hub, &home);
    let large = json!({"oid": "../../evil", "size": 3});
    let cases = [
        json!([{"type": "file", "path": "m.gguf", "size": 3, "oid": "../../evil"}]),
        json!([{"type": "file", "path": "m.gguf", "size": 3, "oid": git_sha1(b""), "lfs": large}]),
        json!([{"type": "file", "path": "m.gguf", "size": -3, "oid": git_sha1(b"")}]),
        json!([{"type": "file", "path": "m.gguf", "oid": git_sha1(b"")}]),
        json!([["deep"]]),
    ];
    for nodes in cases {
        lists(&hub, nodes.clone());
        assert!(matches!(pull("org/repo", &settings), Err(Error::Answer { .. })), "{nodes}");
    }
    // The two answers that say what there is must agree.
    let node = json!({"type": "file", "path": "m.gguf", "size": 3, "oid": git_sha1(b"")});
    for nodes in [
        json!([]),
        json!({"error": "nonsense"}),
        json!([{"type": "file", "path": "m.gguf", "size": 4, "oid": git_sha1(b"")}]),
        json!([{"type": "file", "path": "other.gguf", "size": 3, "oid": git_sha1(b"")}]),
        json!([{"type": "directory", "path": "m.gguf", "oid": git_sha1(b"")}]),
    ] {
        let (list, body) = (info(COMMIT, std::slice::from_ref(&node)), nodes.to_string());
        hub.behave(move |request| match request.path.as_str() {
            path if path.contains("/revision/") => Some(Reply::new(200, list.to_string().as_bytes())),
            path if path.contains("/paths-info/") => Some(Reply::new(200, body.as_bytes())),
            _ => None,
        });
        assert!(matches!(pull("org/repo", &settings), Err(Error::Answer { .. })), "{nodes}");
    }
    hub.behave(|request| {
        request.path.contains("/revision/").then(|| {
            let mut info = info(COMMIT, &[]);
            info["sha"] = "../../../../evil".into();
            Reply::new(200, info.to_string().as_bytes())
        })
    });
    assert!(matches!(pull("org/repo", &settings), Err(Error::Answer { .. })));
    hub.behave(|_| Some(Reply::new(200, b"<html>Welcome to the hotel's wireless network</html>")));
    assert!(matches!(pull("org/repo", &settings), Err(Error::Answer { .. })));
    assert_eq!(files_below(&home), Vec::<std::path::PathBuf>::new());
}

/// `hf-hub` reads a list whole, so that time alone can end it.
#[test]
fn an_endless_list_ends_in_time() {
    let hub = repository();
    let page = Reply { endless: true, ..Reply::new(200, &[b' '; 1 << 10]) };
    hub.behave(move |_| Some(Reply { drip: Some((1 << 10, Duration::from_millis(5))), ..page.clone() }));
    let mut settings = settings(&hub, &scratch("endless"));
    settings.patience.silence = Duration::from_millis(200);
    let begun = Instant::now();
    let error = pull("org/repo", &settings).unwrap_err();
    assert!(
        matches!(&error, Error::Connection { what, .. } if what.contains("no whole answer within 0.2 s")),
        "{error}"
    );
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn a_list_of_more_files_than_any_model_has_is_refused() {
    let hub = repository();
    let nodes: Vec<_> = (0..20_001).map(|number| node(&format!("{number}"), b"")).collect();
    lists(&hub, nodes.into());
    let mut settings = settings(&hub, &scratch("many"));
    settings.patience.silence = Duration::from_secs(20);
    let error = pull("org/repo", &settings).unwrap_err();
    assert!(matches!(&error, Error::Answer { found, .. } if found == "20001 files"), "{error}");
}

/// Small files are asked about in portions.
#[test]
fn a_model_of_very_many_small_files_comes_whole() {
    let names: Vec<String> = (1..=501).map(|number| format!("m-{number:05}-of-00501.gguf")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), name.as_bytes())).collect();
    let hub = Hub::new(&files);
    let path = pull("org/repo", &settings(&hub, &scratch("portions"))).unwrap();
    assert_eq!(std::fs::read(path.with_file_name("m-00501-of-00501.gguf")).unwrap(), b"m-00501-of-00501.gguf");
    assert_eq!(hub.log().iter().filter(|(request, _)| request.path.contains("/paths-info/")).count(), 2);
}

#[test]
fn redirects_end_and_lead_to_web_addresses_only() {
    let hub = repository();
    let own = hub.endpoint.clone();
    for place in [
        format!("{own}/loop"),
        "/loop".to_owned(),
        "file:///etc/passwd".to_owned(),
        "nowhere".to_owned(),
        String::new(),
    ] {
        let target = place.clone();
        hub.forget();
        hub.behave(move |_| Some(Reply::new(302, b"").header("Location", &target)));
        let error = pull("org/repo", &settings(&hub, &scratch("redirects"))).unwrap_err();
        assert!(matches!(error, Error::Answer { .. }), "{place}: {error}");
        assert!(hub.log().len() <= 6);
    }
    // A foreign host that sends the request on to itself would be shown the token, so it is not followed.
    hub.forget();
    hub.behave(|request| request.foreign.then(|| Reply::new(302, b"").header("Location", "/elsewhere")));
    let mut settings = settings(&hub, &scratch("within"));
    settings.token = Token::new("hf_x");
    let error = pull("org/repo", &settings).unwrap_err();
    assert!(matches!(&error, Error::Answer { found, .. } if found.contains("may not see the token")), "{error}");
    assert!(hub.log().iter().all(|(request, _)| request.foreign == request.authorization.is_none()));
    // A renamed repository is one redirect on the same host, and the token goes with it.
    hub.forget();
    hub.behave(|request| {
        let rest = request.path.strip_prefix("/api/models/old/name/")?;
        Some(Reply::new(307, b"").header("Location", format!("/api/models/org/repo/{rest}")))
    });
    settings.cache = scratch("renamed").join("hub");
    let error = pull("old/name", &settings).unwrap_err();
    assert!(matches!(error, Error::NotFound { what: "file", .. }), "the list came through: {error}");
    assert!(hub.log().iter().all(|(request, _)| request.authorization.is_some()));
}
