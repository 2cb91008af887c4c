//! What can go wrong between a name of the hub and a model on disk.

use crate::weights::error::Quoted;
use std::io;
use std::path::PathBuf;

/// Everything that can fail while a model is looked up, fetched and checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name that the hub cannot have.
    #[error("{} names no model of the Hugging Face hub: expected {expected}", Quoted(.found))]
    Name {
        /// What was given.
        found: String,
        /// What it should have been.
        expected: &'static str,
    },
    /// An endpoint that is no web address.
    #[error("HF_ENDPOINT: expected an address that starts with https:// or http://, found {}", Quoted(.found))]
    Endpoint {
        /// Its value.
        found: String,
    },
    /// Nothing says where the cache is.
    #[error("no place for the Hugging Face cache: expected HF_HOME, HF_HUB_CACHE or HOME to be set")]
    NoHome,
    /// This build cannot fetch.
    #[error(
        "{model} is not on this disk, and this build of ffai cannot fetch it from the Hugging Face hub (no feature `hub`)"
    )]
    NotBuilt {
        /// The model.
        model: String,
    },
    /// The network is not to be used.
    #[error("{model} is not in the Hugging Face cache at {cache}, and HF_HUB_OFFLINE is set")]
    Offline {
        /// The model.
        model: String,
        /// The cache.
        cache: PathBuf,
    },
    /// No answer.
    #[error("cannot reach the Hugging Face hub at {host}: {what}")]
    Connection {
        /// The server.
        host: String,
        /// What happened.
        what: String,
    },
    /// What speaks to the hub cannot be set up.
    #[error("cannot speak to the Hugging Face hub from here: {what}")]
    Setup {
        /// What is lacking.
        what: String,
    },
    /// Status 401: nobody said who asks, or the token is not known.
    #[error("the Hugging Face hub refuses {model} (401): {}", told(.token, .message))]
    Unauthorized {
        /// The model.
        model: String,
        /// Whether a token was sent.
        token: bool,
        /// What the server said.
        message: String,
    },
    /// Status 403: this user may not have it.
    #[error("the Hugging Face hub does not let this account have {model} (403): {}", Quoted(.message))]
    Forbidden {
        /// The model.
        model: String,
        /// The repository.
        repository: String,
        /// What the server said.
        message: String,
    },
    /// Status 404.
    #[error("the Hugging Face hub has no {what} {} (404)", Quoted(.name))]
    NotFound {
        /// `repository`, `revision` or `file`.
        what: &'static str,
        /// What was asked for.
        name: String,
    },
    /// Status 429, with a wait that is too long or that never ended.
    #[error("the Hugging Face hub has had too many requests from here (429): {}", when(*.seconds))]
    RateLimited {
        /// Seconds until it answers again, if it says so in `Retry-After`.
        seconds: Option<u64>,
    },
    /// Any other status that is no answer.
    #[error("the Hugging Face hub answered {what} with status {status}: {}", Quoted(.message))]
    Status {
        /// What was asked for.
        what: String,
        /// The status.
        status: u16,
        /// What the server said.
        message: String,
    },
    /// An answer that cannot be understood.
    #[error("the Hugging Face hub's answer for {what}: expected {expected}, found {}", Quoted(.found))]
    Answer {
        /// What was asked for.
        what: String,
        /// What it should have been.
        expected: &'static str,
        /// What it was.
        found: String,
    },
    /// A file whose name would lead out of the cache.
    #[error("the Hugging Face hub lists a file named {}: expected a relative path without `..`", Quoted(.name))]
    UnsafeName {
        /// The name.
        name: String,
    },
    /// What arrived is not what the hub announced.
    #[error("{} arrived damaged: expected {kind} {expected}, found {found}; it was not kept", Quoted(.file))]
    Hash {
        /// The file.
        file: String,
        /// `sha256`, or `git sha1` for small files.
        kind: &'static str,
        /// What the hub announced.
        expected: String,
        /// What arrived.
        found: String,
    },
    /// The connection ended early, again and again.
    #[error("{} arrived in part: expected {expected} bytes, found {found}", Quoted(.file))]
    Truncated {
        /// The file.
        file: String,
        /// Its size.
        expected: u64,
        /// How much of it is here.
        found: u64,
    },
    /// The disk has too little room, or refuses a file of this size.
    #[error("no room for {} in {folder}: {needed} bytes more are needed, {left}", Quoted(.file))]
    Disk {
        /// The file, or the model where several are meant.
        file: String,
        /// Where.
        folder: PathBuf,
        /// Bytes that were still to be written.
        needed: u64,
        /// How much room there is, or what the system said.
        left: String,
    },
    /// A file or folder of the cache cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The repository has nothing that can be run.
    #[error(
        "{model} holds no model for ffai: expected config.json and *.safetensors, or *.gguf, found {files} other files"
    )]
    NoModel {
        /// The repository.
        model: String,
        /// Files that it has.
        files: usize,
    },
    /// No file is meant by what stands behind the colon, or several are.
    #[error("{model} has {count} files for {}: {}", Quoted(.pick), list(.found))]
    Pick {
        /// The repository.
        model: String,
        /// What was asked for.
        pick: String,
        /// Files that it could mean.
        count: usize,
        /// Those, or all there are.
        found: Vec<String>,
    },
    /// Every quantization is larger than the memory.
    #[error("no file of {model} fits {budget} bytes of memory: the smallest is {} with {smallest} bytes", Quoted(.file))]
    TooLarge {
        /// The repository.
        model: String,
        /// Memory that may be used.
        budget: u64,
        /// The smallest file.
        file: String,
        /// Its size.
        smallest: u64,
    },
}

