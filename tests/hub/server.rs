//! A server that speaks the hub's protocol, on this machine: metadata and small files on one port, large files behind a
//! redirect on another, as a foreign host. It follows what huggingface_hub 2.4.0 and hf-hub 1.0.0 ask for and read of the answers.

use serde_json::{Value, json};
use sha2::Digest as _;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The commit that every branch is.
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Whether it came to the host of large files.
    pub(crate) foreign: bool,
    /// First byte of `Range`.
    pub(crate) from: Option<u64>,
    /// Last byte of `Range`, where it has one.
    pub(crate) to: Option<u64>,
    pub(crate) authorization: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Whether it asks for the content of a file, and not for what there is to know about it.
    pub(crate) fn is_for_content(&self) -> bool {
        self.method == "GET" && (self.foreign || self.path.contains("/resolve/"))
    }
}

/// An answer, and how it goes out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Ends the connection after so many bytes of the body.
    pub(crate) cut: Option<usize>,
    /// Sends pieces of so many bytes, with a pause before each.
    pub(crate) drip: Option<(usize, Duration)>,
    /// Sends the body again and again, without a length.
    pub(crate) endless: bool,
}

impl Reply {
    pub(crate) fn new(status: u16, body: &[u8]) -> Self {
        Self { status, body: body.to_vec(), ..Self::default() }
    }

    pub(crate) fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }
}

/// What the server does instead of what it would do by itself.
pub(crate) type Behaviour = dyn Fn(&Request) -> Option<Reply> + Send + Sync;

#[derive(Default)]
struct State {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    behaviour: Mutex<Option<Arc<Behaviour>>>,
    log: Mutex<Vec<(Request, u64)>>,
}

/// The server. It holds one repository, `org/repo`, and ends with the test's process.
pub(crate) struct Hub {
    state: Arc<State>,
    pub(crate) endpoint: String,
    /// The host of large files.
    pub(crate) foreign: String,
}

impl Hub {
    /// Holds `files`. Those of at least 1000 bytes count as large.
    pub(crate) fn new(files: &[(&str, &[u8])]) -> Self {
        let state = Arc::new(State::default());
        let own = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = |listener: &TcpListener| format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let hub = Self { endpoint: address(&own), foreign: address(&other), state };
        hub.hold(files);
        for (listener, foreign) in [(own, false), (other, true)] {
            let (state, cdn) = (Arc::clone(&hub.state), hub.foreign.clone());
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let (state, cdn) = (Arc::clone(&state), cdn.clone());
                    std::thread::spawn(move || serve(&state, &cdn, stream, foreign));
                }
            });
        }
        hub
    }

    /// Holds other files from now on.
    pub(crate) fn hold(&self, files: &[(&str, &[u8])]) {
        let files = files.iter().map(|(path, content)| ((*path).to_owned(), content.to_vec())).collect();
        *self.state.files.lock().unwrap() = files;
    }

    /// Answers with what `behaviour` says, where it says something.
    pub(crate) fn behave(&self, behaviour: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) {
        *self.state.behaviour.lock().unwrap() = Some(Arc::new(behaviour));
    }

    /// What it does instead of what it would do by itself.
    pub(crate) fn behaviour(&self) -> Arc<Behaviour> {
        self.state.behaviour.lock().unwrap().clone().unwrap_or_else(|| Arc::new(|_| None))
    }

    /// Is itself again.
    pub(crate) fn recover(&self) {
        *self.state.behaviour.lock().unwrap() = None;
    }

    /// Requests so far, each with the bytes of body that went out.
    pub(crate) fn log(&self) -> Vec<(Request, u64)> {
        self.state.log.lock().unwrap().clone()
    }

    /// Bytes of the bodies of files that went out.
    pub(crate) fn bytes_of_files(&self) -> u64 {
        self.log().iter().filter(|(request, _)| request.is_for_content()).map(|(_, bytes)| bytes).sum()
    }

    /// Forgets the requests.
    pub(crate) fn forget(&self) {
        self.state.log.lock().unwrap().clear();
    }
}

