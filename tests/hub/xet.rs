//! Files that lie in Xet storage: a service that says of which pieces a file is made, and where those are. What it answers follows the
//! protocol as hf-xet 1.8.0 speaks it (`cas_types`, `xorb_chunk_format.rs`).

use crate::server::{COMMIT, Hub, Reply, Request, sha256};
use crate::{command, fails, noise, text};
use crate::{printed, scratch};
use serde_json::json;
use std::path::Path;
use std::process::Output;

const MODEL: &str = "m-Q8_0.gguf";
/// Bytes of content in a piece.
const CHUNK: usize = 1 << 16;
/// Bytes before each piece: version, length, scheme (0: as it is), length.
const HEADER: usize = 8;

/// The pieces of `content` as they are stored, one after the other.
fn stored(content: &[u8]) -> Vec<u8> {
    let piece = |piece: &[u8]| {
        let length = (piece.len() as u32).to_le_bytes();
        let header = [&[0], &length[..3], &[0], &length[..3]].concat();
        [&header, piece].concat()
    };
    content.chunks(CHUNK).flat_map(piece).collect()
}

/// Keeps `content` in Xet storage, at the host of large files.
fn keep(hub: &Hub, content: &[u8]) {
    let (content, stored, foreign) = (content.to_vec(), stored(content), hub.foreign.clone());
    let (file, pieces) = ("a".repeat(64), "b".repeat(64));
    hub.behave(move |request| {
        let path = request.path.split('?').next().unwrap();
        match (request.foreign, path) {
            (true, path) if request.method == "HEAD" && path == format!("/{}", sha256(&content)) => {
                Some(Reply::new(200, &content).header("X-Xet-Hash", &file))
            }
            (false, path) if path == format!("/api/models/org/repo/xet-read-token/{COMMIT}") => {
                let token = json!({"accessToken": "xet_secret", "exp": 4_000_000_000u64, "casUrl": foreign});
                Some(Reply::new(200, token.to_string().as_bytes()))
            }
            (true, path) if path == format!("/v1/reconstructions/{file}") => {
                Some(plan(request, &content, &pieces, &foreign))
            }
            (true, "/pieces") => {
                let (from, to) = (request.from.unwrap() as usize, request.to.unwrap() as usize);
                let range = format!("bytes {from}-{to}/{}", stored.len());
                Some(Reply::new(206, &stored[from..=to]).header("Content-Range", range))
            }
            (true, "/v1/telemetry") => Some(Reply::new(204, b"")),
            (true, _) => Some(Reply::new(404, b"")),
            (false, _) => None,
        }
    });
}

/// Which pieces make the part of `content` that is asked for, and where they are.
fn plan(request: &Request, content: &[u8], pieces: &str, foreign: &str) -> Reply {
    let from = request.from.unwrap_or(0) as usize;
    if from >= content.len() {
        return Reply::new(416, b"");
    }
    let to = request.to.map_or(content.len(), |to| (to as usize + 1).min(content.len()));
    let (first, last) = (from / CHUNK, to.div_ceil(CHUNK));
    let range = json!({"start": first, "end": last});
    let end = (last * CHUNK).min(content.len()) + last * HEADER - 1;
    let place = json!({
        "range": range, "url": format!("{foreign}/pieces"), "url_range": {"start": first * (CHUNK + HEADER), "end": end},
    });
    let length = (last * CHUNK).min(content.len()) - first * CHUNK;
    let plan = json!({
        "offset_into_first_range": from - first * CHUNK,
        "terms": [{"hash": pieces, "unpacked_length": length, "range": range}],
        "fetch_info": {pieces: [place]},
    });
    Reply::new(200, plan.to_string().as_bytes())
}

fn fetch(hub: &Hub, home: &Path) -> Output {
    let quiet = [("HF_HUB_DISABLE_TELEMETRY", "1"), ("HF_TOKEN", "hf_secret")];
    command(hub, home, &["pull", "org/repo"]).envs(quiet).output().unwrap()
}

fn asked(hub: &Hub, path: &str) -> usize {
    hub.log().iter().filter(|(request, _)| request.foreign && request.path.starts_with(path)).count()
}

#[test]
fn a_file_in_xet_storage_arrives_whole_and_goes_on_where_it_stopped() {
    let content = noise(5 * CHUNK + 1234, 1);
    let hub = Hub::new(&[(MODEL, &content)]);
    keep(&hub, &content);
    let home = scratch("xet");
    assert!(std::fs::read(printed(&fetch(&hub, &home))).unwrap() == content);
    assert!(asked(&hub, "/pieces") > 0, "it came by way of the pieces");
    assert_eq!(
        hub.log().iter().filter(|(request, _)| request.path.contains("/resolve/") && request.method == "GET").count(),
        0
    );
    // The hub's token is the hub's alone; the storage has one of its own.
    for (request, _) in hub.log().iter().filter(|(request, _)| request.foreign) {
        assert!(request.authorization.as_deref().is_none_or(|token| token == "Bearer xet_secret"), "{request:?}");
    }
    assert_eq!(asked(&hub, "/v1/telemetry"), 0, "the environment says no");

    let home = scratch("xet-resumed");
    let blobs = home.join("hub/models--org--repo/blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    let here = 3 * CHUNK + 17;
    std::fs::write(blobs.join(format!("{}.incomplete", sha256(&content))), &content[..here]).unwrap();
    hub.forget();
    assert!(std::fs::read(printed(&fetch(&hub, &home))).unwrap() == content);
    let from = hub.log().iter().find(|(request, _)| request.path == "/pieces").unwrap().0.from;
    assert_eq!(from, Some(3 * (CHUNK + HEADER) as u64), "only the pieces that are missing");
}

#[test]
fn a_wrong_piece_is_found_out() {
    let (right, wrong) = (noise(2 * CHUNK, 2), noise(2 * CHUNK, 3));
    let hub = Hub::new(&[(MODEL, &right)]);
    keep(&hub, &wrong);
    let served = right.clone();
    let hash = format!("/{}", sha256(&right));
    let wrong_hash = sha256(&wrong);
    let home = scratch("xet-wrong");
    let before = hub.behaviour();
    hub.behave(move |request| match request.method == "HEAD" && request.path.starts_with(&hash) {
        true => Some(Reply::new(200, &served).header("X-Xet-Hash", "a".repeat(64))),
        false => before(request),
    });
    let output = fetch(&hub, &home);
    fails(&output, 1, &["arrived damaged", &sha256(&right), &wrong_hash, "was not kept"]);
    assert!(!text(&output.stderr).contains("secret"));
}