impl Error {
    /// A failure of the system at `path`.
    #[cfg(feature = "hub")]
    pub(super) fn io(path: &std::path::Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    /// The next step, where there is one.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Name { .. } | Self::Endpoint { .. } | Self::UnsafeName { .. } | Self::Io { .. } => return None,
            Self::NoHome => "set HF_HOME to a folder",
            Self::NotBuilt { .. } => {
                "build with `--features hub`, or fetch the model by other means and give its path; `ffai models` lists \
                 what is on this disk"
            }
            Self::Offline { .. } => "unset HF_HUB_OFFLINE to fetch it; `ffai models` lists what is on this disk",
            Self::Connection { .. } => {
                "check the network (HTTPS_PROXY, SSL_CERT_FILE and HF_ENDPOINT are honoured); what was fetched so far is \
                 kept"
            }
            Self::Setup { .. } => {
                "without trusted certificates nothing can be fetched: install the system's (the package ca-certificates), or set \
                 SSL_CERT_FILE to a file of them"
            }
            Self::Unauthorized { token: false, .. } => {
                "the repository is private, gated or does not exist: check the name, or set HF_TOKEN to a token of \
                 https://huggingface.co/settings/tokens"
            }
            Self::Unauthorized { token: true, .. } => {
                "the token in HF_TOKEN or of `hf auth login` may have ended: make one at \
                 https://huggingface.co/settings/tokens"
            }
            Self::Forbidden { repository, .. } => {
                return Some(format!(
                    "open https://huggingface.co/{repository}, accept its terms, and set HF_TOKEN to a token of that account"
                ));
            }
            Self::NotFound { what: "file", .. } => "`ffai pull --list org/repo` shows the files",
            Self::NotFound { .. } => "check the name at https://huggingface.co/models; private ones need HF_TOKEN",
            Self::RateLimited { .. } => "try again later; requests with HF_TOKEN set have a higher limit",
            Self::Status { .. } | Self::Answer { .. } => {
                "try again later, and check HF_ENDPOINT if it is set; what was fetched so far is kept"
            }
            Self::Hash { .. } => {
                "fetch it again; if that does not help, the repository or a proxy on the way is damaged"
            }
            Self::Truncated { .. } => "run the same command again: it goes on where this one stopped",
            Self::Disk { .. } => {
                "free some room, or set HF_HOME to a folder on another disk; what was fetched so far is kept"
            }
            Self::NoModel { .. } => "look for a repository with GGUF or safetensors files of the same model",
            Self::Pick { .. } => "name one of them behind the colon, or with --quant; `ffai pull --list` shows all",
            Self::TooLarge { .. } => "name a file or a quantization behind the colon to take it all the same",
        };
        Some(text.to_owned())
    }
}

fn told(token: &bool, message: &str) -> String {
    let who = if *token { "it does not accept the token" } else { "no token was given" };
    if message.is_empty() { who.to_owned() } else { format!("{who}; it says {}", Quoted(message)) }
}

fn when(seconds: Option<u64>) -> String {
    match seconds {
        Some(seconds) => format!("it answers again in {seconds} seconds"),
        None => "when it answers again is not known".to_owned(),
    }
}

fn list(found: &[String]) -> String {
    const MOST: usize = 12;
    let names: Vec<String> = found.iter().take(MOST).map(|name| Quoted(name).to_string()).collect();
    let more = if found.len() > MOST { ", …" } else { "" };
    format!("{}{more}", names.join(", "))
}