pub(crate) fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn sha256(content: &[u8]) -> String {
    hex(sha2::Sha256::digest(content))
}

/// The name that git gives a blob.
pub(crate) fn git_sha1(content: &[u8]) -> String {
    hex(sha1::Sha1::new().chain_update(format!("blob {}\0", content.len())).chain_update(content).finalize())
}

fn is_large(content: &[u8]) -> bool {
    content.len() >= 1000
}

fn serve(state: &State, cdn: &str, stream: TcpStream, foreign: bool) {
    // A client that goes away is what some tests are about.
    let _ = answer(state, cdn, stream, foreign);
}

fn answer(state: &State, cdn: &str, mut stream: TcpStream, foreign: bool) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?.take(1 << 16));
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(()) };
    let (method, path) = (method.to_owned(), path.to_owned());
    let mut request = Request { method, path, foreign, from: None, to: None, authorization: None, body: Vec::new() };
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        match name.to_ascii_lowercase().as_str() {
            "range" => {
                let range = value.trim().strip_prefix("bytes=").and_then(|range| range.split_once('-'));
                (request.from, request.to) =
                    range.map_or((None, None), |(from, to)| (from.parse().ok(), to.parse().ok()));
            }
            "content-length" => request.body = vec![0; value.trim().parse().unwrap_or_default()],
            "authorization" => request.authorization = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    reader.read_exact(&mut request.body)?;
    let behaviour = state.behaviour.lock().unwrap().clone();
    let reply = behaviour.and_then(|behaviour| behaviour(&request)).unwrap_or_else(|| usual(state, cdn, &request));
    let index = {
        let mut log = state.log.lock().unwrap();
        log.push((request.clone(), 0));
        log.len() - 1
    };
    send(state, &mut stream, &request, &reply, index)
}

fn send(state: &State, stream: &mut TcpStream, request: &Request, reply: &Reply, index: usize) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Told\r\nConnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    let has_length = reply.endless || reply.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    if !has_length {
        head += &format!("Content-Length: {}\r\n", reply.body.len());
    }
    stream.write_all((head + "\r\n").as_bytes())?;
    if request.method == "HEAD" {
        return Ok(());
    }
    let body = &reply.body[..reply.cut.unwrap_or(reply.body.len()).min(reply.body.len())];
    loop {
        for piece in body.chunks(reply.drip.map_or(1 << 16, |(bytes, _)| bytes)) {
            if let Some((_, pause)) = reply.drip {
                std::thread::sleep(pause);
            }
            stream.write_all(piece)?;
            if let Some((_, bytes)) = state.log.lock().unwrap().get_mut(index) {
                *bytes += piece.len() as u64;
            }
        }
        if !reply.endless {
            return Ok(());
        }
    }
}

