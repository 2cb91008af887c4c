//! What happens when fetching is cut off, by whatever it may be: nothing that arrived is fetched again, and nothing damaged is kept.

use crate::server::{COMMIT, Hub, Reply, info, node, part, sha256};
use crate::{command, fails, files_below, noise, printed, pull, run, scratch, settings, surroundings, text};
use ffai::weights::hub::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const MODEL: &str = "m-Q8_0.gguf";

fn incomplete(home: &Path, content: &[u8]) -> PathBuf {
    home.join("hub/models--org--repo/blobs").join(format!("{}.incomplete", sha256(content)))
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |about| about.len())
}

/// Where the requests for the content of files began.
fn ranges(hub: &Hub) -> Vec<Option<u64>> {
    let log = hub.log();
    log.iter()
        .filter(|(request, _)| request.foreign && request.is_for_content())
        .map(|(request, _)| request.from)
        .collect()
}

#[test]
fn a_killed_pull_goes_on_where_it_stopped() {
    let content = noise(4 << 20, 1);
    let hub = Hub::new(&[(MODEL, &content)]);
    let home = scratch("killed");
    let slow = content.clone();
    hub.behave(move |request| {
        request.foreign.then(|| Reply { drip: Some((1 << 16, Duration::from_millis(20))), ..part(&slow, request.from) })
    });
    let mut child = command(&hub, &home, &["pull", "org/repo"]).spawn().unwrap();
    let begun = Instant::now();
    while size(&incomplete(&home, &content)) < 1 << 20 {
        assert!(begun.elapsed() < Duration::from_secs(20) && child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let here = size(&incomplete(&home, &content));
    assert!((1 << 20..4 << 20).contains(&here), "killed half-way: {here}");
    hub.recover();
    hub.forget();
    let path = printed(&run(&hub, &home, &["pull", "org/repo"]));
    assert_eq!(ranges(&hub), [Some(here)]);
    assert_eq!(hub.bytes_of_files(), (4 << 20) - here);
    assert!(std::fs::read(path).unwrap() == content);
    assert!(!incomplete(&home, &content).exists());
}

#[test]
fn a_broken_connection_is_taken_up_again_within_one_run() {
    let content = noise(3 << 20, 2);
    let hub = Hub::new(&[(MODEL, &content)]);
    let home = scratch("broken");
    let served = content.clone();
    hub.behave(move |request| request.foreign.then(|| Reply { cut: Some(5 << 18), ..part(&served, request.from) }));
    assert!(std::fs::read(pull("org/repo", &settings(&hub, &home)).unwrap()).unwrap() == content);
    assert_eq!(ranges(&hub), [None, Some(5 << 18), Some(10 << 18)]);
}

/// Nobody listens at port 1: a first request that comes to nothing is final, a later one is not.
#[test]
fn a_network_that_is_gone_for_a_moment_is_waited_for() {
    let content = noise(3 << 20, 13);
    let hub = Hub::new(&[(MODEL, &content)]);
    let home = scratch("moment");
    let (served, asked) = (content.clone(), AtomicUsize::new(0));
    let closed = || Some(Reply::new(302, b"").header("Location", "http://127.0.0.1:1/"));
    hub.behave(move |request| match request.path.contains("/resolve/") {
        true if request.method == "HEAD" => None,
        true => (1..=2).contains(&asked.fetch_add(1, Ordering::SeqCst)).then(closed).flatten(),
        false => (request.foreign && request.from.is_none())
            .then(|| Reply { cut: Some(2 << 20), ..part(&served, request.from) }),
    });
    assert!(std::fs::read(pull("org/repo", &settings(&hub, &home)).unwrap()).unwrap() == content);
    assert_eq!(ranges(&hub), [None, Some(2 << 20)]);
    hub.forget();
    hub.behave(move |request| if request.path.contains("/resolve/") { closed() } else { None });
    assert!(matches!(pull("org/repo", &settings(&hub, &scratch("closed"))), Err(Error::Connection { .. })));
    assert_eq!(hub.log().iter().filter(|(request, _)| request.path.contains("/resolve/")).count(), 1);
}

#[test]
fn a_connection_that_always_breaks_is_given_up_and_its_bytes_are_kept() {
    let content = noise(3 << 20, 3);
    let hub = Hub::new(&[(MODEL, &content)]);
    let home = scratch("gives-up");
    let served = content.clone();
    hub.behave(move |request| request.foreign.then(|| Reply { cut: Some(1000), ..part(&served, request.from) }));
    let Err(Error::Truncated { expected, found, .. }) = pull("org/repo", &settings(&hub, &home)) else { panic!() };
    assert_eq!((expected, found), (3 << 20, 5000), "five times a thousand bytes");
    assert_eq!(size(&incomplete(&home, &content)), 5000);
    hub.recover();
    hub.forget();
    assert!(std::fs::read(pull("org/repo", &settings(&hub, &home)).unwrap()).unwrap() == content);
    assert_eq!(ranges(&hub), [Some(5000)]);
}

#[test]
fn a_silent_server_is_given_up() {
    let content = noise(3 << 20, 4);
    let hub = Hub::new(&[(MODEL, &content)]);
    let served = content.clone();
    hub.behave(move |request| {
        request
            .foreign
            .then(|| Reply { drip: Some((1 << 20, Duration::from_secs(3600))), ..part(&served, request.from) })
    });
    let mut settings = settings(&hub, &scratch("silent"));
    settings.patience.silence = Duration::from_millis(100);
    let begun = Instant::now();
    assert!(matches!(pull("org/repo", &settings), Err(Error::Connection { .. })));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn a_server_without_ranges_sends_everything_again() {
    let content = noise(2 << 20, 5);
    let hub = Hub::new(&[(MODEL, &content)]);
    let home = scratch("no-ranges");
    std::fs::create_dir_all(home.join("hub/models--org--repo/blobs")).unwrap();
    std::fs::write(incomplete(&home, &content), &content[..1 << 20]).unwrap();
    let served = content.clone();
    hub.behave(move |request| request.foreign.then(|| part(&served, None)));
    assert!(std::fs::read(pull("org/repo", &settings(&hub, &home)).unwrap()).unwrap() == content);
    assert_eq!(hub.bytes_of_files(), 2 << 20);
}

/// One says that there is no such part, one gives a part the length of the whole: each is asked for all of it.
#[test]
fn a_server_that_is_odd_about_ranges_is_asked_for_everything() {
    let content = noise(2 << 20, 14);
    let hub = Hub::new(&[(MODEL, &content)]);
    for (name, status) in [("416", 416), ("206", 206)] {
        let home = scratch(&format!("odd-{name}"));
        std::fs::create_dir_all(home.join("hub/models--org--repo/blobs")).unwrap();
        std::fs::write(incomplete(&home, &content), &content[..1 << 20]).unwrap();
        let served = content.clone();
        hub.forget();
        hub.behave(move |request| match (request.foreign, request.from) {
            (true, Some(_)) if status == 416 => Some(Reply::new(416, b"")),
            (true, Some(_)) => Some(part(&served, request.from).header("X-Linked-Size", served.len())),
            _ => None,
        });
        assert!(std::fs::read(pull("org/repo", &settings(&hub, &home)).unwrap()).unwrap() == content, "{name}");
        assert_eq!(ranges(&hub), [Some(1 << 20), None], "{name}");
    }
}

/// What it sends comes from the beginning each time, so that however much it is, it is no gain.
#[test]
fn a_server_without_ranges_that_always_breaks_is_given_up() {
    let content = noise(3 << 20, 15);
    let hub = Hub::new(&[(MODEL, &content)]);
    let served = content.clone();
    hub.behave(move |request| request.foreign.then(|| Reply { cut: Some(5 << 18), ..part(&served, None) }));
    let error = pull("org/repo", &settings(&hub, &scratch("breaks-always"))).unwrap_err();
    assert!(matches!(error, Error::Truncated { expected: 0x30_0000, found: 0x14_0000, .. }), "{error}");
    assert_eq!(ranges(&hub).len(), 6);
}

#[test]
fn what_is_left_of_an_earlier_run_and_damaged_is_fetched_anew() {
    let content = noise(2 << 20, 6);
    let hub = Hub::new(&[(MODEL, &content)]);
    for (name, left) in [("damaged", vec![0; 1 << 20]), ("too-long", vec![0; 3 << 20]), ("whole", content.clone())] {
        let home = scratch(&format!("left-{name}"));
        std::fs::create_dir_all(home.join("hub/models--org--repo/blobs")).unwrap();
        std::fs::write(incomplete(&home, &content), left).unwrap();
        hub.forget();
        assert!(std::fs::read(pull("org/repo", &settings(&hub, &home)).unwrap()).unwrap() == content, "{name}");
        assert_eq!(hub.bytes_of_files() == 0, name == "whole");
    }
}

#[test]
fn a_wrong_hash_is_named_and_nothing_of_it_is_kept() {
    let (right, wrong) = (noise(5000, 7), noise(5000, 8));
    let hub = Hub::new(&[("config.json", b"{}"), ("model.safetensors", &right)]);
    let home = scratch("hash");
    let served = wrong.clone();
    hub.behave(move |request| request.foreign.then(|| part(&served, request.from)));
    let output = run(&hub, &home, &["pull", "org/repo"]);
    fails(&output, 1, &["model.safetensors", &sha256(&right), &sha256(&wrong), "was not kept", "hint: "]);
    let left = files_below(&home.join("hub/models--org--repo/blobs"));
    assert_eq!(left.len(), 1, "config.json is right and stays: {left:?}");
    // A small file is checked as well, by git's name for it.
    hub.behave(|request| request.path.ends_with("config.json").then(|| part(b"[]", None)));
    let output = run(&hub, &scratch("hash-small"), &["pull", "org/repo"]);
    fails(&output, 1, &["config.json` arrived damaged: expected git sha1 9e26dfeeb6e641a33dae4961196235bdb965b21b"]);
}

/// The limit of the size of files stands for a full disk: it needs no privileges, and a write fails in the same place.
#[test]
#[cfg(unix)]
fn a_full_disk_says_how_much_was_needed_and_the_next_run_goes_on() {
    let content = noise(2 << 20, 9);
    let hub = Hub::new(&[(MODEL, &content)]);
    let home = scratch("full");
    let mut limited = Command::new("bash");
    // Ignored signals stay ignored in what is run: the write fails instead of ending the program.
    limited.args([
        "-c",
        r#"trap '' XFSZ; ulimit -f 1024; exec "$0" "$@""#,
        env!("CARGO_BIN_EXE_ffai"),
        "pull",
        "org/repo",
    ]);
    limited.stdin(Stdio::null());
    surroundings(&mut limited, &hub, &home);
    let output = limited.output().unwrap();
    let here = size(&incomplete(&home, &content));
    assert!(here > 0 && here < 2 << 20, "{here}: {}", text(&output.stderr));
    let needed = format!("{} bytes more are needed", (2 << 20) - here);
    fails(
        &output,
        1,
        &["no room for `m-Q8_0.gguf` in ", "hub/models--org--repo/blobs", &needed, "hint: free some room"],
    );
    hub.forget();
    let path = printed(&run(&hub, &home, &["pull", "org/repo"]));
    assert_eq!(ranges(&hub), [Some(here)]);
    assert!(std::fs::read(path).unwrap() == content);
}

#[test]
fn what_cannot_fit_the_disk_is_refused_before_it_is_fetched() {
    let hub = Hub::new(&[(MODEL, &noise(2000, 1))]);
    hub.behave(|request| {
        request.path.contains("/revision/").then(|| {
            let mut node = node(MODEL, &noise(2000, 1));
            node["lfs"]["size"] = (1u64 << 60).into();
            Reply::new(200, info(COMMIT, &[node]).to_string().as_bytes())
        })
    });
    let output = run(&hub, &scratch("too-large"), &["pull", "org/repo:Q8_0"]);
    fails(
        &output,
        1,
        &["no room for `org/repo:Q8_0` in ", "1152921504606846976 bytes more are needed", "are free", "hint: "],
    );
    assert_eq!(hub.bytes_of_files(), 0);
}

#[test]
fn two_processes_that_want_the_same_fetch_it_once() {
    let content = noise(1 << 20, 10);
    let hub = Hub::new(&[(MODEL, &content)]);
    let home = scratch("two");
    let slow = content.clone();
    hub.behave(move |request| {
        request.foreign.then(|| Reply { drip: Some((1 << 16, Duration::from_millis(40))), ..part(&slow, request.from) })
    });
    let children: Vec<_> = (0..2).map(|_| command(&hub, &home, &["pull", "org/repo"]).spawn().unwrap()).collect();
    let outputs: Vec<_> = children.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    for output in &outputs {
        assert!(std::fs::read(printed(output)).unwrap() == content);
    }
    assert_eq!(ranges(&hub), [None], "one request for the content");
    let waited = outputs.iter().filter(|output| text(&output.stderr).contains("another process is fetching")).count();
    assert_eq!(waited, 1);
}

/// A branch leads to the old commit until all of the new one is here.
#[test]
fn an_interrupted_update_leaves_the_old_commit_in_place() {
    let (old, new) = (noise(2000, 11), noise(3000, 12));
    let hub = Hub::new(&[(MODEL, &old)]);
    let home = scratch("update");
    let settings = settings(&hub, &home);
    pull("org/repo", &settings).unwrap();
    let next = "f".repeat(40);
    let (asked, commit, served) = (AtomicUsize::new(0), next.clone(), new.clone());
    hub.behave(move |request| match request.path.as_str() {
        path if path.contains("/revision/main") => {
            Some(Reply::new(200, info(&commit, &[node(MODEL, &served)]).to_string().as_bytes()))
        }
        path if path.contains("/resolve/") && asked.fetch_add(1, Ordering::SeqCst) == 0 => Some(Reply::new(410, b"")),
        path if path.contains("/resolve/") => Some(part(&served, request.from)),
        _ => None,
    });
    assert!(matches!(pull("org/repo", &settings), Err(Error::Status { status: 410, .. })));
    let reference = home.join("hub/models--org--repo/refs/main");
    assert_eq!(std::fs::read_to_string(&reference).unwrap(), COMMIT);
    assert!(std::fs::read(pull("org/repo", &settings).unwrap()).unwrap() == new);
    assert_eq!(std::fs::read_to_string(&reference).unwrap(), next);
}