/// What the hub answers.
fn usual(state: &State, cdn: &str, request: &Request) -> Reply {
    let files = state.files.lock().unwrap();
    let path = request.path.split('?').next().unwrap_or_default();
    if request.foreign {
        let content = files.values().find(|content| path == format!("/{}", sha256(content)));
        return content.map_or_else(|| Reply::new(404, b""), |content| part(content, request.from));
    }
    if let Some(revision) = path.strip_prefix("/api/models/org/repo/revision/") {
        return match revision {
            "main" | "v1" | "refs%2Fpr%2F1" | COMMIT => {
                let nodes: Vec<_> = files.iter().map(|(path, content)| node(path, content)).collect();
                let mut info = info(COMMIT, &nodes);
                if !request.path.ends_with("?blobs=true") {
                    let plain = |node: &Value| json!({"rfilename": node["path"]});
                    info["siblings"] = nodes.iter().map(plain).collect();
                }
                Reply::new(200, info.to_string().as_bytes())
            }
            _ => missing("RevisionNotFound", "Invalid rev id"),
        };
    }
    if path == format!("/api/models/org/repo/tree/{COMMIT}") {
        let nodes: Vec<_> = files.iter().map(|(path, content)| node(path, content)).collect();
        return Reply::new(200, Value::from(nodes).to_string().as_bytes());
    }
    if path == format!("/api/models/org/repo/paths-info/{COMMIT}") && request.method == "POST" {
        let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let asked = asked["paths"].as_array().cloned().unwrap_or_default();
        let is_asked = |path: &str| asked.iter().any(|asked| asked == path);
        let nodes = files.iter().filter(|(path, _)| is_asked(path)).map(|(path, content)| node(path, content));
        return Reply::new(200, Value::from(nodes.collect::<Vec<_>>()).to_string().as_bytes());
    }
    let resolved =
        ["main", "v1", COMMIT].iter().find_map(|commit| path.strip_prefix(&format!("/org/repo/resolve/{commit}/")));
    match resolved.map(|path| files.get(path)) {
        Some(Some(content)) if is_large(content) => Reply::new(302, b"")
            .header("Location", format!("{cdn}/{}?signature=x", sha256(content)))
            .header("X-Linked-Etag", format!("\"{}\"", sha256(content)))
            .header("X-Linked-Size", content.len())
            .header("X-Repo-Commit", COMMIT),
        Some(Some(content)) => part(content, request.from)
            .header("ETag", format!("\"{}\"", git_sha1(content)))
            .header("X-Repo-Commit", COMMIT),
        Some(None) => missing("EntryNotFound", "Entry not found").header("X-Repo-Commit", COMMIT),
        None => missing("RepoNotFound", "Repository not found"),
    }
}

/// What the hub says about a model at a commit, with sizes and hashes: `?blobs=true`. The same as `nodes` of a tree, in other words.
pub(crate) fn info(commit: &str, nodes: &[Value]) -> Value {
    let sibling = |node: &Value| {
        let mut sibling = json!({"rfilename": node["path"], "size": node["size"], "blobId": node["oid"]});
        if let Some(large) = node.get("lfs") {
            sibling["size"] = large["size"].clone();
            sibling["lfs"] = json!({"sha256": large["oid"], "size": large["size"], "pointerSize": 132});
        }
        sibling
    };
    let siblings: Vec<_> = nodes.iter().map(sibling).collect();
    json!({
        "_id": "621ffdc036468d709f17434d", "id": "org/repo", "modelId": "org/repo", "sha": commit, "private": false,
        "gated": false, "disabled": false, "tags": ["gguf"], "downloads": 0, "likes": 0, "usedStorage": 0, "siblings": siblings,
        "gguf": {"total": 1, "architecture": "llama"}, "createdAt": "2022-03-02T23:29:04.000Z", "spaces": [],
    })
}

pub(crate) fn node(path: &str, content: &[u8]) -> Value {
    // Git keeps a pointer in place of a large file.
    let mut node = json!({
        "type": "file", "path": path, "size": content.len(), "oid": git_sha1(if is_large(content) { b"pointer" } else { content }),
    });
    if is_large(content) {
        node["lfs"] = json!({"oid": sha256(content), "size": content.len(), "pointerSize": 132});
    }
    node
}

pub(crate) fn missing(code: &str, message: &str) -> Reply {
    Reply::new(404, b"{}").header("X-Error-Code", code).header("X-Error-Message", message)
}

/// A file from byte `from` on.
pub(crate) fn part(content: &[u8], from: Option<u64>) -> Reply {
    let whole = content.len() as u64;
    match from {
        None => Reply::new(200, content),
        Some(from) if from < whole => Reply::new(206, &content[from as usize..])
            .header("Content-Range", format!("bytes {from}-{}/{whole}", whole - 1)),
        Some(_) => Reply::new(416, b"").header("Content-Range", format!("bytes */{whole}")),
    }
}
